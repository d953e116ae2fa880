// SCRAM's keys and messages.
#include "auth/scram.h"

#include <fmt/format.h>
#include <gsasl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "auth/sasl.h"
#include "base/encoding.h"
#include "base/random.h"
#include "mail/address.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kSaltOctets = 16;
constexpr std::size_t kSaltLimit = 256;
constexpr std::size_t kNonceLimit = 1024, kNameLimit = 1024;  // octets

struct HashInfo {
    std::string_view prefix;
    const EVP_MD* algorithm;
    std::size_t octets;
};

const HashInfo& info(ScramHash hash) {
    // Fetched once: OpenSSL would look for EVP_sha256() at each use, which costs more than the digest of a key.
    static const HashInfo sha1{"{SCRAM-SHA-1}", EVP_MD_fetch(nullptr, "SHA1", nullptr), 20};
    static const HashInfo sha256{"{SCRAM-SHA-256}", EVP_MD_fetch(nullptr, "SHA256", nullptr), 32};
    return hash == ScramHash::sha1 ? sha1 : sha256;
}

const unsigned char* octets(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

/// The hash that `{SCRAM-...}` names at the beginning.
std::optional<ScramHash> prefix_of(std::string_view stored) {
    for (auto hash : {ScramHash::sha1, ScramHash::sha256}) {
        const auto& prefix = info(hash).prefix;
        if (stored.size() >= prefix.size() && OPENSSL_strncasecmp(stored.data(), prefix.data(), prefix.size()) == 0)
            return hash;
    }
    return std::nullopt;
}

std::string hmac(ScramHash hash, std::string_view key, std::string_view text) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (HMAC(info(hash).algorithm, key.data(), static_cast<int>(key.size()), octets(text), text.size(), out, &size) ==
        nullptr)
        std::abort();  // OpenSSL without SHA
    return {reinterpret_cast<const char*>(out), size};
}

std::string digest(ScramHash hash, std::string_view text) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_Digest(text.data(), text.size(), out, &size, info(hash).algorithm, nullptr) != 1) std::abort();
    return {reinterpret_cast<const char*>(out), size};
}

bool equal(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

/// Takes what stands before the next comma off `text`, and the comma; the last field has none.
std::string_view take_field(std::string_view& text) {
    auto end = std::min(text.find(','), text.size());
    auto field = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return field;
}

/// `x=value` without `x=`. Errors: invalid.
Result<std::string_view> value_of(std::string_view field, char name) {
    if (field.size() < 2 || field[0] != name || field[1] != '=')
        return fail(Errc::invalid, fmt::format("SCRAM: no {}= where it belongs", name));
    return field.substr(2);
}

bool is_printable(std::string_view text) {  // RFC 5802 s7, without the comma that no field can hold
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

/// RFC 5802 s5.1: "=2C" is a comma, "=3D" an equals sign. Errors: invalid.
Result<std::string> decode_name(std::string_view text) {
    std::string name;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\0') return fail(Errc::invalid, "SCRAM: a NUL in a name");
        if (text[i] != '=') {
            name.push_back(text[i]);
            continue;
        }
        auto code = text.substr(i + 1, 2);
        if (code != "2C" && code != "3D") return fail(Errc::invalid, "SCRAM: a malformed name");
        name.push_back(code == "2C" ? ',' : '=');
        i += 2;
    }
    if (name.empty() || name.size() > kNameLimit) return fail(Errc::invalid, "SCRAM: an empty name, or one too long");
    return name;
}

}  // namespace

