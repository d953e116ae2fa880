#pragma once
// Dovecot's passwd-file: one account a line, `user:{SCHEME}hash:uid:gid:gecos:home:shell:extra`.
#include <optional>
#include <string_view>

#include "base/error.h"
#include "directory/directory.h"

namespace poplar::directory {

/// Reads one line, with or without its line end; any bytes are allowed. Nothing for an empty line and a comment (`#`).
/// What stands behind the second field is not used. `default_domain` is for a user without "@", `default_scheme` for a
/// password without "{SCHEME}"; an empty password stays empty, and one that is locked as in shadow(5) ("*", "!hash")
/// becomes empty: that account can't log in. Whether the address and the hash are valid is for others to say. Errors:
/// invalid (no user, no domain, control characters, not UTF-8, over 8,192 octets).
Result<std::optional<Directory::NewAccount>> parse_passwd_line(std::string_view line, std::string_view default_domain,
                                                               std::string_view default_scheme = "CRYPT");

}  // namespace poplar::directory
