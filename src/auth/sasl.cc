#include "auth/sasl.h"

#include <array>
#include <cstdint>

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

/// Octets of the UTF-8 character that `text` begins with (RFC 3629 s4); 0 if it is none.
std::size_t utf8_length(std::string_view text) {
    auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    auto follows = [&](std::size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
        return i < text.size() && octet(i) >= low && octet(i) <= high;
    };
    unsigned first = octet(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        bool second = follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);  // no surrogates
        return second && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        bool second = follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
        return second && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        std::size_t length = utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
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
    if (!is_utf8(authorization_id) || !is_utf8(authentication_id) || !is_utf8(password))
        return fail(Errc::invalid, "PLAIN: not UTF-8");
    // The strings are taken as they are: RFC 4616 s2 leaves SASLprep to the server, and imported hashes were made
    // without it.
    return PlainMessage{std::string(authorization_id), std::string(authentication_id), std::string(password)};
}

}  // namespace poplar::auth
