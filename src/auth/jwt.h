#pragma once
// JSON Web Tokens: RFC 7519 in the compact form of RFC 7515, signed with RS256, ES256 (RFC 7518 s3) or EdDSA with
// Ed25519 (RFC 8037 s3.1). The algorithm is chosen by the key, never by the token (RFC 8725 s3.1).
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "auth/token.h"
#include "base/error.h"

struct evp_pkey_st;

namespace poplar::auth {

/// Base64url without padding (RFC 7515 s2). Errors: invalid.
Result<std::string> base64url_decode(std::string_view text);

/// The JSON object in a text, if it is one and is nested no deeper than tokens and key sets are.
std::optional<nlohmann::json> parse_object(std::string_view json);

class JwtKeys {
public:
    /// PEM: public keys or certificates, any number in each of `options.key_files`. Errors: invalid; the detail names
    /// the file.
    static Result<JwtKeys> load(const TokenOptions& options);
    /// As load, from PEM text.
    static Result<JwtKeys> parse(const TokenOptions& options, std::string_view pem, const std::string& file);

    /// From a JWK Set (auth/jwks.h). Keys that the options don't allow are left out. Errors: invalid (also: no key is
    /// left).
    static Result<JwtKeys> parse_jwks(const TokenOptions& options, std::string_view json);

    JwtKeys(JwtKeys&&) = default;
    ~JwtKeys();

    /// Errors: denied; the detail says why, for the log.
    Result<TokenHolder> holder_of(std::string_view token, Timestamp now) const;
    /// Whether one of the keys signed the token, whatever it says.
    bool signed_by_one(std::string_view token) const { return signed_payload(token).has_value(); }
    std::size_t size() const { return keys_.size(); }

private:
    struct Key {
        std::string algorithm;
        std::shared_ptr<evp_pkey_st> key;
        std::string id = {};  ///< `kid` of RFC 7517 s4.5
    };
    explicit JwtKeys(const TokenOptions& options) : options_(options) {}
    Result<std::string_view> signed_payload(std::string_view token) const;
    Result<> add(std::shared_ptr<evp_pkey_st> key, const std::string& file, std::string id = {});

    TokenOptions options_;
    std::vector<Key> keys_;
};

/// Whether it has the form of a JWT: three parts between dots, the first a JSON object with "alg".
bool looks_like_jwt(std::string_view token);

}  // namespace poplar::auth
