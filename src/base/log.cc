// Lines are put together by the callers, gathered in one buffer, and written by one thread that nobody waits for.
#include "base/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log_shares.h"
#include "base/printable.h"

namespace poplar::log {

namespace {

constexpr std::size_t kQueued = 1024 * 1024;            // octets of lines that wait to be written
constexpr auto kGather = std::chrono::milliseconds(2);  // for more lines, which then cost one write together
constexpr auto kToldEvery = std::chrono::seconds(10);   // how many lines of peers were held back
constexpr auto kFlushed = std::chrono::seconds(1);

std::string_view name_of(Level level) {
    switch (level) {
        case Level::debug: return "debug";
        case Level::info: return "info";
        case Level::warning: return "warning";
        case Level::error: return "error";
    }
    return "error";
}

/// Where lines go; standard error is not ours to close.
class Target {
public:
    explicit Target(int descriptor) : descriptor_(descriptor) {}
    Target(const Target&) = delete;
    ~Target() {
        if (descriptor_ != STDERR_FILENO) ::close(descriptor_);
    }

    /// Writes all of it, however long that takes. Returns how many octets; fewer if it fails.
    std::size_t write(std::string_view text) const {
        std::size_t written = 0;
        while (written < text.size()) {
            const auto got = ::write(descriptor_, text.data() + written, text.size() - written);
            if (got >= 0) {
                written += static_cast<std::size_t>(got);
            } else if (errno == EAGAIN) {  // somebody else made it non-blocking
                pollfd wait{descriptor_, POLLOUT, 0};
                (void)::poll(&wait, 1, -1);
            } else if (errno != EINTR) {
                break;
            }
        }
        return written;
    }

private:
    const int descriptor_;
};

std::shared_ptr<const Target> open_target(const std::string& file) {
    if (file.empty()) return std::make_shared<const Target>(STDERR_FILENO);
    const int descriptor = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (descriptor < 0) throw std::runtime_error(fmt::format("{}: {}", file, std::system_category().message(errno)));
    return std::make_shared<const Target>(descriptor);
}

std::uint64_t lines_in(std::string_view text) { return static_cast<std::uint64_t>(std::ranges::count(text, '\n')); }

/// Lines on their way to the log, and the thread that writes them.
class Writer {
public:
    /// Lines that were logged before still go to the old target.
    void aim(std::string file) {
        flush();
        auto target = open_target(file);
        std::lock_guard guard(mutex_);
        file_ = std::move(file);
        target_ = std::move(target);
    }
    void reopen() {
        std::unique_lock lock(mutex_);
        auto file = file_;
        lock.unlock();
        if (!file.empty()) aim(std::move(file));
    }

    void add(std::string_view line) {
        std::lock_guard guard(mutex_);
        if (!started_) start();
        if (queue_.size() + line.size() >= kQueued) {
            ++dropped_;
            return;
        }
        queue_.append(line).push_back('\n');
        if (idle_) came_.notify_one();
    }

    void hold_back() {
        std::lock_guard guard(mutex_);
        if (!started_) start();
        if (held_back_++ == 0) came_.notify_one();
    }

    void flush() {
        std::unique_lock lock(mutex_);
        if (!started_) return;
        hurried_ = true;
        came_.notify_one();
        written_.wait_for(lock, kFlushed, [this] { return idle_ && queue_.empty() && dropped_ == 0; });
    }

private:
    /// The thread is never joined: it may be in the middle of a write to a pipe that nobody reads any more.
    void start() {
        started_ = true;
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are for the other threads
        std::thread([this] { run(); }).detach();
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        std::atexit([] { log::flush(); });
    }

    [[noreturn]] void run() {
        pthread_setname_np(pthread_self(), "log");
        std::string batch;
        std::unique_lock lock(mutex_);
        for (;;) {
            idle_ = true;
            written_.notify_all();
            if (held_back_ != 0)
                came_.wait_until(lock, tell_at_, [this] { return has_lines(); });
            else
                came_.wait(lock, [this] { return has_lines() || held_back_ != 0; });
            idle_ = false;
            std::uint64_t held_back = 0;
            if (const auto now = SteadyClock::now(); now >= tell_at_ && held_back_ != 0) {
                held_back = std::exchange(held_back_, 0);
                tell_at_ = now + kToldEvery;
            }
            if (!has_lines() && held_back == 0) continue;
            came_.wait_for(lock, kGather, [this] { return hurried_; });
            hurried_ = false;
            batch.swap(queue_);
            const auto dropped = std::exchange(dropped_, 0);
            const auto target = target_;
            lock.unlock();
            if (held_back != 0) batch += line_of(held_back, "log.held_back");
            if (dropped != 0) batch += line_of(dropped, "log.dropped");
            const auto unwritten = std::string_view(batch).substr(target->write(batch));
            const auto lost = unwritten.empty() ? 0 : lines_in(unwritten) + dropped - (dropped != 0);
            batch.clear();
            if (batch.capacity() > kKept) batch.shrink_to_fit();
            lock.lock();
            lost_ += lost;
            if (lost == 0) dropped_ += std::exchange(lost_, 0);
        }
    }
    bool has_lines() const { return !queue_.empty() || dropped_ != 0; }
    static std::string line_of(std::uint64_t lines, std::string_view event);

