// Users and groups of the process, and the walk over a path's folders that tells who may lead root astray.
#include "process/privileges.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <stdexcept>

#include "net/file_descriptor.h"

namespace poplar::process {

namespace {

constexpr int kMostLinks = 40;  // as the kernel has it

std::deque<std::string> components(const std::filesystem::path& path) {
    std::deque<std::string> parts;
    for (const auto& part : path.relative_path())
        if (!part.empty() && part != ".") parts.push_back(part.string());
    return parts;
}

std::vector<gid_t> groups_of(const Identity& identity) {
    int count = 0;
    getgrouplist(identity.user.c_str(), identity.gid, nullptr, &count);
    std::vector<gid_t> groups(static_cast<std::size_t>(std::max(count, 1)), identity.gid);
    if (getgrouplist(identity.user.c_str(), identity.gid, groups.data(), &count) < 0) groups.assign(1, identity.gid);
    return groups;
}

/// A user's rights over the names in a folder.
struct Say {
    bool add = false;      ///< make new ones
    bool replace = false;  ///< and rename and remove those of others
};
Say say_in(const struct stat& folder, const Identity& identity, const std::vector<gid_t>& groups) {
    if (folder.st_uid == identity.uid) return {true, true};  // even without the right to write: it can give itself that
    const bool add = (folder.st_mode & S_IWOTH) ||
                     ((folder.st_mode & S_IWGRP) && std::ranges::find(groups, folder.st_gid) != groups.end());
    return {add, add && !(folder.st_mode & S_ISVTX)};
}

}  // namespace

Result<Identity> find_identity(const std::string& user, const std::string& group) {
    errno = 0;
    const passwd* entry = getpwnam(user.c_str());
    if (!entry) return fail(Errc::invalid, fmt::format("no such user: \"{}\"", user));
    Identity identity{user, entry->pw_uid, entry->pw_gid};
    if (!group.empty()) {
        const ::group* found = getgrnam(group.c_str());
        if (!found) return fail(Errc::not_found, fmt::format("no such group: \"{}\"", group));
        identity.gid = found->gr_gid;
    }
    return identity;
}

Result<> drop_privileges(const Identity& identity) {
    auto failed = [&](const char* call) {
        return fail(Errc::denied, fmt::format("can't become {}: {}: {}", identity.user, call, std::strerror(errno)));
    };
    auto groups = groups_of(identity);
    if (setgroups(groups.size(), groups.data()) != 0) return failed("setgroups");
    if (setgid(identity.gid) != 0) return failed("setgid");
    if (setuid(identity.uid) != 0) return failed("setuid");
    // The way back must be closed.
    if (identity.uid != 0 && (setuid(0) == 0 || geteuid() != identity.uid))
        return fail(Errc::denied, fmt::format("became {}, but could become root again", identity.user));
    return {};
}

// Walks as the kernel does, link by link, and looks at each folder that a name is looked up in.
bool may_redirect(const Identity& identity, const std::string& path) {
    const auto root = [] { return net::FileDescriptor(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)); };
    const auto groups = groups_of(identity);
    auto folder = root();
    auto parts = components(path);
    for (int links = 0; !parts.empty();) {
        struct stat here{}, entry{};
        if (!folder || ::fstat(folder.get(), &here) != 0) return true;
        const auto say = say_in(here, identity, groups);
        if (say.replace) return true;
        const auto name = std::move(parts.front());
        parts.pop_front();
        if (::fstatat(folder.get(), name.c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0)
            return errno != ENOENT || (say.add && !parts.empty());
        if (say.add && entry.st_uid == identity.uid) return true;
        if (S_ISLNK(entry.st_mode)) {
            std::array<char, PATH_MAX> text{};
            auto size = ::readlinkat(folder.get(), name.c_str(), text.data(), text.size());
            if (size < 0 || ++links > kMostLinks) return true;
            const std::filesystem::path target(std::string(text.data(), static_cast<std::size_t>(size)));
            if (target.is_absolute()) folder = root();
            auto more = components(target);
            parts.insert(parts.begin(), more.begin(), more.end());
        } else if (!parts.empty()) {
            folder = net::FileDescriptor(
                ::openat(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        }
    }
    return false;
}

ActingAs::ActingAs(const Identity& identity) : gid_(getegid()) {
    groups_.resize(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
    auto groups = groups_of(identity);
    if (getgroups(static_cast<int>(groups_.size()), groups_.data()) < 0 ||
        setgroups(groups.size(), groups.data()) != 0 || setegid(identity.gid) != 0 || seteuid(identity.uid) != 0)
        throw std::runtime_error(fmt::format("can't act as {}: {}", identity.user, std::strerror(errno)));
}

ActingAs::~ActingAs() {
    // Going on as somebody else than was asked for is worse than not to go on.
    if (seteuid(0) != 0 || setegid(gid_) != 0 || setgroups(groups_.size(), groups_.data()) != 0) std::abort();
}

Result<std::optional<Identity>> owner_to_become(const std::string& data_dir, const std::string& user) {
    struct stat found{};
    if (geteuid() != 0 || ::stat(data_dir.c_str(), &found) != 0) return std::nullopt;
    if (found.st_uid != 0) {
        Identity owner{user_name(found.st_uid), found.st_uid, found.st_gid};
        if (const passwd* entry = getpwuid(found.st_uid)) owner.gid = entry->pw_gid;
        return owner;
    }
    if (user.empty()) return std::nullopt;
    auto server = find_identity(user, "");
    if (!server) return pass_on(server);
    // Root's own folder, unless the server's user has led us there.
    return may_redirect(*server, data_dir) ? std::optional(std::move(*server)) : std::nullopt;
}

std::string foreign_entry(const std::string& data_dir, uid_t uid) {
    std::string foreign;
    auto look = [&](const std::filesystem::path& path) {
        struct stat found{};
        if (::lstat(path.c_str(), &found) == 0 && found.st_uid != uid)
            foreign =
                fmt::format("{} belongs to {}, not to {}", path.string(), user_name(found.st_uid), user_name(uid));
        return !foreign.empty();
    };
    if (look(data_dir)) return foreign;
    std::error_code failed;
    auto options = std::filesystem::directory_options::skip_permission_denied;
    for (std::filesystem::recursive_directory_iterator at(data_dir, options, failed), end; !failed && at != end;
         at.increment(failed))
        if (look(at->path())) break;
    return foreign;
}

std::string user_name(uid_t uid) {
    const passwd* entry = getpwuid(uid);
    return entry ? std::string(entry->pw_name) : fmt::format("uid {}", uid);
}

void forbid_new_privileges() { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace poplar::process
