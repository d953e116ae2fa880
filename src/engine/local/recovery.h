#pragma once
#include <vector>

#include "engine/local/index.h"
#include "engine/local/local_engine.h"
#include "engine/local/log_files.h"
#include "engine/local/segment_table.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

struct Recovered {
    Position position;             ///< where the log goes on
    std::uint64_t records = 0;     ///< replayed
    std::uint64_t cut_octets = 0;  ///< of a torn tail
    std::vector<Damage> damage;
    std::vector<LogFile> unreadable;  ///< files with records that can't be read
};

/// Brings the index up to the log, beginning at its own position, and cuts a torn tail off the last segment.
///
/// After a crash the last group, which nobody was told of, may be there, absent, or in pieces in any order. Everything
/// before it was synced before the last group was begun. So damage inside the last group is the crash's and is cut;
/// damage followed by the complete beginning of a later group is not, and is reported and stepped over. A crash while
/// segments were copied may leave a copy beside what it stands for. One of them goes: the copy if it has any damage,
/// else the others.
///
/// Errors: corrupt (the index does not fit the segments, or can't be read).
Result<Recovered> recover(StoreDirectory& directory, Index& index, SegmentTable& table);

/// Removes the files of large bodies that no commit speaks of. Where the log is damaged, the record of such a file may
/// be what was lost: then it is kept aside. To be called before anything is written.
Result<> sweep_large(StoreDirectory& directory, Index& index, Recovered& recovered);

}  // namespace poplar::engine::local