Result<ScramKeys> parse_scram_keys(std::string_view stored) {
    auto malformed = [] { return fail(Errc::invalid, "malformed SCRAM keys"); };
    ScramKeys keys;
    auto hash = prefix_of(stored);
    if (!hash) return malformed();
    keys.hash = *hash;
    stored.remove_prefix(info(*hash).prefix.size());
    if (std::ranges::count(stored, ',') != 3) return malformed();
    auto iterations = take_field(stored);
    auto [end, error] = std::from_chars(iterations.data(), iterations.data() + iterations.size(), keys.iterations);
    if (error != std::errc{} || end != iterations.data() + iterations.size()) return malformed();
    if (keys.iterations < kScramLeastIterations || keys.iterations > kScramMostIterations)
        return fail(Errc::invalid, "SCRAM keys with too few or too many iterations");
    for (auto* part : {&keys.salt, &keys.stored_key, &keys.server_key}) {
        auto decoded = base64_decode(take_field(stored));
        if (!decoded) return malformed();
        *part = std::move(*decoded);
    }
    auto size = info(keys.hash).octets;
    if (keys.salt.empty() || keys.salt.size() > kSaltLimit || keys.stored_key.size() != size ||
        keys.server_key.size() != size)
        return malformed();
    return keys;
}

std::string to_string(const ScramKeys& keys) {
    return fmt::format("{}{},{},{},{}", info(keys.hash).prefix, keys.iterations, base64_encode(keys.salt),
                       base64_encode(keys.stored_key), base64_encode(keys.server_key));
}

std::optional<ScramKeys> find_scram_keys(std::string_view several, ScramHash hash) {
    return take_scram_keys(several, hash);
}

std::optional<ScramKeys> take_scram_keys(std::string_view& several, ScramHash hash) {
    while (!several.empty()) {
        auto one = several.substr(0, several.find('{', 1));
        several.remove_prefix(one.size());
        if (prefix_of(one) != hash) continue;
        if (auto keys = parse_scram_keys(one)) return std::move(*keys);
    }
    return std::nullopt;
}

std::optional<std::string> sasl_prepare(std::string_view text) {
    if (std::ranges::all_of(text, [](char c) { return c >= 0x20 && c <= 0x7e; })) return std::string(text);
    if (text.find('\0') != std::string_view::npos) return std::nullopt;  // it takes C strings
    char* prepared = nullptr;
    if (gsasl_saslprep(std::string(text).c_str(), GSASL_ALLOW_UNASSIGNED, &prepared, nullptr) != GSASL_OK)
        return std::nullopt;
    std::string out(prepared);
    OPENSSL_cleanse(prepared, out.size());
    gsasl_free(prepared);
    return out;
}

bool sasl_prohibits(std::string_view text) {
    constexpr int kContainsProhibited = 2;  // libidn's STRINGPREP_CONTAINS_PROHIBITED
    if (std::ranges::none_of(text, [](char c) { return (c & 0x80) != 0; })) return false;
    if (text.find('\0') != std::string_view::npos) return true;
    char* prepared = nullptr;
    int why = 0;
    if (gsasl_saslprep(std::string(text).c_str(), GSASL_ALLOW_UNASSIGNED, &prepared, &why) != GSASL_OK)
        return why == kContainsProhibited;
    OPENSSL_cleanse(prepared, std::strlen(prepared));
    gsasl_free(prepared);
    return false;
}

namespace {

std::string salted_password(ScramHash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations) {
    auto prepared = sasl_prepare(password).value_or(std::string(password));
    std::string salted(info(hash).octets, '\0');
    if (PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), octets(salt),
                          static_cast<int>(salt.size()), static_cast<int>(iterations), info(hash).algorithm,
                          static_cast<int>(salted.size()), reinterpret_cast<unsigned char*>(salted.data())) != 1)
        std::abort();
    OPENSSL_cleanse(prepared.data(), prepared.size());
    return salted;
}

}  // namespace

// RFC 5802 s3
ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::string_view salt,
                            std::uint32_t iterations) {
    auto salted = salted_password(hash, password, salt, iterations);
    ScramKeys keys{hash, iterations, std::string(salt), digest(hash, hmac(hash, salted, "Client Key")),
                   hmac(hash, salted, "Server Key")};
    OPENSSL_cleanse(salted.data(), salted.size());
    return keys;
}

