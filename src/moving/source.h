#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace poplar::moving {

/// A part of a file.
struct Range {
    std::uint64_t offset = 0, size = 0;
};

/// One message at its source.
struct SourceMessage {
    std::string key;                 ///< names it there, in each round the same; printable ASCII
    std::string mailbox;             ///< "INBOX", or a name with "/" between its parts
    std::string unique_id;           ///< what POP clients know it by; "": nothing that could be kept
    std::string made_id;             ///< what it is to be known by here where that is empty; "": whatever
    std::string not_kept;            ///< the source's unique-id, if it can't be kept, and why
    std::vector<std::string> flags;  ///< seen, answered, flagged, deleted, draft, and keywords
    std::optional<Timestamp> received;
    std::filesystem::path file;
    std::vector<Range> content;           ///< of that file, in their order
    std::string digest;                   ///< of the content, where the file may be written anew; "": nobody does
    std::optional<std::uint64_t> octets;  ///< as a server's LIST says
    std::string called;                   ///< how people are told of it; "": by its file, or by its key
};

struct Listing {
    std::vector<SourceMessage> messages;  ///< INBOX in the order in which POP shows it; then the other mailboxes
    std::vector<std::string> notes;       ///< for the operator: what was passed over, and why
    bool whole = true;                    ///< there are no others, but for those that are held
    std::vector<std::string> held;        ///< messages of INBOX that have no unique-id there yet, and wait for one
};

/// What becomes of messages of INBOX that the source has given no unique-id yet, though it gives them: in a later round
/// they have the one that clients will know.
enum class Unnamed { hold_back, bring };

/// Where mail comes from.
class Source {
public:
    virtual ~Source() = default;
    virtual Result<Listing> list() = 0;
    /// Learns what it takes to read the messages that are not known yet. It may add messages.
    virtual Result<> prepare(Listing&, const std::function<bool(const std::string& key)>& /*known*/) { return {}; }
    /// Calls `take` with the message's octets. Errors: not_found (it has gone meanwhile); too_large, invalid (this
    /// message alone can't be read); others: no more can be read.
    virtual Result<> read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take) = 0;
};

/// Calls `take` with the message's octets as they stand in the file. Errors: not_found (it has gone meanwhile, is no
/// file of its own but a link, or others have its place: what was taken is not the message), io.
Result<> read(const SourceMessage& message, const std::function<Result<>(std::string_view)>& take);

/// The whole file; nothing, if there is none of this name. No link is followed: who may write in the folder could have
/// others read what only they can. Errors: invalid (it is no plain file, can't be opened, or is too large), io.
Result<std::optional<std::string>> read_small(const std::filesystem::path& path, std::uint64_t limit);

/// Whether it can be a unique-id: 1 to 70 octets from 0x21 to 0x7e (RFC 1939 s7).
bool is_unique_id(std::string_view text);

/// Takes away unique-ids that can't be kept: malformed ones, and those that came before.
void settle_unique_ids(std::vector<SourceMessage>& messages);

/// The text with each octet that is not printable ASCII, or is "%", as "%" and two digits.
std::string printable_key(std::string_view text);

}  // namespace poplar::moving
