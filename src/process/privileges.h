#pragma once
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace poplar::process {

/// Whom the server becomes after it has bound its ports.
struct Identity {
    std::string user;
    uid_t uid = 0;
    gid_t gid = 0;
};

/// `group` empty: the user's own. Errors: invalid (no such user), not_found (no such group).
Result<Identity> find_identity(const std::string& user, const std::string& group);

/// Becomes `identity` for good, all threads to come included. Call it with one thread. Errors: denied.
Result<> drop_privileges(const Identity& identity);

/// Whether `identity` has a say in where `path` leads: it may make, rename or replace an entry of a folder on the way.
/// Root must not act by that name then. A path that can't be looked at is taken for such a one.
bool may_redirect(const Identity& identity, const std::string& path);

/// While it lives, the process acts as `identity`, with nothing of root's rights over files, and is safe from signals
/// and debuggers of that user. For a process that is root. Call it with one thread that uses files.
class ActingAs {
public:
    explicit ActingAs(const Identity& identity);
    ~ActingAs();
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;

private:
    gid_t gid_;
    std::vector<gid_t> groups_;
};

/// The user that a command which opens the store must become, so that the server can use what it leaves there: the
/// owner of `data_dir`; where root owns it, but `user` of the configuration decides where that is, `user`. Nothing: we
/// are not root, or root is right. Errors: as find_identity.
Result<std::optional<Identity>> owner_to_become(const std::string& data_dir, const std::string& user);
/// Tells a user who can't open the store what to mend: "PATH belongs to root, not to poplar", for the first such path
/// at or below `data_dir`. Empty: there is none.
std::string foreign_entry(const std::string& data_dir, uid_t uid);
/// "poplar", or "uid 1000" if it has no name.
std::string user_name(uid_t uid);

/// No program that we would start could gain privileges (there is none; an intruder's would be).
void forbid_new_privileges();

/// As many open files as the system allows us.
void raise_file_limit();

}  // namespace poplar::process
