#pragma once
// Stored passwords: `{SCHEME}data`, with Dovecot's names for the schemes (in any case): ARGON2ID, ARGON2I, BLF-CRYPT,
// SHA512-CRYPT, SHA256-CRYPT, MD5-CRYPT, DES-CRYPT, CRYPT (whatever crypt(3) knows), SSHA, SSHA256, SSHA512, SMD5, SHA,
// SHA1, SHA256, SHA512, LDAP-MD5, PLAIN-MD5, SCRAM-SHA-1, SCRAM-SHA-256, PLAIN, CLEARTEXT. The digests (SHA and so on)
// may carry .b64 or .hex after the name. Data without a scheme is CRYPT.
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::auth {

/// True if the scheme is one we can verify, the data has its form, and checking it costs no more than we allow:
/// Argon2 1 GiB, and 4 GiB over all passes; bcrypt cost 16; two million rounds of the SHA, SHA-1 and Sun MD5 crypts;
/// yescrypt and scrypt 1 GiB; two million iterations of SCRAM.
bool is_valid_hash(std::string_view stored);

/// Slow by design (up to a second): call it on a pool. Any bytes are allowed in both; a malformed or unknown `stored`
/// never matches. Compares in constant time. Throws std::bad_alloc if there is no memory for Argon2.
bool matches(std::string_view stored, std::string_view password);

/// `{ARGON2ID}$argon2id$...` (libsodium, interactive limits: 64 MiB, 2 passes). As slow as matches(). Throws
/// std::bad_alloc when there is no memory.
std::string hash_argon2id(std::string_view password);

/// False for Argon2id at our own cost or more, true for what a login may replace with it.
bool is_outdated(std::string_view stored);

/// The scheme's name in upper case, without .b64 or .hex; "CRYPT" for data without one, "" for one we don't know.
std::string_view scheme_of(std::string_view stored);

}  // namespace poplar::auth
