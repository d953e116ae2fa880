#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace poplar::mail {

/// Appends `text` as i;unicode-casemap compares it (RFC 5051): each character in title case, then decomposed. Octets
/// that are no UTF-8 stay as they are. May be called from any thread.
void append_casemapped(std::string_view text, std::string& out);
std::string casemapped(std::string_view text);

/// The same for one character.
std::string_view casemapped_character(std::uint32_t code, std::string& scratch);

}  // namespace poplar::mail
