#pragma once
// Copies what still counts in neighbouring segments into one file that stands for them all (storage-format.md,
// "Copies"). The copy keeps each record's place and sequence in the log and only leaves out what has no effect any
// more, so that replaying it gives the same as replaying what it stands for:
//
// - an entry that the index no longer has, or has with another value: a later record says so;
// - an erased key that the index has, because a later record put it; or that no earlier file can hold any more, because
//   all of those were copied when the log was known up to this record at least;
// - a body that is not there any more; an erased body as an erased key;
// - a record that nothing is left of, unless it is its partition's last: it holds the change number.
#include <functional>
#include <vector>

#include "engine/local/index.h"
#include "engine/local/segment_walk.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

struct CopyTotals {
    std::uint64_t records = 0, meta_octets = 0, bodies = 0, body_octets = 0;
    bool left_out = false;  ///< values, or bodies, that do not count any more
    std::uint64_t total() const { return kSegmentHeader + meta_octets + body_octets; }
};

class SegmentCopy {
public:
    /// Told of octets read or written; false ends the work with `cancelled`.
    using Pace = std::function<bool(std::uint64_t octets)>;

    /// `erased_until`: all files before the sources were copied when the log was known up to this sequence at least.
    /// The index must know all of the sources, durably.
    enum class Unreadable { refuse, leave_out };
    SegmentCopy(const StoreDirectory& directory, const Index& index, std::vector<SegmentId> sources,
                std::uint64_t erased_until, Unreadable unreadable = Unreadable::refuse)
        : directory_(directory),
          index_(index),
          sources_(std::move(sources)),
          erased_until_(erased_until),
          unreadable_(unreadable) {}

    /// Tells what the copy would hold. Errors: corrupt (a source has damage, it must be left as it is), io, cancelled.
    Result<CopyTotals> survey(const Pace& pace);
    /// Writes the copy, makes it durable and gives it its name; for what a survey has decided the index is not asked
    /// again. Errors: as survey's; no_space.
    Result<CopyTotals> write(const SegmentHeader& header, const Pace& pace);

private:
    class Draft;
    struct Kept {
        RecordMeta meta;
        std::vector<std::pair<std::uint64_t, std::uint64_t>>
            frames;  // where kept bodies' frames are, and how many octets
        std::uint64_t body_octets = 0;
        bool nothing = false, less = false;
    };
    template <class Look>
    Result<bool> decide(Look look);
    Result<Kept> keep(SegmentId id, const SegmentWalk::Step& step);
    Result<CopyTotals> walk(Draft* draft, const Pace& pace);

    const StoreDirectory& directory_;
    const Index& index_;
    std::vector<SegmentId> sources_;
    std::uint64_t erased_until_;
    Unreadable unreadable_;

    // The index's answers in the survey, in the order of the walk. When the copy is written, some of it may have died
    // since: that is kept, as in a copy that was written earlier.
    std::vector<bool> decided_;
    std::size_t next_ = 0;  // of them
    bool surveyed_ = false;
};

}  // namespace poplar::engine::local
