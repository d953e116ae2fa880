#include "server/privileges.h"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace poplar::server {

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
    if (initgroups(identity.user.c_str(), identity.gid) != 0) return failed("initgroups");
    if (setgid(identity.gid) != 0) return failed("setgid");
    if (setuid(identity.uid) != 0) return failed("setuid");
    // The way back must be closed.
    if (identity.uid != 0 && (setuid(0) == 0 || geteuid() != identity.uid))
        return fail(Errc::denied, fmt::format("became {}, but could become root again", identity.user));
    return {};
}

void forbid_new_privileges() { prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }

void raise_file_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace poplar::server
