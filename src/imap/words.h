#pragma once
// The parts of a command (RFC 9051 s9, RFC 3501 s9) that Cursor does not know: tags, flags, times, LIST's patterns, and
// the literals by which a command goes on behind a line's end.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "imap/cursor.h"

namespace poplar::imap {

/// A literal that the end of a line announces (RFC 9051 s4.3, RFC 7888).
struct LiteralMark {
    std::uint64_t octets = 0;
    bool waits = true;    ///< the client waits for "+" before it sends them
    bool binary = false;  ///< `~{5}`: it may hold NUL (RFC 3516 s4.4)
    std::size_t at = 0;   ///< where it begins in the line
    bool operator==(const LiteralMark&) const = default;
};
/// The one that `line`, without its CRLF, ends with, whatever stands before it: so the octets of a literal are never
/// taken for a command, however broken the command is. Nothing: it ends with none. A number beyond 63 bits counts as
/// the largest.
std::optional<LiteralMark> literal_at_end(std::string_view line);

// Each takes what it gives from `in`. After a failure the command is refused, so `in` may be anywhere.

/// Any ASTRING-CHARs but "+".
std::optional<std::string_view> parse_tag(Cursor& in);
/// An atom, in capitals.
std::optional<std::string> parse_keyword(Cursor& in);
/// Digits, up to 2^63 - 1.
std::optional<std::uint64_t> parse_number63(Cursor& in);
/// An astring that may also have UTF-8 in it, whether it is quoted or not.
std::optional<std::string> parse_mailbox(Cursor& in);
/// A name with LIST's wildcards.
std::optional<std::string> parse_pattern(Cursor& in);
/// `\Seen` or a keyword.
std::optional<std::string> parse_flag(Cursor& in);
/// `(\Seen a)`; may be `()`.
std::optional<std::vector<std::string>> parse_flag_list(Cursor& in);
/// `"17-Jul-1996 02:44:25 -0700"` with its quotes.
std::optional<Timestamp> parse_date_time(Cursor& in);

/// The words of a list in parentheses, in capitals; nothing else, and at least one.
std::optional<std::vector<std::string>> parse_words(Cursor& in);

}  // namespace poplar::imap