encryption::SecretText scram_client_key(ScramHash hash, std::string_view password, std::string_view salt,
                                        std::uint32_t iterations) {
    auto salted = salted_password(hash, password, salt, iterations);
    encryption::SecretText key(hmac(hash, salted, "Client Key"));
    OPENSSL_cleanse(salted.data(), salted.size());
    return key;
}

ScramKeys derive_scram_keys(ScramHash hash, std::string_view password, std::uint32_t iterations) {
    std::string salt(kSaltOctets, '\0');
    random_bytes(salt.data(), salt.size());
    return derive_scram_keys(hash, password, salt, iterations);
}

bool matches(const ScramKeys& keys, std::string_view password) {
    auto made = derive_scram_keys(keys.hash, password, keys.salt, keys.iterations);
    return equal(made.stored_key, keys.stored_key);
}

ScramKeys pretended_scram_keys(ScramHash hash, std::string_view server_secret, std::string_view name, ScramKind kind) {
    auto part = [&](std::string_view what) {
        return hmac(hash, server_secret, fmt::format("{}{}{}", what, info(hash).prefix, name));
    };
    std::string salt = part("s");
    for (int more = 1; salt.size() < kind.salt_octets; ++more) salt += part(fmt::format("s{}:", more));
    salt.resize(kind.salt_octets);
    return {hash, kind.iterations, std::move(salt), part("c"), part("v")};
}

ScramKind choose_scram_kind(const std::map<ScramKind, std::size_t>& kinds, std::string_view server_secret,
                            std::string_view name) {
    // Weighted rendezvous hashing: each kind draws a number for the name, and the lowest wins.
    auto draw = [&](const ScramKind& kind, std::size_t weight) {
        auto octets =
            hmac(ScramHash::sha256, server_secret, fmt::format("k{},{},{}", kind.iterations, kind.salt_octets, name));
        auto number = static_cast<double>(Decoder(octets).u64() | 1) * 0x1p-64;
        return -std::log(number) / static_cast<double>(weight);
    };
    auto chosen = std::ranges::min_element(kinds, {}, [&](const auto& one) { return draw(one.first, one.second); });
    return chosen->first;
}

Result<Gs2Header> parse_gs2_header(std::string_view message) {
    Gs2Header header;
    auto rest = message;
    auto first = std::count(message.begin(), message.end(), ',') < 2 ? std::string_view() : take_field(rest);
    if (first == "n" || first == "y") {
        header.flag = first[0];
    } else if (first.starts_with("p=") && is_printable(first.substr(2))) {
        header.flag = 'p';
        header.binding = first.substr(2);
    } else {
        return fail(Errc::invalid, "a malformed GS2 header");
    }
    if (auto id = take_field(rest); !id.empty()) {
        auto text = value_of(id, 'a');
        if (!text) return pass_on(text);
        auto name = decode_name(*text);
        if (!name) return pass_on(name);
        header.authorization_id = std::move(*name);
    }
    header.octets = message.size() - rest.size();
    return header;
}

Result<ScramClientFirst> parse_scram_client_first(std::string_view message) {
    auto gs2 = parse_gs2_header(message);
    if (!gs2) return pass_on(gs2);
    ScramClientFirst first;
    first.gs2_text = message.substr(0, gs2->octets);
    first.gs2 = std::move(*gs2);
    auto rest = message.substr(first.gs2.octets);
    first.bare = rest;
    // "m=" in front would be an extension that must be understood (RFC 5802 s5.1): it fails here.
    auto name = value_of(take_field(rest), 'n');
    if (!name) return pass_on(name);
    auto decoded = decode_name(*name);
    if (!decoded) return pass_on(decoded);
    if (!mail::is_utf8(*decoded)) return fail(Errc::invalid, "SCRAM: a name that is not UTF-8");
    first.name = std::move(*decoded);
    auto nonce = value_of(take_field(rest), 'r');
    if (!nonce) return pass_on(nonce);
    if (!is_printable(*nonce) || nonce->size() > kNonceLimit) return fail(Errc::invalid, "SCRAM: a malformed nonce");
    first.nonce = *nonce;
    return first;
}

