#pragma once
#include <memory>
#include <string>

#include "mailstore/record.h"

namespace poplar::mailstore {

/// A message and where it is; of a live one, `retained` has only the message.
struct Found {
    Place::Area area = Place::Area::live;
    RetainedMessage retained;
};

/// The message with this unique-id, live or retained, as of the snapshot. Errors: not_found; corrupt (the index names a
/// message that is not there or has another unique-id).
Task<Result<Found>> look_up(engine::Engine& engine, AccountId account, std::string unique_id,
                            std::shared_ptr<const engine::Snapshot> snapshot);

}  // namespace poplar::mailstore
