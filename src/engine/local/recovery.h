#pragma once
#include <vector>

#include "engine/local/index.h"
#include "engine/local/local_engine.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

struct Recovered {
    Position position;             ///< where the log goes on
    std::uint64_t records = 0;     ///< replayed
    std::uint64_t cut_octets = 0;  ///< of a torn tail
    std::vector<Damage> damage;
};

/// Brings the index up to the log, beginning at its own position, cuts a torn tail off the last segment and sweeps the
/// files of large bodies that are nobody's.
///
/// What a crash can leave: the last group, which nobody was told of, may be there, absent, or in pieces in any order.
/// Everything before it was synced before the last group was begun. So damage inside the last group is the crash's and
/// is cut; damage followed by the complete beginning of a later group is not, and is reported and stepped over.
Result<Recovered> recover(StoreDirectory& directory, Index& index);

}  // namespace poplar::engine::local
