#pragma once
// Stored passwords: `{SCHEME}data`, with Dovecot's names for the schemes.
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::auth {

/// True if the scheme is one we can verify and the data has its form.
bool is_valid_hash(std::string_view stored);

/// Slow by design (up to a second): call it on a pool. Any bytes are allowed in both; a malformed or unknown `stored`
/// never matches. Compares in constant time.
bool matches(std::string_view stored, std::string_view password);

/// `{ARGON2ID}$argon2id$...` (libsodium, interactive limits).
std::string hash_argon2id(std::string_view password);

/// False for our own Argon2id at today's cost, true for what a login may replace with it.
bool is_outdated(std::string_view stored);

/// The name between the braces, upper case; "CRYPT" for data without one.
std::string_view scheme_of(std::string_view stored);

}  // namespace poplar::auth
