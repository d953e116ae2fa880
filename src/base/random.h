#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poplar {

/// Cryptographically strong random bytes from the kernel; ends the process if there are none.
void random_bytes(void* out, std::size_t size);
std::uint64_t random_u64();

/// `length` characters of 0-9a-z without the easily confused i, l, o and u (Crockford's base 32): 5 random bits each.
std::string random_text(std::size_t length);

/// `value` in the same alphabet, without leading zeros ("0" for zero).
std::string base32_text(std::uint64_t value);
/// The sum of two such texts of one length, digit by digit and without carry: as random as the more random of them.
std::string base32_sum(std::string_view a, std::string_view b);
/// The value whose base32_text() this is; nothing for any other text.
std::optional<std::uint64_t> parse_base32(std::string_view text);

}  // namespace poplar
