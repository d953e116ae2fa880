#include "sieve/text.h"

#include <fmt/format.h>
#include <unistr.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/ascii.h"

namespace poplar::sieve {

namespace {

bool is_digits(std::string_view text) {
    for (const char c : text)
        if (!ascii::is_digit(c)) return false;
    return !text.empty();
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::optional<std::uint32_t> hex_digit(char c) {
    if (ascii::is_digit(c)) return static_cast<std::uint32_t>(c - '0');
    const char l = ascii::lower(c);
    if (l >= 'a' && l <= 'f') return static_cast<std::uint32_t>(l - 'a' + 10);
    return std::nullopt;
}

void append_utf8(std::string& out, std::uint32_t code) {
    std::array<std::uint8_t, 6> octets;
    const int size = u8_uctomb(octets.data(), code, octets.size());
    if (size > 0) out.append(reinterpret_cast<const char*>(octets.data()), static_cast<std::size_t>(size));
}

struct HexNumber {
    std::uint32_t value = 0;  ///< 0x1000000 at most
    std::size_t digits = 0;
};
/// The hexadecimal number at `i`, which is moved behind it.
HexNumber read_hex(std::string_view body, std::size_t& i) {
    HexNumber number;
    for (; i < body.size(); ++i, ++number.digits) {
        const auto digit = hex_digit(body[i]);
        if (!digit) break;
        number.value = std::min<std::uint32_t>(number.value * 16 + *digit, 0x1000000);
    }
    return number;
}

/// The text between "${hex:" and "}" as octets; nothing if it is no encoding.
std::optional<std::string> decode_hex(std::string_view body) {
    std::string out;
    for (std::size_t i = 0; i < body.size();) {
        if (is_space(body[i])) {
            ++i;
            continue;
        }
        const auto [value, digits] = read_hex(body, i);
        if (digits == 0 || digits > 2) return std::nullopt;
        out += static_cast<char>(value);
    }
    if (out.empty()) return std::nullopt;
    return out;
}

std::expected<std::optional<std::string>, std::string> decode_unicode(std::string_view body) {
    std::string out;
    bool any = false, wrong = false;
    for (std::size_t i = 0; i < body.size();) {
        if (is_space(body[i])) {
            ++i;
            continue;
        }
        const auto [value, digits] = read_hex(body, i);
        if (digits == 0) return std::optional<std::string>();
        any = true;
        if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
            wrong = true;
        else
            append_utf8(out, value);
    }
    if (!any) return std::optional<std::string>();
    if (wrong) return std::unexpected(fmt::format("${{unicode:{}}} is no character of Unicode", body));
    return std::optional(std::move(out));
}

std::expected<std::string, std::string> decode_characters(std::string text) {
    if (text.find("${") == std::string::npos) return text;
    std::string out;
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto begin = std::min(rest.find("${"), rest.size());
        out += rest.substr(0, begin);
        rest.remove_prefix(begin);
        if (rest.empty()) break;
        const auto end = rest.find('}');
        const bool hex = ascii::starts_with(rest, "${hex:"), unicode = ascii::starts_with(rest, "${unicode:");
        if (end != std::string_view::npos && (hex || unicode)) {
            const std::size_t prefix = hex ? 6 : 10;
            const auto body = rest.substr(prefix, end - prefix);
            std::optional<std::string> decoded;
            if (hex) {
                decoded = decode_hex(body);
            } else {
                auto characters = decode_unicode(body);
                if (!characters) return std::unexpected(std::move(characters.error()));
                decoded = std::move(*characters);
            }
            if (decoded) {
                out += *decoded;
                rest.remove_prefix(end + 1);
                continue;
            }
        }
        out += "${";
        rest.remove_prefix(2);
    }
    return out;
}

/// The parts of `name` between dots are identifiers, or numbers where numbers may stand.
bool is_reference(std::string_view name) {
    bool first = true;
    for (;;) {
        const auto dot = name.find('.');
        const auto part = name.substr(0, dot);
        const bool last = dot == std::string_view::npos;
        if (!is_variable_name(part) && (!is_digits(part) || (first && !last))) return false;
        if (last) return true;
        first = false;
        name.remove_prefix(dot + 1);
    }
}

}  // namespace

bool is_variable_name(std::string_view name) {
    if (name.empty() || name.size() > kLongestVariableName || ascii::is_digit(name.front())) return false;
    for (const char c : name)
        if (!ascii::is_alnum(c) && c != '_') return false;
    return true;
}

std::expected<Text, std::string> Text::parse(std::string text, bool encoded_characters, Variables variables) {
    Text out;
    if (encoded_characters) {
        auto decoded = decode_characters(std::move(text));
        if (!decoded) return std::unexpected(std::move(decoded.error()));
        text = std::move(*decoded);
    }
    out.source_ = std::move(text);
    if (variables == Variables::none || out.source_.find("${") == std::string::npos) return out;

    std::string literal;
    bool any = false;
    const auto add = [&](Piece piece) {
        if (!literal.empty()) out.pieces_.push_back({Piece::Kind::literal, std::exchange(literal, {}), 0});
        out.pieces_.push_back(std::move(piece));
        any = true;
    };
    std::string_view rest = out.source_;
    while (!rest.empty()) {
        const auto begin = std::min(rest.find("${"), rest.size());
        literal += rest.substr(0, begin);
        rest.remove_prefix(begin);
        if (rest.empty()) break;
        const auto end = rest.find_first_of("}{$", 2);
        const auto name =
            end != std::string_view::npos && rest[end] == '}' ? rest.substr(2, end - 2) : std::string_view();
        if (!is_reference(name)) {
            literal += "${";
            rest.remove_prefix(2);
            continue;
        }
        rest.remove_prefix(end + 1);
        if (is_digits(name)) {
            const auto digits = name.substr(std::min(name.find_first_not_of('0'), name.size() - 1));
            const auto index =
                digits.size() > 3 ? kMatchVariables + 1 : static_cast<std::uint32_t>(std::stoul(std::string(digits)));
            if (index > kMatchVariables)
                return std::unexpected(fmt::format("match variables go up to ${{{}}}", kMatchVariables));
            add({Piece::Kind::match, {}, index});
        } else if (const auto dot = name.find('.'); dot == std::string_view::npos) {
            add({Piece::Kind::variable, ascii::to_lower(name), 0});
        } else if (ascii::same(name.substr(0, dot), "global") && is_variable_name(name.substr(dot + 1))) {
            if (variables != Variables::own_and_global)
                return std::unexpected("the namespace \"global\" needs \"include\"");
            add({Piece::Kind::global, ascii::to_lower(name.substr(dot + 1)), 0});
        } else {
            return std::unexpected(fmt::format("\"{}\" is in no namespace that is known", name));
        }
    }
    if (any && !literal.empty()) out.pieces_.push_back({Piece::Kind::literal, std::move(literal), 0});
    return out;
}

}  // namespace poplar::sieve
