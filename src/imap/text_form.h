#pragma once
// Strings in responses (RFC 9051 s4.3).
#include <cstdint>
#include <string>
#include <string_view>

namespace poplar::imap {

/// Whether quoted strings may have UTF-8 in them: after ENABLE UTF8=ACCEPT or IMAP4rev2 (RFC 9755 s3, RFC 9051 s4.3).
enum class TextForm : std::uint8_t { ascii, utf8 };

/// A quoted string where it may be one, else a literal. A NUL, which neither may have, becomes a space.
void write_string(std::string& out, std::string_view text, TextForm form);
/// The same for what may be an atom, too: an atom if it can be one.
void write_astring(std::string& out, std::string_view text, TextForm form);
void write_number(std::string& out, std::uint64_t number);

/// A quoted string of these octets, which have no end of a line in them: a tag.
std::string quoted(std::string_view text);

}  // namespace poplar::imap