void ScramProof::Free::operator()(evp_mac_ctx_st* hmac) const { EVP_MAC_CTX_free(hmac); }

ScramProof::ScramProof(ScramHash hash, std::string message, std::string proof)
    : hash_(hash), message_(std::move(message)), proof_(std::move(proof)) {
    static EVP_MAC* const algorithm = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    hmac_.reset(EVP_MAC_CTX_new(algorithm));
    std::string name = EVP_MD_get0_name(info(hash).algorithm);
    OSSL_PARAM digest[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name.data(), 0),
                           OSSL_PARAM_construct_end()};
    if (EVP_MAC_CTX_set_params(hmac_.get(), digest) != 1) std::abort();  // OpenSSL without SHA
}

// RFC 5802 s3.
std::optional<std::string> ScramProof::answer(const ScramKeys& keys) {
    std::string client_key(info(hash_).octets, '\0');  // the client's signature at first
    std::size_t size = 0;
    if (EVP_MAC_init(hmac_.get(), octets(keys.stored_key), keys.stored_key.size(), nullptr) != 1 ||
        EVP_MAC_update(hmac_.get(), octets(message_), message_.size()) != 1 ||
        EVP_MAC_final(hmac_.get(), reinterpret_cast<unsigned char*>(client_key.data()), &size, client_key.size()) != 1)
        std::abort();  // as hmac()
    for (std::size_t i = 0; i < client_key.size(); ++i) client_key[i] = static_cast<char>(client_key[i] ^ proof_[i]);
    bool proven = equal(digest(hash_, client_key), keys.stored_key);
    client_key_ = encryption::SecretText(std::move(client_key));
    if (!proven) return std::nullopt;
    return "v=" + base64_encode(hmac(hash_, keys.server_key, message_));
}

ScramServer::ScramServer(ScramClientFirst first, const ScramKeys& challenge, std::string_view nonce,
                         std::string binding)
    : first_(std::move(first)), hash_(challenge.hash), nonce_(first_.nonce), binding_(std::move(binding)) {
    nonce_.append(nonce);
    first_message_ = fmt::format("r={},s={},i={}", nonce_, base64_encode(challenge.salt), challenge.iterations);
}

// RFC 5802 s5.1, s7.
Result<ScramProof> ScramServer::read_proof(std::string_view client_final) const {
    auto proof_at = client_final.rfind(",p=");
    if (proof_at == std::string_view::npos) return fail(Errc::invalid, "SCRAM: no proof");
    auto without_proof = client_final.substr(0, proof_at);
    auto proof = base64_decode(client_final.substr(proof_at + 3));
    if (!proof || proof->size() != info(hash_).octets) return fail(Errc::invalid, "SCRAM: a malformed proof");
    auto rest = without_proof;
    auto channel = value_of(take_field(rest), 'c');
    if (!channel) return pass_on(channel);
    auto bound = base64_decode(*channel);
    if (!bound) return fail(Errc::invalid, "SCRAM: a malformed channel binding");
    auto nonce = value_of(take_field(rest), 'r');
    if (!nonce) return pass_on(nonce);
    if (!equal(*nonce, nonce_)) return fail(Errc::denied, "SCRAM: another nonce");
    if (!equal(*bound, first_.gs2_text + binding_)) return fail(Errc::denied, "SCRAM: another channel binding");
    auto message = fmt::format("{},{},{}", first_.bare, first_message_, without_proof);
    return ScramProof(hash_, std::move(message), std::move(*proof));
}

}  // namespace poplar::auth
