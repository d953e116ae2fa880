#include "screening/keys.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <new>

#include "base/ascii.h"
#include "screening/digest.h"
#include "screening/tag_list.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kEd25519Octets = 32;
constexpr unsigned kNewRsaBits = 2048;  // RFC 8301 s3.2: signers SHOULD use at least so many

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

KeyHandle own(EVP_PKEY* key) { return key ? KeyHandle(key, EVP_PKEY_free) : KeyHandle(); }

/// OpenSSL notes failures for the thread, where its next user (TLS) would take them for its own.
struct ForgetFailures {
    ~ForgetFailures() { ERR_clear_error(); }
};

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

Context new_context() {
    Context context(EVP_MD_CTX_new());
    if (!context) throw std::bad_alloc();
    return context;
}

/// A SubjectPublicKeyInfo, as all keys in use are, or an RSAPublicKey, as RFC 6376 s3.6.1 says it (erratum 3017).
KeyHandle read_rsa(std::string_view der) {
    const auto* at = octets(der);
    auto key = own(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
    if (!key) {
        at = octets(der);
        key = own(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(der.size())));
    }
    if (key && EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) return nullptr;
    return key;
}

bool names(const TagList& tags, std::string_view tag, std::string_view wanted) {
    const auto* value = tags.find(tag);
    if (!value) return true;
    return std::ranges::any_of(split(*value, ':'), [&](const auto& one) { return one == wanted || one == "*"; });
}

}  // namespace

std::string_view name_of(Algorithm algorithm) {
    return algorithm == Algorithm::rsa_sha256 ? "rsa-sha256" : "ed25519-sha256";
}

Result<PublicKey> PublicKey::parse(std::string_view record) {
    const ForgetFailures forget;
    const auto bad = [](std::string text) { return fail(Errc::invalid, std::move(text)); };
    const auto tags = TagList::parse(record);
    if (!tags) return bad("key record can't be read");
    if (const auto* version = tags->find("v"); version && (*version != "DKIM1" || tags->first() != "v"))
        return bad("key record has another version");
    const auto* data = tags->find("p");
    if (!data) return bad("key record without a key");
    if (data->empty()) return fail(Errc::not_found, "key revoked");
    if (!names(*tags, "h", "sha256")) return bad("key not for SHA-256");
    PublicKey key;
    const auto type = tags->value("k", "rsa");
    if (!names(*tags, "s", "email")) return bad("key not for mail");
    const auto decoded = decode_base64(*data);
    if (!decoded) return bad("key is no base64");
    if (type == "rsa") {
        key.key_ = read_rsa(*decoded);
        if (key.key_ && key.bits() < kLeastRsaBits) return bad(fmt::format("key of {} bits is too short", key.bits()));
        if (key.key_ && key.bits() > kMostRsaBits) return bad(fmt::format("key of {} bits is too long", key.bits()));
    } else if (type == "ed25519") {
        key.algorithm_ = Algorithm::ed25519_sha256;
        if (decoded->size() == kEd25519Octets)
            key.key_ = own(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(*decoded), decoded->size()));
    } else {
        return bad("key of an unknown type");
    }
    if (!key.key_) return bad("key can't be read");
    for (const auto& flag : split(tags->value("t"), ':')) {
        key.testing_ |= flag == "y";
        key.no_subdomains_ |= flag == "s";
    }
    return key;
}

int PublicKey::bits() const { return EVP_PKEY_get_bits(key_.get()); }

// RFC 8463 s3: what Ed25519 signs is the SHA-256 of the text.
bool PublicKey::verify(std::string_view text, std::string_view signature) const {
    const ForgetFailures forget;
    auto context = new_context();
    const bool rsa = algorithm_ == Algorithm::rsa_sha256;
    const auto hash = rsa ? std::string() : sha256(text);
    const auto signed_octets = rsa ? text : std::string_view(hash);
    return EVP_DigestVerifyInit(context.get(), nullptr, rsa ? EVP_sha256() : nullptr, nullptr, key_.get()) == 1 &&
           EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(signed_octets),
                            signed_octets.size()) == 1;
}

PrivateKey PrivateKey::make(Algorithm algorithm) {
    PrivateKey made;
    made.algorithm_ = algorithm;
    made.key_ = own(algorithm == Algorithm::rsa_sha256
                        ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(kNewRsaBits))
                        : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    if (!made.key_) throw std::bad_alloc();
    return made;
}

Result<PrivateKey> PrivateKey::load(std::string_view der) {
    const ForgetFailures forget;
    PrivateKey loaded;
    const auto* at = octets(der);
    loaded.key_ = own(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(der.size())));
    const int type = loaded.key_ ? EVP_PKEY_get_base_id(loaded.key_.get()) : 0;
    if (type != EVP_PKEY_RSA && type != EVP_PKEY_ED25519) return fail(Errc::corrupt, "a private key can't be read");
    loaded.algorithm_ = type == EVP_PKEY_RSA ? Algorithm::rsa_sha256 : Algorithm::ed25519_sha256;
    return loaded;
}

std::string PrivateKey::der() const {
    std::unique_ptr<PKCS8_PRIV_KEY_INFO, decltype(&PKCS8_PRIV_KEY_INFO_free)> info(EVP_PKEY2PKCS8(key_.get()),
                                                                                   PKCS8_PRIV_KEY_INFO_free);
    if (!info) throw std::bad_alloc();
    std::string out(static_cast<std::size_t>(i2d_PKCS8_PRIV_KEY_INFO(info.get(), nullptr)), '\0');
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    i2d_PKCS8_PRIV_KEY_INFO(info.get(), &to);
    return out;
}

std::string PrivateKey::record() const {
    std::string data;
    if (algorithm_ == Algorithm::rsa_sha256) {
        data.resize(static_cast<std::size_t>(i2d_PUBKEY(key_.get(), nullptr)));
        auto* to = reinterpret_cast<unsigned char*>(data.data());
        i2d_PUBKEY(key_.get(), &to);
    } else {
        std::size_t size = kEd25519Octets;
        data.resize(size);
        EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(data.data()), &size);
    }
    const auto type = algorithm_ == Algorithm::rsa_sha256 ? "rsa" : "ed25519";
    return fmt::format("v=DKIM1; k={}; p={}", type, encode_base64(data));
}

std::string PrivateKey::sign(std::string_view text) const {
    auto context = new_context();
    const bool rsa = algorithm_ == Algorithm::rsa_sha256;
    const auto hash = rsa ? std::string() : sha256(text);
    const auto to_sign = rsa ? text : std::string_view(hash);
    std::string out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
    std::size_t size = out.size();
    if (EVP_DigestSignInit(context.get(), nullptr, rsa ? EVP_sha256() : nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets(to_sign),
                       to_sign.size()) != 1)
        throw std::bad_alloc();
    out.resize(size);
    return out;
}

}  // namespace poplar::screening
