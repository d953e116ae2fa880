#pragma once
#include <string>

#include <nlohmann/json.hpp>

#include "auth/token.h"

namespace poplar::auth {

/// Checks the claims that a JWT (RFC 7519 s4.1) and an introspection's answer (RFC 7662 s2.2) have in common: issuer,
/// audience, scope and time. Errors: denied.
Result<TokenHolder> holder_by_claims(const nlohmann::json& claims, const TokenOptions& options, Timestamp now);

}  // namespace poplar::auth
