#pragma once
// The items that FETCH may ask of a message (RFC 9051 s6.4.5, RFC 3501 s6.4.5, and extensions), and writing all of it
// that needs no octet of the message: what needs some is imap/fetch_octets.h's.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "imap/cursor.h"
#include "imap/section.h"
#include "imap/text_form.h"
#include "mail/structure.h"

namespace poplar::imap {

struct FetchItem {
    enum class Kind : std::uint8_t {
        // Of the list in memory.
        uid,
        flags,
        mod_sequence,  ///< RFC 7162
        // Of the message's record.
        internal_date,
        size,       ///< RFC822.SIZE
        email_id,   ///< RFC 8474
        save_date,  ///< RFC 8514
        thread_id,  ///< RFC 8474
        // Of its structure.
        envelope,
        body,  ///< BODY
        body_structure,
        // Of its octets.
        section,  ///< BODY[...]
        rfc822,   ///< RFC 3501 alone, and the next two
        rfc822_header,
        rfc822_text,
        binary,  ///< RFC 3516, RFC 9051
        binary_size,
        preview,  ///< RFC 8970
    };
    Kind kind = Kind::uid;
    bool peek = false;  ///< of a section or binary: it does not set \Seen
    bool lazy = false;  ///< of a preview
    Section section = {};
    std::optional<Partial> partial = {};
    bool operator==(const FetchItem&) const = default;

    bool sets_seen() const;
    /// It needs octets of the message: write_item() can't write it.
    bool needs_octets() const { return kind >= Kind::section; }
};

/// Items in a FETCH, at most.
inline constexpr std::size_t kMostFetchItems = 1000;

/// Takes one item, or a list of them in parentheses, or ALL, FAST or FULL. Errors: invalid, with a text for the client.
Result<std::vector<FetchItem>> parse_fetch_items(Cursor& in);

/// The facts of a message that these items need.
struct FetchNeeds {
    bool record = false;     ///< internal_date, size, ids
    bool thread = false;     ///< the thread's id
    bool structure = false;  ///< the structure row
    bool octets = false;     ///< the message
    bool sets_seen = false;
};
FetchNeeds needs_of(std::span<const FetchItem> items);

/// A message as FETCH sees it. Members that no item asks for may be as they are.
struct FetchFacts {
    std::uint32_t uid = 0;
    std::uint64_t mod_sequence = 0;
    std::string_view flags;  ///< as they stand between the parentheses of FLAGS: `\Seen $Forwarded`
    Timestamp received{};
    std::uint64_t octets = 0;
    std::optional<Timestamp> saved = {};
    std::string_view email_id = {};   ///< without the parentheses
    std::string_view thread_id = {};  ///< "": it has none (NIL)
    const mail::Structure* structure = nullptr;
};

/// Appends `NAME value`. Not for items that need octets.
void write_item(std::string& out, const FetchItem& item, const FetchFacts& facts, TextForm form);

/// `" 1-Dec-2026 09:00:00 +0000"` with its quotes (date-time).
void write_date_time(std::string& out, Timestamp time);

/// Appends an ENVELOPE's value: of a part that is a message.
void write_envelope(std::string& out, const mail::Structure::Part& message, TextForm form);

/// BODY is BODYSTRUCTURE without extension data.
enum class Extensions : std::uint8_t { no, yes };
void write_body_structure(std::string& out, const mail::Structure& structure, Extensions extensions, TextForm form);

}  // namespace poplar::imap
