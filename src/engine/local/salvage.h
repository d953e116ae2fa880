#pragma once
// A rebuild reads the segments alone; but if a record can't be read there, the index that the rebuild replaces may
// still know what it said. That is written to the log again, as records of a new segment, so that the log is whole by
// itself.
#include "engine/local/index.h"
#include "engine/local/recovery.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// Writes to the log what `known` says and `anew`, which was made from the log, does not; `end` is where the log ends.
/// Bodies' octets are taken from where `known` has them, as they are. Returns how many records it wrote; the caller
/// replays them into `anew`.
Result<std::uint64_t> salvage(const StoreDirectory& directory, const Index& known, const Index& anew,
                              const Position& end);

}  // namespace poplar::engine::local
