#pragma once
#include <memory>
#include <optional>
#include <string>

#include "mailstore/record.h"

namespace poplar::mailstore {

/// When a message was deleted, how long it is kept, and why.
struct Deletion {
    Timestamp deleted{}, expires{};
    std::string reason;
    std::string mailbox;
};

/// A message, live or retained.
struct Found {
    StoredMessage message;
    std::optional<Deletion> retained;
};

Result<Found> decode_found(Place::Area area, engine::EntryView entry);

/// The message with this unique-id, live or retained, as of the snapshot. Errors: not_found; corrupt (the index names a
/// message that is not there or has another unique-id).
Task<Result<Found>> look_up(engine::Engine& engine, AccountId account, std::string unique_id,
                            std::shared_ptr<const engine::Snapshot> snapshot);

/// Those of a mailbox's messages that have one of these UIDs (ascending, each once), by UID; as of the snapshot, if
/// there is one.
Task<Result<std::vector<StoredMessage>>> look_up(engine::Engine& engine, AccountId account, MailboxId mailbox,
                                                 std::vector<Uid> uids,
                                                 std::shared_ptr<const engine::Snapshot> snapshot = nullptr);

}  // namespace poplar::mailstore
