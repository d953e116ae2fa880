#include "imap/mailbox_name.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/ascii.h"

namespace poplar::imap {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
constexpr std::string_view kInbox = "INBOX";

bool is_printable(char c) { return c >= 0x20 && c <= 0x7e; }

/// The code point at the beginning of valid UTF-8, which is taken off.
char32_t take_code_point(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    const std::size_t more = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    auto point = static_cast<char32_t>(more == 0 ? first : first & (0x3f >> more));
    for (std::size_t i = 1; i <= more && i < text.size(); ++i)
        point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
    text.remove_prefix(std::min(more + 1, text.size()));
    return point;
}

void append_utf8(std::string& out, char32_t point) {
    const auto octet = [&](char32_t value) { out += static_cast<char>(value); };
    if (point < 0x80) {
        octet(point);
    } else if (point < 0x800) {
        octet(0xc0 | point >> 6);
        octet(0x80 | (point & 0x3f));
    } else if (point < 0x1'0000) {
        octet(0xe0 | point >> 12);
        octet(0x80 | (point >> 6 & 0x3f));
        octet(0x80 | (point & 0x3f));
    } else {
        octet(0xf0 | point >> 18);
        octet(0x80 | (point >> 12 & 0x3f));
        octet(0x80 | (point >> 6 & 0x3f));
        octet(0x80 | (point & 0x3f));
    }
}

std::string encode_run(const std::vector<std::uint16_t>& units) {
    std::string out = "&";
    std::uint32_t bits = 0;
    int count = 0;
    for (auto unit : units) {
        bits = bits << 16 | unit;
        count += 16;
        while (count >= 6) {
            count -= 6;
            out += kAlphabet[bits >> count & 0x3f];
        }
        bits &= (1u << count) - 1;
    }
    if (count > 0) out += kAlphabet[bits << (6 - count) & 0x3f];
    return out += '-';
}

/// The UTF-8 of what stands between "&" and "-".
std::optional<std::string> decode_run(std::string_view text) {
    std::string out;
    std::uint32_t bits = 0, high = 0;
    int count = 0;
    for (char c : text) {
        const auto value = kAlphabet.find(c);
        if (value == kAlphabet.npos) return std::nullopt;
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count < 16) continue;
        count -= 16;
        const auto unit = bits >> count & 0xffff;
        bits &= (1u << count) - 1;
        const bool is_high = unit >= 0xd800 && unit < 0xdc00, is_low = unit >= 0xdc00 && unit < 0xe000;
        if (is_low != (high != 0)) return std::nullopt;
        if (is_high) {
            high = unit;
        } else if (is_low) {
            append_utf8(out, 0x1'0000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
            high = 0;
        } else {
            append_utf8(out, unit);
        }
    }
    if (high != 0 || count >= 6 || bits != 0 || out.empty()) return std::nullopt;
    return out;
}

bool fits(std::string_view name, std::string_view pattern) {
    // The last wildcards, to which a mismatch goes back: "*" may take any octet more, "%" any but "/".
    std::size_t n = 0, p = 0, star_p = pattern.npos, star_n = 0, percent_p = pattern.npos, percent_n = 0;
    for (;;) {
        if (p < pattern.size() && pattern[p] == '*') {
            star_p = ++p, star_n = n, percent_p = pattern.npos;
        } else if (p < pattern.size() && pattern[p] == '%') {
            percent_p = ++p, percent_n = n;
        } else if (p < pattern.size() && n < name.size() && pattern[p] == name[n]) {
            ++p, ++n;
        } else if (p == pattern.size() && n == name.size()) {
            return true;
        } else if (percent_p != pattern.npos && percent_n < name.size() && name[percent_n] != '/') {
            p = percent_p, n = ++percent_n;
        } else if (star_p != pattern.npos && star_n < name.size()) {
            p = star_p, n = ++star_n, percent_p = pattern.npos;
        } else {
            return false;
        }
    }
}

bool is_inbox_part(std::string_view text) {
    return ascii::starts_with(text, kInbox) && (text.size() == kInbox.size() || text[kInbox.size()] == '/');
}

}  // namespace

std::string to_utf7(std::string_view name) {
    std::string out;
    while (!name.empty()) {
        const char c = name.front();
        if (is_printable(c)) {
            out += c;
            if (c == '&') out += '-';
            name.remove_prefix(1);
            continue;
        }
        std::vector<std::uint16_t> units;
        while (!name.empty() && !is_printable(name.front())) {
            const auto point = take_code_point(name);
            if (point >= 0x1'0000) {
                units.push_back(static_cast<std::uint16_t>(0xd800 + ((point - 0x1'0000) >> 10)));
                units.push_back(static_cast<std::uint16_t>(0xdc00 + ((point - 0x1'0000) & 0x3ff)));
            } else {
                units.push_back(static_cast<std::uint16_t>(point));
            }
        }
        out += encode_run(units);
    }
    return out;
}

std::optional<std::string> from_utf7(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_printable(text[i])) return std::nullopt;
        if (text[i] != '&') {
            out += text[i];
            continue;
        }
        const auto end = text.find('-', i);
        if (end == text.npos) return std::nullopt;
        const auto inside = text.substr(i + 1, end - i - 1);
        if (inside.empty()) {
            out += '&';
        } else {
            auto decoded = decode_run(inside);
            if (!decoded) return std::nullopt;
            out += *decoded;
        }
        i = end;
    }
    if (to_utf7(out) != text) return std::nullopt;
    return out;
}

bool fits_pattern(std::string_view name, std::string_view pattern) {
    if (!is_inbox_part(name) || !ascii::starts_with(pattern, kInbox)) return fits(name, pattern);
    return fits(name.substr(kInbox.size()), pattern.substr(kInbox.size()));
}

}  // namespace poplar::imap
