#include "auth/jwks.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <optional>

#include <nlohmann/json.hpp>

#include "auth/jwt.h"

namespace poplar::auth {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostKeys = 100;
constexpr std::size_t kMostOctets = 1024;  // of an RSA modulus: 8192 bits
constexpr std::size_t kP256Half = 32, kEd25519Octets = 32;

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* what) const {
        Free(what);
    }
};

std::string text_of(const Json& object, const char* name) {
    auto found = object.find(name);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// A number or octets, in base64url; nothing if it is none, or too long.
std::optional<std::string> octets_of(const Json& object, const char* name) {
    auto decoded = base64url_decode(text_of(object, name));
    if (!decoded || decoded->empty() || decoded->size() > kMostOctets) return std::nullopt;
    return std::move(*decoded);
}

const unsigned char* data_of(const std::string& octets) {
    return reinterpret_cast<const unsigned char*>(octets.data());
}

std::shared_ptr<EVP_PKEY> owned(EVP_PKEY* key) {
    ERR_clear_error();
    return key == nullptr ? nullptr : std::shared_ptr<EVP_PKEY>(key, EVP_PKEY_free);
}

std::shared_ptr<EVP_PKEY> from_parameters(const char* type, OSSL_PARAM_BLD* builder) {
    std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>> parameters(OSSL_PARAM_BLD_to_param(builder));
    std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>> context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* key = nullptr;
    if (parameters && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
        EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) == 1)
        return owned(key);
    return owned(nullptr);
}

// RFC 7518 s6.3.1.
std::shared_ptr<EVP_PKEY> rsa_key(const Json& jwk) {
    auto modulus = octets_of(jwk, "n"), exponent = octets_of(jwk, "e");
    if (!modulus || !exponent) return nullptr;
    auto number = [](const std::string& octets) {
        return std::unique_ptr<BIGNUM, Freed<BN_free>>(
            BN_bin2bn(data_of(octets), static_cast<int>(octets.size()), nullptr));
    };
    auto n = number(*modulus), e = number(*exponent);
    std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
    if (!n || !e || !builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
        return owned(nullptr);
    return from_parameters("RSA", builder.get());
}

// RFC 7518 s6.2.1.
std::shared_ptr<EVP_PKEY> p256_key(const Json& jwk) {
    auto x = octets_of(jwk, "x"), y = octets_of(jwk, "y");
    if (text_of(jwk, "crv") != "P-256" || !x || !y || x->size() != kP256Half || y->size() != kP256Half) return nullptr;
    const std::string point = '\x04' + *x + *y;  // SEC 1 s2.3.3, uncompressed
    std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
    if (!builder || OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1)
        return owned(nullptr);
    return from_parameters("EC", builder.get());  // a point that is not on the curve is refused there
}

// RFC 8037 s2.
std::shared_ptr<EVP_PKEY> ed25519_key(const Json& jwk) {
    auto x = octets_of(jwk, "x");
    if (text_of(jwk, "crv") != "Ed25519" || !x || x->size() != kEd25519Octets) return nullptr;
    return owned(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, data_of(*x), x->size()));
}

std::shared_ptr<EVP_PKEY> key_of(const Json& jwk) {
    if (!jwk.is_object() || (jwk.contains("use") && text_of(jwk, "use") != "sig")) return nullptr;
    const auto type = text_of(jwk, "kty");
    if (type == "RSA") return rsa_key(jwk);
    if (type == "EC") return p256_key(jwk);
    return type == "OKP" ? ed25519_key(jwk) : nullptr;
}

}  // namespace

Result<std::vector<Jwk>> parse_jwks(std::string_view json) {
    auto set = parse_object(json);
    auto keys = set ? set->find("keys") : Json::iterator();
    if (!set || keys == set->end() || !keys->is_array()) return fail(Errc::invalid, "not a JWK Set");
    std::vector<Jwk> all;
    for (std::size_t i = 0; i < keys->size() && i < kMostKeys; ++i) {
        const auto& jwk = (*keys)[i];
        if (auto key = key_of(jwk)) all.push_back({text_of(jwk, "kid"), std::move(key)});
    }
    return all;
}

Result<std::string> parse_discovery(std::string_view json, std::string_view issuer) {
    auto document = parse_object(json);
    if (!document) return fail(Errc::invalid, "not a JSON object");
    const auto named = text_of(*document, "issuer");
    if (named != issuer)
        return fail(Errc::invalid, fmt::format("the document is that of the issuer \"{}\", not of \"{}\"",
                                               named.substr(0, 200), issuer));
    auto keys = text_of(*document, "jwks_uri");
    if (keys.empty()) return fail(Errc::invalid, "no jwks_uri");
    return keys;
}

}  // namespace poplar::auth
