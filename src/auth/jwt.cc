// Verifies JWTs with OpenSSL.
#include "auth/jwt.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <fstream>
#include <iterator>

#include "auth/claims.h"
#include "auth/jwks.h"
#include "auth/sasl.h"

namespace poplar::auth {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kTokenLimit = 16 * 1024;  // octets
constexpr int kLeastRsaBits = 2048;             // RFC 7518 s3.3
constexpr std::size_t kEs256Half = 32;          // RFC 7518 s3.4: R and S, one behind the other

template <auto Free>
struct Freed {
    template <class T>
    void operator()(T* what) const {
        Free(what);
    }
};

struct Parts {
    std::string_view header, payload, signature, signed_text;
};

std::optional<Parts> split(std::string_view token) {
    auto first = token.find('.');
    if (first == std::string_view::npos) return std::nullopt;
    auto second = token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
    return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
                 token.substr(0, second)};
}

std::unexpected<Error> denied(std::string_view why) { return fail(Errc::denied, fmt::format("token: {}", why)); }

/// A JSON object, in base64url.
std::optional<Json> object_of(std::string_view text) {
    auto bytes = base64url_decode(text);
    return bytes ? parse_object(*bytes) : std::nullopt;
}

/// R and S as OpenSSL wants them.
std::optional<std::string> ecdsa_der(std::string_view raw) {
    if (raw.size() != 2 * kEs256Half) return std::nullopt;
    auto* octets = reinterpret_cast<const unsigned char*>(raw.data());
    std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> signature(ECDSA_SIG_new());
    BIGNUM* r = BN_bin2bn(octets, kEs256Half, nullptr);
    BIGNUM* s = BN_bin2bn(octets + kEs256Half, kEs256Half, nullptr);
    if (!signature || ECDSA_SIG_set0(signature.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return std::nullopt;
    }
    unsigned char* der = nullptr;
    int size = i2d_ECDSA_SIG(signature.get(), &der);
    if (size <= 0) return std::nullopt;
    std::string out(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return out;
}

bool verifies(EVP_PKEY* key, std::string_view algorithm, std::string_view text, std::string_view signature) {
    std::string der;
    if (algorithm == "ES256") {
        auto made = ecdsa_der(signature);
        if (!made) return false;
        der = std::move(*made);
        signature = der;
    }
    auto octets = [](std::string_view bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); };
    const EVP_MD* digest = algorithm == "EdDSA" ? nullptr : EVP_sha256();
    std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    bool good = context && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key) == 1 &&
                EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(text), text.size()) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace

// Nesting is bounded: nlohmann's parser does not recurse, but destruction does.
std::optional<Json> parse_object(std::string_view text) {
    constexpr int kDepth = 8;
    auto shallow = [](int depth, Json::parse_event_t, Json&) {
        if (depth > kDepth) throw std::length_error("JSON nested too deep");
        return true;
    };
    try {
        auto json = Json::parse(text, shallow, true);
        if (json.is_object()) return json;
    } catch (const std::exception&) {
    }
    return std::nullopt;
}

Result<std::string> base64url_decode(std::string_view text) {
    if (text.find_first_of("+/=") != std::string_view::npos) return fail(Errc::invalid, "not base64url");
    std::string plain(text);
    std::ranges::replace(plain, '-', '+');
    std::ranges::replace(plain, '_', '/');
    plain.append((4 - plain.size() % 4) % 4, '=');
    return base64_decode(plain);
}

JwtKeys::~JwtKeys() = default;

Result<JwtKeys> JwtKeys::load(const TokenOptions& options) {
    JwtKeys keys(options);
    for (const auto& file : options.key_files) {
        std::ifstream in(file, std::ios::binary);
        if (!in) return fail(Errc::invalid, file + ": can't be read");
        std::string pem{std::istreambuf_iterator<char>(in), {}};
        auto some = parse(options, pem, file);
        if (!some) return pass_on(some);
        std::ranges::move(some->keys_, std::back_inserter(keys.keys_));
    }
    return keys;
}

