#pragma once
// Dovecot's passwd-file: one account a line, `user:{SCHEME}hash:uid:gid:gecos:home:shell:extra`.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "directory/directory.h"

namespace poplar::directory {

struct PasswdEntry {
    Directory::NewAccount account;
    /// Names of the fields that have a value and no meaning here.
    std::vector<std::string> unused;
    std::optional<std::string> allow_nets = {};  ///< its value, for a caller that obeys it
};

/// Reads one line, with or without its line end; any bytes are allowed. Nothing for an empty line and a comment (`#`).
/// `default_domain` is for a user without "@", `default_scheme` for a password without "{SCHEME}".
///
/// The password becomes empty if it was empty, if it is locked as in shadow(5) ("*", "!hash"), or if the extra fields
/// have `nologin`: such an account gets mail and can't log in. uid, gid, home and their userdb_ fields are not used,
/// because they only say where the other server keeps the mail; nor are fields named in `ignored`. Any other extra
/// field makes the line invalid, because the account could do here what the field forbids.
///
/// Does not check whether the address and the hash are valid. Errors: invalid (also: no user, no domain, control
/// characters, not UTF-8, over 8,192 octets).
Result<std::optional<PasswdEntry>> parse_passwd_line(std::string_view line, std::string_view default_domain,
                                                     std::string_view default_scheme = "CRYPT",
                                                     std::span<const std::string> ignored = {});

}  // namespace poplar::directory
