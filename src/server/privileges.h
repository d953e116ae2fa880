#pragma once
#include <sys/types.h>

#include <string>

#include "base/error.h"

namespace poplar::server {

/// Whom the server becomes after it has bound its ports.
struct Identity {
    std::string user;
    uid_t uid = 0;
    gid_t gid = 0;
};

/// `group` empty: the user's own. Errors: invalid (`key` of the configuration is wrong: the detail begins with it).
Result<Identity> find_identity(const std::string& user, const std::string& group);

/// Becomes `identity` for good, all threads to come included. Call it with one thread. Errors: denied.
Result<> drop_privileges(const Identity& identity);

/// No program that we would start could gain privileges (there is none; an intruder's would be).
void forbid_new_privileges();

/// As many open files as the system allows us.
void raise_file_limit();

}  // namespace poplar::server
