#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "auth/token.h"

namespace poplar::auth {

/// What a JWT (RFC 7519 s4.1) and an introspection's answer (RFC 7662 s2.2) say alike: whom a token is from, for, until
/// when, and whose. Returns the account claim. Errors: denied.
Result<std::string> account_claim(const nlohmann::json& claims, const TokenOptions& options, Timestamp now);

}  // namespace poplar::auth
