// The words that all of IMAP's grammar is made of.
#include "imap/cursor.h"

#include <array>
#include <limits>

#include "base/ascii.h"

namespace poplar::imap {

namespace {

constexpr std::uint8_t kAtom = 1, kAstring = 2;

/// RFC 9051 s9: ATOM-CHAR is any CHAR but atom-specials; ASTRING-CHAR has "]" besides.
constexpr auto kChars = [] {
    std::array<std::uint8_t, 256> chars{};
    for (unsigned char c = 0x21; c < 0x7f; ++c)
        if (std::string_view("(){%*\"\\]").find(static_cast<char>(c)) == std::string_view::npos)
            chars[c] = kAtom | kAstring;
    chars[']'] = kAstring;
    return chars;
}();

bool is(std::uint8_t kind, char c) { return (kChars[static_cast<unsigned char>(c)] & kind) != 0; }

std::size_t run(std::uint8_t kind, std::string_view text) {
    std::size_t size = 0;
    while (size < text.size() && is(kind, text[size])) ++size;
    return size;
}

}  // namespace

bool is_atom_char(char c) { return is(kAtom, c); }
bool is_astring_char(char c) { return is(kAstring, c); }

bool Cursor::take_word(std::string_view word) {
    if (!ascii::starts_with(rest_, word)) return false;
    rest_.remove_prefix(word.size());
    return true;
}

std::optional<std::string_view> Cursor::atom() {
    const auto size = run(kAtom, rest_);
    if (size == 0) return std::nullopt;
    const auto found = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return found;
}

std::optional<std::uint64_t> Cursor::number() {
    constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t value = 0;
    std::size_t size = 0;
    for (; size < rest_.size() && ascii::is_digit(rest_[size]); ++size) {
        const auto digit = static_cast<std::uint64_t>(rest_[size] - '0');
        if (value > (kMost - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    if (size == 0) return std::nullopt;
    rest_.remove_prefix(size);
    return value;
}

std::optional<std::uint32_t> Cursor::number32() {
    auto behind = *this;
    const auto value = behind.number();
    if (!value || *value > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
    *this = behind;
    return static_cast<std::uint32_t>(*value);
}

std::optional<std::uint32_t> Cursor::nonzero() {
    if (at('0')) return std::nullopt;
    return number32();
}

std::optional<std::string_view> Cursor::literal(Literal8 may_be) {
    auto behind = *this;
    const bool binary = behind.take('~');
    if ((binary && may_be == Literal8::no) || !behind.take('{')) return std::nullopt;
    const auto size = behind.number();
    behind.take('+');
    if (!size || !behind.take('}') || !behind.take('\r') || !behind.take('\n')) return std::nullopt;
    if (*size > behind.rest_.size()) return std::nullopt;
    const auto octets = behind.rest_.substr(0, *size);
    if (!binary && octets.find('\0') != octets.npos) return std::nullopt;
    behind.rest_.remove_prefix(octets.size());
    *this = behind;
    return octets;
}

std::optional<std::string> Cursor::string() {
    if (!at('"')) {
        const auto octets = literal();
        if (!octets) return std::nullopt;
        return std::string(*octets);
    }
    std::string text;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
        char c = rest_[i];
        if (c == '"') {
            rest_.remove_prefix(i + 1);
            return text;
        }
        if (c == '\\') {
            if (++i == rest_.size()) break;
            c = rest_[i];
            if (c != '"' && c != '\\') break;
        }
        if (c == '\r' || c == '\n' || c == '\0') break;
        text += c;
    }
    return std::nullopt;
}

std::optional<std::string> Cursor::astring() {
    const auto size = run(kAstring, rest_);
    if (size == 0) return string();
    std::string text(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return text;
}

}  // namespace poplar::imap
