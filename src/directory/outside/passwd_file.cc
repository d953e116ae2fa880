#include "directory/outside/passwd_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/networks.h"
#include "directory/outside/pooled.h"
#include "directory/passwd_file.h"

namespace poplar::directory::outside {

namespace {

constexpr std::size_t kFileLimit = 256u << 20;    // octets
constexpr std::size_t kRefusedInLog = 10;         // lines of a file; the others are counted
constexpr auto kQuiet = std::chrono::seconds(1);  // a file that changed so lately is not read anew yet

/// `allow_nets`: networks between commas. An empty list lets nobody in.
Result<std::vector<std::string>> networks_of(std::string_view text) {
    std::vector<std::string> networks;
    while (!text.empty()) {
        const auto comma = text.find(',');
        networks.emplace_back(text.substr(0, comma));
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    if (networks.empty()) return fail(Errc::invalid, "passwd-file: allow_nets without a network");
    if (auto parsed = Networks::parse(networks); !parsed)
        return fail(Errc::invalid, "passwd-file: allow_nets: " + parsed.error().detail());
    return networks;
}

/// The name of a line that can't be read as a whole, so that mail to it still comes.
std::string name_of(std::string_view line, const std::string& default_domain) {
    std::string name(line.substr(0, line.find(':')));
    if (!name.contains('@') && !default_domain.empty()) name.append("@").append(default_domain);
    return name;
}

/// Shared by all connections, which are no more than a place on a thread here.
class File {
public:
    File(const Settings& settings, mail::LocalPartCase local_case) : settings_(settings), local_case_(local_case) {}

    /// Errors: io (it can't be read; what was read before counts no more, because it may have been taken away).
    Result<std::shared_ptr<const PasswdFile>> current() {
        std::lock_guard hold(mutex_);
        struct stat now{};
        if (::stat(settings_.file.c_str(), &now) != 0) return unreadable();
        if (read_ && (is_same(now) || is_being_written(now))) return read_;
        auto text = read_all(now);
        if (!text) return pass_on(text);
        auto parsed = parse_passwd_file(*text, settings_.domains, settings_.default_scheme, local_case_);
        tell(parsed);
        read_ = std::make_shared<const PasswdFile>(std::move(parsed));
        seen_ = now;
        return read_;
    }

private:
    /// A change within the resolution of the file system's clock would not show in the time alone.
    bool is_same(const struct stat& now) const {
        return now.st_ino == seen_.st_ino && now.st_dev == seen_.st_dev && now.st_size == seen_.st_size &&
               now.st_mtim.tv_sec == seen_.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec &&
               now.st_ctim.tv_sec == seen_.st_ctim.tv_sec && now.st_ctim.tv_nsec == seen_.st_ctim.tv_nsec;
    }

    /// Somebody may be writing it in place, and half a file would look as if accounts had gone.
    static bool is_being_written(const struct stat& now) {
        const auto changed = std::chrono::seconds(now.st_mtim.tv_sec) + std::chrono::nanoseconds(now.st_mtim.tv_nsec);
        const auto age = std::chrono::system_clock::now().time_since_epoch() - changed;
        return age >= age.zero() && age < kQuiet;
    }

    std::unexpected<Error> unreadable() const {
        return fail(Errc::io, fmt::format("passwd-file: {}: {}", settings_.file, std::strerror(errno)));
    }

    Result<std::string> read_all(struct stat& now) const {
        const int file = ::open(settings_.file.c_str(), O_RDONLY | O_CLOEXEC);
        if (file < 0) return unreadable();
        struct Closed {
            ~Closed() { ::close(descriptor); }
            int descriptor;
        } closed{file};
        if (::fstat(file, &now) != 0 || !S_ISREG(now.st_mode)) {
            errno = EINVAL;
            return unreadable();
        }
        std::string text;
        for (std::array<char, 64 * 1024> chunk;;) {
            const auto got = ::read(file, chunk.data(), chunk.size());
            if (got < 0) return unreadable();
            if (got == 0) return text;
            text.append(chunk.data(), static_cast<std::size_t>(got));
            if (text.size() > kFileLimit) {
                errno = EFBIG;
                return unreadable();
            }
        }
    }

    void tell(const PasswdFile& parsed) const {
        for (std::size_t i = 0; i < parsed.refused.size() && i < kRefusedInLog; ++i)
            log::warning(
                "outside.line_refused",
                {{"file", settings_.file}, {"line", parsed.refused[i].first}, {"reason", parsed.refused[i].second}});
        log::info("outside.file_read",
                  {{"file", settings_.file}, {"accounts", parsed.accounts.size()}, {"refused", parsed.refused.size()}});
    }

    const Settings settings_;
    const mail::LocalPartCase local_case_;
    std::mutex mutex_;
    struct stat seen_{};
    std::shared_ptr<const PasswdFile> read_;
};

class Reading final : public Connection {
public:
    explicit Reading(std::shared_ptr<File> file) : file_(std::move(file)) {}

    Result<Answer> ask(const Question& question) override {
        auto current = file_->current();
        if (!current) return pass_on(current);
        const auto found = (*current)->accounts.find(mail::to_string(question.address));
        if (found == (*current)->accounts.end()) return Answer{};
        const auto& entry = found->second;
        return Answer{.exists = true, .credential = entry.credential, .networks = entry.networks};
    }

private:
    const std::shared_ptr<File> file_;
};

}  // namespace

PasswdFile parse_passwd_file(std::string_view text, const std::vector<std::string>& domains,
                             const std::string& default_scheme, mail::LocalPartCase local_case) {
    static const std::vector<std::string> kEnforced{"allow_nets"};
    const auto default_domain = domains.size() == 1 ? domains.front() : std::string();
    PasswdFile file;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        auto entry = parse_passwd_line(line, default_domain, default_scheme, kEnforced);
        if (entry && !*entry) continue;
        PasswdFile::Entry made;
        if (entry) made.credential = std::move((*entry)->account.password);
        Result<> obeyed;
        if (!entry) {
            obeyed = pass_on(entry);
        } else if ((*entry)->allow_nets) {
            auto networks = networks_of(*(*entry)->allow_nets);
            if (networks)
                made.networks = std::move(*networks);
            else
                obeyed = pass_on(networks);
        }
        auto address = mail::parse_address(entry ? (*entry)->account.address : name_of(line, default_domain));
        if (address) address = mail::canonical(*address, local_case);
        if (!address && obeyed) obeyed = fail(Errc::invalid, "passwd-file: the user name is no address");
        if (address && std::ranges::find(domains, address->domain) == domains.end()) continue;
        if (!obeyed) {
            made.credential.clear();
            file.refused.emplace_back(number, obeyed.error().detail());
        }
        if (address) file.accounts.try_emplace(mail::to_string(*address), std::move(made));
    }
    return file;
}

std::unique_ptr<Source> make_passwd_file(const Settings& settings, mail::LocalPartCase local_case) {
    auto file = std::make_shared<File>(settings, local_case);
    auto connect = [file] { return std::make_unique<Reading>(file); };
    return std::make_unique<Pooled>(std::move(connect), settings.connections, settings.waiting);
}

}  // namespace poplar::directory::outside
