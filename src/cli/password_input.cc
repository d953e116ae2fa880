#include "cli/password_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace poplar::cli {

namespace {

constexpr std::size_t kLongest = 4096;

// Reads one line octet by octet, because what follows it in a pipe is for others.
Result<std::string> read_line(int fd) {
    std::string line;
    for (char c = 0;;) {
        auto got = ::read(fd, &c, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail(Errc::invalid, "the password can't be read");
        if (got == 0 || c == '\n') break;
        line.push_back(c);
        if (line.size() > kLongest) return fail(Errc::invalid, "the password is too long");
    }
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) return fail(Errc::invalid, "the password is empty");
    return line;
}

// For the signal handler: the terminal that does not echo, and how it was before.
int silenced = -1;
termios before;

void restore_and_end(int signal) {
    tcsetattr(silenced, TCSAFLUSH, &before);
    std::signal(signal, SIG_DFL);
    ::raise(signal);
}

constexpr int kEndings[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

/// Turns the terminal's echo off, and on again at the end, even after Ctrl-C.
class Terminal {
public:
    Terminal() : fd_(::open("/dev/tty", O_RDWR | O_CLOEXEC)) {
        if (fd_ < 0 || tcgetattr(fd_, &before) != 0) return;
        silenced = fd_;
        for (int signal : kEndings) std::signal(signal, restore_and_end);
        auto silent = before;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        usable_ = tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
    }
    ~Terminal() {
        if (usable_) tcsetattr(fd_, TCSAFLUSH, &before);
        if (silenced >= 0)
            for (int signal : kEndings) std::signal(signal, SIG_DFL);
        if (fd_ >= 0) ::close(fd_);
    }
    bool usable() const { return usable_; }
    Result<std::string> ask(std::string_view question) {
        say(question);
        auto answer = read_line(fd_);
        say("\n");
        return answer;
    }

private:
    void say(std::string_view text) {
        if (::write(fd_, text.data(), text.size()) < 0) usable_ = false;
    }
    int fd_;
    bool usable_ = false;
};

}  // namespace

Result<std::string> password_from_stdin() { return read_line(STDIN_FILENO); }

Result<std::string> password_from_file(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return fail(Errc::invalid, fmt::format("{} can't be opened", path));
    auto line = read_line(fd);
    ::close(fd);
    if (!line) return fail(Errc::invalid, fmt::format("{}: {}", path, line.error().detail()));
    return line;
}

Result<std::string> password_from_terminal() {
    Terminal terminal;
    if (!terminal.usable())
        return fail(Errc::invalid,
                    "no terminal to ask for a password: use --password-stdin, --password-hash or --generate");
    auto first = terminal.ask("New password: ");
    if (!first) return first;
    auto second = terminal.ask("Again: ");
    if (!second) return second;
    if (*first != *second) return fail(Errc::invalid, "the two passwords differ");
    return first;
}

}  // namespace poplar::cli