    static constexpr std::size_t kKept = 64 * 1024;  // of a buffer's room while nothing is logged

    std::mutex mutex_;  // for all that follows
    std::condition_variable came_, written_;
    std::string file_;
    std::shared_ptr<const Target> target_ = open_target("");
    std::string queue_;
    std::uint64_t dropped_ = 0;    ///< lines that were not written, to be told with the next ones
    std::uint64_t lost_ = 0;       ///< the same, to be told once writing works again
    std::uint64_t held_back_ = 0;  ///< lines that were over their peer's share, to be told at tell_at_
    SteadyTime tell_at_{};
    bool started_ = false, idle_ = false, hurried_ = false;
};

struct State {
    std::atomic<Level> minimum = Level::info;
    std::atomic<Format> format = Format::text;
    Shares shares;
    Writer writer;
};

State& state() {
    static State* instance = new State;  // never destroyed: threads may log until the process ends
    return *instance;
}

std::string timestamp() {
    auto now = std::chrono::system_clock::now();
    auto since = now.time_since_epoch();
    auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since - seconds).count();
    std::time_t whole = seconds.count();
    std::tm utc{};
    gmtime_r(&whole, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, millis);
}

// The same escapes are right for JSON and for a quoted text value. Octets over 0x7f that are not UTF-8 become U+FFFD.
void append_escaped(std::string& out, std::string_view text) {
    auto continuation = [&](std::size_t at) { return at < text.size() && (text[at] & 0xc0) == 0x80; };
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto c = static_cast<unsigned char>(text[i]);
        if (c == '"' || c == '\\') {
            out.push_back('\\');
            out.push_back(text[i]);
        } else if (c < 0x20 || c == 0x7f) {
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
        } else if (c < 0x80) {
            out.push_back(text[i]);
        } else {
            std::size_t more = c >= 0xf0 && c < 0xf5 ? 3 : c >= 0xe0 ? 2 : 1;
            bool whole = c >= 0xc2 && c < 0xf5;
            for (std::size_t k = 1; whole && k <= more; ++k) whole = continuation(i + k);
            if (whole) {  // RFC 3629 s4: no overlong forms, no surrogates, nothing over U+10FFFF
                const auto second = static_cast<unsigned char>(text[i + 1]);
                whole = !(c == 0xe0 && second < 0xa0) && !(c == 0xed && second >= 0xa0) &&
                        !(c == 0xf0 && second < 0x90) && !(c == 0xf4 && second >= 0x90);
            }
            const auto hidden = whole ? hidden_character(text.substr(i)) : std::nullopt;
            if (hidden) {
                fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(hidden->code));
                i += more;
            } else if (whole) {
                out.append(text.substr(i, more + 1));
                i += more;
            } else {
                out.append("\\ufffd");
            }
        }
    }
}

bool is_plain(std::string_view text) {
    if (text.empty()) return false;
    for (char c : text)
        if (c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    return true;
}

std::string text_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    auto line = fmt::format("{} {} {}", timestamp(), name_of(level), event);
    for (const auto& field : fields) {
        line.append(" ").append(field.name).append("=");
        if (auto* number = std::get_if<std::int64_t>(&field.value)) {
            fmt::format_to(std::back_inserter(line), "{}", *number);
        } else if (auto text = std::get<std::string_view>(field.value); is_plain(text)) {
            line.append(text);
        } else {
            line.push_back('"');
            append_escaped(line, text);
            line.push_back('"');
        }
    }
    return line;
}

std::string json_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    auto line = fmt::format(R"({{"time":"{}","level":"{}","event":")", timestamp(), name_of(level));
    append_escaped(line, event);
    line.push_back('"');
    for (const auto& field : fields) {
        line.append(",\"");
        append_escaped(line, field.name);
        line.append("\":");
        if (auto* number = std::get_if<std::int64_t>(&field.value)) {
            fmt::format_to(std::back_inserter(line), "{}", *number);
        } else {
            line.push_back('"');
            append_escaped(line, std::get<std::string_view>(field.value));
            line.push_back('"');
        }
    }
    line.push_back('}');
    return line;
}

std::string format_line(Level level, std::string_view event, std::initializer_list<Field> fields) {
    return state().format == Format::json ? json_line(level, event, fields) : text_line(level, event, fields);
}

std::string Writer::line_of(std::uint64_t lines, std::string_view event) {
    return format_line(Level::warning, event, {{"lines", lines}}) + '\n';
}

}  // namespace

void configure(Level minimum, Format format, const std::string& file) {
    auto& s = state();
    s.writer.aim(file);
    s.minimum = minimum;
    s.format = format;
}

void reopen() { state().writer.reopen(); }

bool enabled(Level level) { return level >= state().minimum.load(std::memory_order_relaxed); }

void write(Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (enabled(level)) state().writer.add(format_line(level, event, fields));
}

void write(const Cause& cause, Level level, std::string_view event, std::initializer_list<Field> fields) {
    if (!enabled(level)) return;
    auto& s = state();
    const auto line = format_line(level, event, fields);
    if (s.shares.take(cause.peer, cause.octets_sent, line.size() + 1, SteadyClock::now()))
        s.writer.add(line);
    else
        s.writer.hold_back();
}

void limit_shares(const ShareLimits& limits) { state().shares.set_limits(limits); }

void flush() { state().writer.flush(); }

}  // namespace poplar::log