Result<JwtKeys> JwtKeys::parse(const TokenOptions& options, std::string_view pem, const std::string& file) {
    JwtKeys keys(options);
    std::unique_ptr<BIO, Freed<BIO_free>> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    for (;;) {
        char *name = nullptr, *header = nullptr;
        unsigned char* data = nullptr;
        long size = 0;
        if (PEM_read_bio(bio.get(), &name, &header, &data, &size) != 1) break;
        std::string_view kind(name);
        const unsigned char* at = data;
        EVP_PKEY* key = nullptr;
        if (kind == PEM_STRING_PUBLIC) {
            key = d2i_PUBKEY(nullptr, &at, size);
        } else if (kind == PEM_STRING_X509) {
            std::unique_ptr<X509, Freed<X509_free>> certificate(d2i_X509(nullptr, &at, size));
            if (certificate) key = X509_get_pubkey(certificate.get());
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, static_cast<std::size_t>(size));
        ERR_clear_error();
        if (key == nullptr) return fail(Errc::invalid, file + ": holds what is no public key and no certificate");
        if (auto added = keys.add({key, EVP_PKEY_free}, file); !added) return pass_on(added);
    }
    ERR_clear_error();
    if (keys.keys_.empty()) return fail(Errc::invalid, file + ": holds no public key");
    return keys;
}

Result<JwtKeys> JwtKeys::parse_jwks(const TokenOptions& options, std::string_view json) {
    auto set = auth::parse_jwks(json);
    if (!set) return pass_on(set);
    JwtKeys keys(options);
    for (auto& [id, key] : *set) (void)keys.add(std::move(key), "JWK Set", std::move(id));
    if (keys.keys_.empty()) return fail(Errc::invalid, "the JWK Set holds no key that may be used");
    return keys;
}

Result<> JwtKeys::add(std::shared_ptr<EVP_PKEY> key, const std::string& file, std::string id) {
    std::string algorithm;
    switch (EVP_PKEY_get_base_id(key.get())) {
        case EVP_PKEY_RSA:
            if (EVP_PKEY_get_bits(key.get()) < kLeastRsaBits)
                return fail(Errc::invalid, file + ": an RSA key of less than 2048 bits");
            algorithm = "RS256";
            break;
        case EVP_PKEY_EC: {
            char curve[64] = "";
            std::size_t length = 0;
            EVP_PKEY_get_group_name(key.get(), curve, sizeof curve, &length);
            if (std::string_view(curve, length) != "prime256v1")
                return fail(Errc::invalid, file + ": an elliptic curve that is not P-256");
            algorithm = "ES256";
            break;
        }
        case EVP_PKEY_ED25519: algorithm = "EdDSA"; break;
        default: return fail(Errc::invalid, file + ": a key of another kind than RSA, P-256 and Ed25519");
    }
    if (std::ranges::find(options_.algorithms, algorithm) == options_.algorithms.end())
        return fail(Errc::invalid, fmt::format("{}: a key for {}, which the algorithms don't allow", file, algorithm));
    keys_.push_back({std::move(algorithm), std::move(key), std::move(id)});
    return {};
}

/// The token's claims, still encoded, because one of the keys signed them. Errors: denied.
Result<std::string_view> JwtKeys::signed_payload(std::string_view token) const {
    if (token.size() > kTokenLimit) return denied("too long");
    auto parts = split(token);
    if (!parts) return denied("not a JWT");
    auto header = object_of(parts->header);
    auto algorithm = header ? header->find("alg") : Json::iterator();
    if (!header || algorithm == header->end() || !algorithm->is_string()) return denied("a malformed JWT header");
    if (header->contains("crit")) return denied("an extension that must be understood");  // RFC 7515 s4.1.11
    auto signature = base64url_decode(parts->signature);
    if (!signature) return denied("a malformed signature");
    bool right = std::ranges::any_of(keys_, [&](const Key& key) {
        return *algorithm == key.algorithm && verifies(key.key.get(), key.algorithm, parts->signed_text, *signature);
    });
    if (!right) return denied("signed by none of the keys");
    return parts->payload;
}

Result<TokenHolder> JwtKeys::holder_of(std::string_view token, Timestamp now) const {
    auto payload = signed_payload(token);
    if (!payload) return pass_on(payload);
    auto claims = object_of(*payload);
    if (!claims) return denied("malformed claims");
    // A JWT without an expiry could never be taken back, because the issuer is not asked about it.
    if (!claims->contains("exp")) return denied("no expiry");
    return holder_by_claims(*claims, options_, now);
}

bool looks_like_jwt(std::string_view token) {
    auto parts = split(token);
    auto header = parts ? object_of(parts->header) : std::nullopt;
    return header && header->contains("alg");
}

}  // namespace poplar::auth
