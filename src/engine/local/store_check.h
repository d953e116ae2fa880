#pragma once
// Reads everything a data directory holds, to find damage before anybody asks for it: for `poplar verify` and for the
// scrubbing that goes on while the server serves. In the order of the log, so that the disk reads ahead: each record,
// and each live body where its record stands; then the index's bodies that were not met on the way; then the index's
// own files.
#include <functional>
#include <map>
#include <vector>

#include "engine/local/index.h"
#include "engine/local/local_engine.h"
#include "engine/local/segment_table.h"
#include "engine/local/segment_walk.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

class StoreCheck {
public:
    using Report = std::function<void(const Damage&)>;
    using Progress = std::function<void(const VerifyTotals&)>;
    /// Told of octets read; false ends the check with `cancelled`.
    using Pace = std::function<bool(std::uint64_t octets)>;

    /// `end`: up to where the log is durable and indexed now.
    StoreCheck(const StoreDirectory& directory, const Index& index, const SegmentTable& table,
               std::function<Position()> end, Report report, Pace pace, Progress progress = nullptr)
        : directory_(directory),
          index_(index),
          table_(table),
          end_(std::move(end)),
          report_(std::move(report)),
          pace_(std::move(pace)),
          progress_(std::move(progress)) {}

    /// All of it, from the first segment on. Errors: io, cancelled.
    Result<> everything();

    // The parts, for a caller that stops in between. Segments in the order of the log; `format` and `rest` when those
    // are done.
    /// The files of the log as they are now; also finds out which are missing.
    std::vector<SegmentTable::Row> segments();
    /// From `offset` on (a record's beginning, or 0); `at` is told how far it got.
    Result<> segment(const SegmentTable::Row& row, std::uint64_t offset, std::uint64_t* at = nullptr);
    /// Live bodies that no readable record speaks of, in segments walked from their beginning.
    Result<> rest();
    void format();
    Result<> index_files();

    const VerifyTotals& totals() const { return totals_; }

private:
    struct Walked {
        std::uint64_t met = 0;  // a sum over the bodies' identities, as of the index now
        std::vector<std::pair<std::uint64_t, std::uint64_t>> unreadable;
    };
    void damaged(Damage damage);
    void unreadable(const File& file, SegmentId id, std::uint64_t begin, std::uint64_t end);
    Result<> bodies_of(const SegmentTable::Row& row, const SegmentWalk::Step& step);
    Result<> body(PartitionId partition, BodyId id, const BodyPlace& place);
    Result<> pace(std::uint64_t octets);

    const StoreDirectory& directory_;
    const Index& index_;
    const SegmentTable& table_;
    const std::function<Position()> end_;
    const Report report_;
    const Pace pace_;
    const Progress progress_;
    VerifyTotals totals_;
    std::map<SegmentId, Walked> walked_;
    std::uint64_t unpaced_ = 0;
};

}  // namespace poplar::engine::local
