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
    std::string not_kept;            ///< the source's unique-id, if it can't be kept, and why
    std::vector<std::string> flags;  ///< seen, answered, flagged, deleted, draft, and keywords
    std::optional<Timestamp> received;
    std::filesystem::path file;
    std::vector<Range> content;  ///< of that file, in their order
    std::string digest;          ///< of the content, where the file may be written anew; "": nobody does
};

struct Listing {
    std::vector<SourceMessage> messages;  ///< INBOX in the order in which POP shows it; then the other mailboxes
    std::vector<std::string> notes;       ///< for the operator: what was passed over, and why
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
