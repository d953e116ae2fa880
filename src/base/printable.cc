#include "base/printable.h"

#include <fmt/format.h>

#include <iterator>

namespace poplar {

std::optional<HiddenCharacter> hidden_character(std::string_view text) {
    const auto octet = [&](std::size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u; };
    const auto first = octet(0);
    if (text.empty() || (first >= 0x20 && first < 0x7f)) return std::nullopt;
    if (first < 0x80) return HiddenCharacter{1, first};
    if ((octet(1) & 0xc0) != 0x80) return std::nullopt;
    if (first == 0xc2 && octet(1) < 0xa0) return HiddenCharacter{2, octet(1)};  // C1
    if (first == 0xd8 && octet(1) == 0x9c) return HiddenCharacter{2, 0x061c};   // ARABIC LETTER MARK
    if (first != 0xe2 || (octet(2) & 0xc0) != 0x80) return std::nullopt;
    const char32_t code = 0x2000u | (octet(1) & 0x3fu) << 6 | (octet(2) & 0x3fu);
    const bool turns =
        (code >= 0x200e && code <= 0x200f) || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    if (turns || code == 0x2028 || code == 0x2029) return HiddenCharacter{3, code};
    return std::nullopt;
}

std::string with_hidden_shown(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto hidden = hidden_character(text);
        if (hidden)
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(hidden->code));
        else
            out.push_back(text.front());
        text.remove_prefix(hidden ? hidden->octets : 1);
    }
    return out;
}

}  // namespace poplar
