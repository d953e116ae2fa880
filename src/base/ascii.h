#pragma once
// ASCII letters, digits and white space, whatever the locale is. Octets beyond ASCII are none of these and have no
// case.
#include <string>
#include <string_view>

namespace poplar::ascii {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }
constexpr char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }
constexpr bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }
constexpr bool is_alpha(char c) { return static_cast<unsigned char>((c | 0x20) - 'a') < 26; }  // one bit is the case
constexpr bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
/// WSP of RFC 5234: a space or a tab.
constexpr bool is_wsp(char c) { return c == ' ' || c == '\t'; }

/// Whether they differ in case at most.
constexpr bool same(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (a[i] != b[i] && lower(a[i]) != lower(b[i])) return false;
    return true;
}
constexpr bool starts_with(std::string_view text, std::string_view prefix) {
    return same(text.substr(0, prefix.size()), prefix);
}

inline std::string to_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = lower(c);
    return out;
}

/// Without white space (WSP) at its beginning.
constexpr std::string_view trim_left(std::string_view text) {
    while (!text.empty() && is_wsp(text.front())) text.remove_prefix(1);
    return text;
}
/// Without white space (WSP) at its ends.
constexpr std::string_view trim(std::string_view text) {
    text = trim_left(text);
    while (!text.empty() && is_wsp(text.back())) text.remove_suffix(1);
    return text;
}

}  // namespace poplar::ascii
