#pragma once
// An issuer's public documents: its configuration (OpenID Connect Discovery 1.0 s4) and its keys (RFC 7517). Pure.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct evp_pkey_st;

namespace poplar::auth {

/// A public key for signatures.
struct Jwk {
    std::string id;  ///< `kid`; "": it has none
    std::shared_ptr<evp_pkey_st> key;
};

/// The keys of a set that can be of use here: RSA, P-256 and Ed25519 (RFC 7518 s6, RFC 8037 s2) that are not for
/// another use than signatures. Others, and malformed ones, are passed over, as RFC 7517 s5 asks; at most 100 are read.
/// Errors: invalid (no key set at all).
Result<std::vector<Jwk>> parse_jwks(std::string_view json);

/// Where the keys of an issuer are. Errors: invalid (also: the document is another issuer's, s4.3).
Result<std::string> parse_discovery(std::string_view json, std::string_view issuer);

}  // namespace poplar::auth
