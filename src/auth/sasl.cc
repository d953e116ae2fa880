#include "auth/sasl.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>
#include <cstdint>
#include <span>

#include "base/ascii.h"
#include "mail/address.h"

namespace poplar::auth {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t kNotBase64 = 0xff;

constexpr auto kValues = [] {
    std::array<std::uint8_t, 256> values;
    values.fill(kNotBase64);
    for (std::size_t i = 0; i < kAlphabet.size(); ++i)
        values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
    return values;
}();

constexpr std::size_t kMd5Digits = 32;

std::optional<std::string> lower_hex(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        c = ascii::lower(c);
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return std::nullopt;
    }
    return out;
}

/// In constant time.
bool is_hex_of(std::string_view digest, std::span<const unsigned char> octets) {
    auto made = fmt::format("{:02x}", fmt::join(octets, ""));
    return made.size() == digest.size() && CRYPTO_memcmp(made.data(), digest.data(), made.size()) == 0;
}

constexpr std::size_t kIdentityLimit = 255;  // RFC 4616 s2: what a server must accept
constexpr std::size_t kPasswordLimit = 1024;

}  // namespace

Result<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return fail(Errc::invalid, "base64: length is not a multiple of four");
    std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t bits = 0;
    int count = 0;
    for (char c : text.substr(0, text.size() - padding)) {
        std::uint8_t value = kValues[static_cast<unsigned char>(c)];
        if (value == kNotBase64) return fail(Errc::invalid, "base64: a character outside the alphabet");
        bits = (bits << 6 | value) & 0xffff;
        count += 6;
        if (count < 8) continue;
        count -= 8;
        bytes.push_back(static_cast<char>(bits >> count));
    }
    // RFC 4648 s3.5: the unused bits are zero, so that every value has one spelling.
    if ((bits & ((1U << count) - 1)) != 0) return fail(Errc::invalid, "base64: unused bits are set");
    return bytes;
}

std::string base64_encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        auto octet = [&](std::size_t at) -> std::uint32_t {
            return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0;
        };
        std::uint32_t group = octet(i) << 16 | octet(i + 1) << 8 | octet(i + 2);
        text.push_back(kAlphabet[group >> 18]);
        text.push_back(kAlphabet[group >> 12 & 63]);
        text.push_back(i + 1 < bytes.size() ? kAlphabet[group >> 6 & 63] : '=');
        text.push_back(i + 2 < bytes.size() ? kAlphabet[group & 63] : '=');
    }
    return text;
}

Result<PlainMessage> parse_plain(std::string_view message) {
    std::size_t first = message.find('\0');
    if (first == std::string_view::npos) return fail(Errc::invalid, "PLAIN: no separator");
    std::size_t second = message.find('\0', first + 1);
    if (second == std::string_view::npos) return fail(Errc::invalid, "PLAIN: one separator only");
    auto authorization_id = message.substr(0, first);
    auto authentication_id = message.substr(first + 1, second - first - 1);
    auto password = message.substr(second + 1);
    if (password.find('\0') != std::string_view::npos) return fail(Errc::invalid, "PLAIN: a third separator");
    if (authentication_id.empty()) return fail(Errc::invalid, "PLAIN: no authentication identity");
    if (password.empty()) return fail(Errc::invalid, "PLAIN: no password");
    if (authorization_id.size() > kIdentityLimit || authentication_id.size() > kIdentityLimit)
        return fail(Errc::invalid, "PLAIN: identity too long");
    if (password.size() > kPasswordLimit) return fail(Errc::invalid, "PLAIN: password too long");
    if (!mail::is_utf8(authorization_id) || !mail::is_utf8(authentication_id) || !mail::is_utf8(password))
        return fail(Errc::invalid, "PLAIN: not UTF-8");
    // The strings are taken as they are: RFC 4616 s2 leaves SASLprep to the server, and imported hashes were made
    // without it.
    return PlainMessage{std::string(authorization_id), std::string(authentication_id), std::string(password)};
}

Result<CramMessage> parse_cram(std::string_view message) {
    auto space = message.rfind(' ');
    if (space == std::string_view::npos || space == 0) return fail(Errc::invalid, "CRAM-MD5: no name and digest");
    auto digest = lower_hex(message.substr(space + 1));
    auto name = message.substr(0, space);
    if (!digest || digest->size() != kMd5Digits) return fail(Errc::invalid, "CRAM-MD5: a malformed digest");
    if (name.size() > kIdentityLimit || !mail::is_utf8(name) || name.find('\0') != std::string_view::npos)
        return fail(Errc::invalid, "CRAM-MD5: a malformed name");
    return CramMessage{std::string(name), std::move(*digest)};
}

bool cram_md5_matches(std::string_view digest, std::string_view challenge, std::string_view secret) {
    unsigned char made[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    bool done =
        HMAC(EVP_md5(), secret.data(), static_cast<int>(secret.size()),
             reinterpret_cast<const unsigned char*>(challenge.data()), challenge.size(), made, &size) != nullptr;
    return done && is_hex_of(digest, {made, size});
}

bool apop_matches(std::string_view digest, std::string_view timestamp, std::string_view secret) {
    std::string input(timestamp);
    input.append(secret);
    unsigned char made[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    bool done = EVP_Digest(input.data(), input.size(), made, &size, EVP_md5(), nullptr) == 1;
    OPENSSL_cleanse(input.data(), input.size());
    return done && is_hex_of(digest, {made, size});
}

}  // namespace poplar::auth
