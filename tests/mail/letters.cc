// Finds letters as UTF-8 and in each form that ASCII has for them, apart from the code that is tested.
#include "tests/mail/letters.h"

#include <idn2.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>

#include "mail/address.h"
#include "mail/header_walk.h"

namespace poplar::mail::test {
namespace {

const std::uint8_t* units(std::string_view text) { return reinterpret_cast<const std::uint8_t*>(text.data()); }
template <class T>
std::unique_ptr<T, decltype(&std::free)> owned(T* p) {
    return {p, &std::free};
}

std::string utf8(std::uint32_t c) {
    std::uint8_t octets[6];
    const int size = u8_uctomb(octets, c, sizeof octets);
    return size > 0 ? std::string(reinterpret_cast<char*>(octets), static_cast<std::size_t>(size)) : std::string();
}

std::optional<unsigned> hexadecimal(std::string_view digits) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
}

/// The text in encoded-words of UTF-8, as a strict reader finds them (RFC 2047 s2).
std::string in_encoded_words(std::string_view text) {
    constexpr std::string_view kBegin = "=?UTF-8?";
    std::string out;
    for (std::size_t at = 0; (at = text.find(kBegin, at)) != text.npos; ++at) {
        const auto end = text.find_first_of("? \t\r\n", at + kBegin.size() + 2);
        if (end != text.npos && text.substr(end).starts_with("?="))
            out += decode_for_display(text.substr(at, end + 2 - at)) + ' ';
    }
    return out;
}

/// "%XX" in a row, if they are UTF-8.
std::string without_percents(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::string octets;
        auto rest = text;
        while (rest.size() > 2 && rest.front() == '%') {
            const auto octet = hexadecimal(rest.substr(1, 2));
            if (!octet) break;
            octets += static_cast<char>(*octet);
            rest.remove_prefix(3);
        }
        if (!octets.empty() && is_utf8(octets)) {
            out += octets;
            text = rest;
        } else {
            out += text.front();
            text.remove_prefix(1);
        }
    }
    return out;
}

/// The parts of a parameter in one: ";", a fold, a name, "*", a number and "*=" go.
std::string without_parts(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.front() == ';') {
            const auto name = std::min(text.find_first_not_of(" \t\r\n", 1), text.size());
            const auto between = text.substr(name, text.find_first_of(" \t\r\n;=", name) - name);
            const auto number = between.find('*');
            if (number != between.npos && number + 1 < between.size() && between.ends_with('*') &&
                between.find_first_not_of("0123456789", number + 1) == between.size() - 1) {
                text.remove_prefix(std::min(name + between.size() + 1, text.size()));
                continue;
            }
        }
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

/// "\x{...}" as the character.
std::string without_embedded(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const auto end = text.substr(0, 11).find('}');
        if (text.starts_with("\\x{") && end != text.npos) {
            if (const auto c = hexadecimal(text.substr(3, end - 3))) {
                out += utf8(*c);
                text.remove_prefix(end + 1);
                continue;
            }
        }
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

std::string without_a_labels(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        if (text.starts_with("xn--")) {
            const std::string label(text.substr(0, text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-")));
            char* found = nullptr;
            if (idn2_to_unicode_8z8z(label.c_str(), &found, 0) == IDN2_OK) {
                const auto free = owned(found);
                out += found;
                text.remove_prefix(label.size());
                continue;
            }
        }
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

}  // namespace

std::u32string letters(std::string_view text) {
    std::string clean;
    while (!text.empty()) {
        ucs4_t c = 0;
        const int size = u8_mbtouc(&c, units(text), text.size());
        clean += c == 0xfffd ? std::string(" ") : std::string(text.substr(0, static_cast<std::size_t>(size)));
        text.remove_prefix(static_cast<std::size_t>(size));
    }
    std::u32string out;
    std::size_t count = 0;
    const auto folded = owned(u8_casefold(units(clean), clean.size(), nullptr, UNINORM_NFKD, nullptr, &count));
    for (std::size_t at = 0; at < count;) {
        ucs4_t c = 0;
        at += static_cast<std::size_t>(u8_mbtouc(&c, folded.get() + at, count - at));
        if (c > 0x7f && (uc_is_alpha(c) || uc_combining_class(c) != 0)) out += static_cast<char32_t>(c);
    }
    std::ranges::sort(out);
    return out;
}

std::u32string letters_said(std::string_view text) {
    std::string ascii(text);
    std::ranges::replace_if(ascii, [](char c) { return (c & 0x80) != 0; }, '\1');
    auto out = letters(text);
    for (const auto& said : {in_encoded_words(ascii), without_percents(without_parts(ascii)), without_embedded(ascii),
                             without_a_labels(ascii)})
        out += letters(said);
    std::ranges::sort(out);
    return out;
}

bool says_all(std::string_view out, std::string_view in) {
    auto marks = std::ranges::count(out, '?');
    for (std::size_t at = 0; (at = out.find("=?UTF-8?", at)) != out.npos; ++at) marks -= 4;
    return marks <= std::ranges::count(in, '?') && std::ranges::includes(letters_said(out), letters(in));
}

}  // namespace poplar::mail::test
