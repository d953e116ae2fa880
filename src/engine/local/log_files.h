#pragma once
// Says which files make up the log. Copying makes one file stand for several (storage-format.md, "Copies"); for a
// moment both are there, and a crash may leave them so.
#include <vector>

#include "engine/local/index.h"
#include "engine/local/segment_table.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

struct LogFile {
    SegmentId id;
    std::uint64_t last = 0;  ///< as in its header; so are the two below
    std::uint64_t as_of = 0;
    std::uint64_t next_body = 0;
};

/// All files, in the order of the log; those that a copy stands for too. A copy whose header can't be read stands for
/// its own number at least.
Result<std::vector<LogFile>> read_log(const StoreDirectory& directory);

/// Files that must go, and where their bodies are instead.
struct Leftover {
    std::vector<LogFile> gone, instead;
};

/// Takes out of `files` what is there twice: a copy that is damaged, else what it stands for. Nothing is unlinked.
Result<std::vector<Leftover>> settle_copies(const StoreDirectory& directory, std::vector<LogFile>& files);

/// Whether, by the index, a live body lies in one of `segments`. Quick if none does by the table.
Result<bool> left_behind(const Index& index, const SegmentTable& table, const std::vector<SegmentId>& segments);

/// Makes the index know the bodies at their places in `instead`, durably, and unlinks what is gone. Errors: corrupt
/// (bodies would be lost with it; nothing is unlinked).
Result<> finish_copies(const StoreDirectory& directory, Index& index, SegmentTable& table,
                       const std::vector<Leftover>& leftovers, const Position& position);

struct Counted {
    std::uint64_t meta_octets = 0, bodies = 0;
};
/// Calls `move` for each live body that lies in one of `from` by the index and stands in `to` as well, walking `to`.
/// Returns what `to` holds.
Result<Counted> find_moves(
    const StoreDirectory& directory, const Index& index, SegmentId to, const std::vector<SegmentId>& from,
    const std::function<Result<>(PartitionId, BodyId, const BodyPlace& from, const BodyPlace& to)>& move);

}  // namespace poplar::engine::local
