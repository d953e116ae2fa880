#pragma once
// Names of mailboxes as IMAP4rev1 writes them: modified UTF-7 (RFC 3501 s5.1.3).
#include <optional>
#include <string>
#include <string_view>

namespace poplar::imap {

/// `name` is UTF-8.
std::string to_utf7(std::string_view name);
/// Nothing: it is no modified UTF-7, or not in its one spelling (a printable ASCII character in base64, say).
std::optional<std::string> from_utf7(std::string_view text);

/// Whether a name fits a pattern of LIST (RFC 9051 s6.3.9): "*" is any characters, "%" any but "/". INBOX at the
/// beginning is the same in any case.
bool fits_pattern(std::string_view name, std::string_view pattern);

}  // namespace poplar::imap
