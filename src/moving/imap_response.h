#pragma once
// What an IMAP server answers, as pure functions (RFC 3501 s7, s9; RFC 9051). Any octets are allowed.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace poplar::moving {

/// Octets of the literal that this line announces at its end: "{12}" (RFC 3501 s4.3).
std::optional<std::uint64_t> literal_at_end(std::string_view line);

/// One response: lines, and between them the literals that they announce.
struct ImapResponse {
    std::vector<std::string> lines, literals;
};

/// A word, a string or a list of such.
struct ImapValue {
    enum class Kind : std::uint8_t { atom, string, list };
    Kind kind = Kind::atom;
    std::string text;                      ///< of an atom or a string
    std::vector<ImapValue> list;           ///< of a list
    bool is(std::string_view atom) const;  ///< in any case
};
/// All values of a response; "*" and a number are atoms. Errors: invalid.
Result<std::vector<ImapValue>> parse_imap(const ImapResponse& response);

/// The number behind a response code, such as UIDVALIDITY: "* OK [UIDVALIDITY 3857529045] UIDs valid".
std::optional<std::uint64_t> response_code(std::string_view line, std::string_view name);

/// "* LIST (\HasNoChildren) "." INBOX.Lists".
struct ListedFolder {
    std::string name;       ///< as the server has it
    std::string delimiter;  ///< "": it has no folders in it
    std::vector<std::string> attributes;
    bool has(std::string_view attribute) const;
};
std::optional<ListedFolder> listed_folder(const std::vector<ImapValue>& values);

/// Prefixes of other users' and of shared folders: "* NAMESPACE (("" "/")) (("~" "/")) NIL" (RFC 2342 s5).
struct Namespaces {
    std::string personal;  ///< the prefix of the user's own
    std::vector<std::string> foreign;
};
std::optional<Namespaces> namespaces(const std::vector<ImapValue>& values);

/// "* 12 FETCH (UID 7 FLAGS (\Seen) ...)"; what was not asked for is not there.
struct FetchedMessage {
    std::uint32_t uid = 0;
    std::optional<std::vector<std::string>> flags;  ///< as SourceMessage has them
    std::optional<Timestamp> received;
    std::optional<std::uint64_t> octets;
    std::optional<std::string> text;  ///< of BODY[] or BODY[HEADER]
};
/// Nothing: it is another response, or says nothing of a UID.
std::optional<FetchedMessage> fetched_message(std::vector<ImapValue> values);

/// "17-Jul-1996 02:44:25 -0700" (RFC 3501 s9, date-time).
std::optional<Timestamp> parse_internal_date(std::string_view text);

/// A string as it may stand in a command: quoted; nothing: it has octets that only a literal may have.
std::optional<std::string> imap_quoted(std::string_view text);

}  // namespace poplar::moving
