#pragma once
// The alphabet of passwords and codes that people type: no two of its symbols look alike.
#include <optional>
#include <string_view>

#include "base/ascii.h"

namespace poplar::auth {

inline constexpr std::string_view kSymbols = "0123456789abcdefghjkmnpqrstvwxyz";  // without i, l, o, u

/// The value of a typed character, in either case; `o` is 0, `i` and `l` are 1. Nothing: no symbol.
inline std::optional<unsigned> symbol_of(char typed) {
    char c = ascii::lower(typed);
    if (c == 'o') c = '0';
    if (c == 'i' || c == 'l') c = '1';
    const auto at = kSymbols.find(c);
    if (at == std::string_view::npos) return std::nullopt;
    return static_cast<unsigned>(at);
}

}  // namespace poplar::auth
