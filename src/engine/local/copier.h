#pragma once
// Gives old space back: looks now and then which segments are worth copying (copy_policy.h), copies them at a bounded
// pace (segment_copy.h) and unlinks what the copy stands for. In this order, each step durable before the next:
//
//   1. the index is flushed: no replay ever begins before or inside of what is copied;
//   2. the copy is written under another name, synced, renamed, its name synced;
//   3. the index gets the bodies' new places, by the committer, and is flushed;
//   4. the old segments are unlinked.
//
// A crash before the rename leaves a draft, which the next start removes. After the rename both are there and complete,
// and the next start goes on from 3 (log_files.h). A reader that has an old segment open reads on from it.
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "engine/local/committer.h"
#include "engine/local/copy_policy.h"
#include "engine/local/segment_copy.h"

namespace poplar::engine::local {

class Copier {
public:
    Copier(const Options& options, StoreDirectory& directory, Index& index, SegmentTable& table, Committer& committer,
           const std::atomic<std::uint64_t>& next_body)
        : options_(options),
          directory_(directory),
          index_(index),
          table_(table),
          committer_(committer),
          next_body_(next_body) {}
    ~Copier();  ///< gives up what is under way

    /// Works on a thread of its own from now on, unless Options::copy_rate is 0.
    void start();

    enum class Haste { paced, at_once };
    /// Copies the segments that are most worth it. False: none is. Blocks; callers take turns.
    Result<bool> copy_once(Haste haste);

    /// Copies every segment that was written before the call and holds anything that does not count, however little.
    /// Blocks. `go_on`: false gives it up. Errors: corrupt (a damaged one is left), busy, no_space, io, cancelled.
    Result<> copy_all_dead(const std::function<bool()>& go_on);

    /// While it is held, no segment is copied or unlinked. It does not own the lock if a copy is being made.
    std::unique_lock<std::mutex> try_pause() { return std::unique_lock(working_, std::try_to_lock); }

    struct Counts {
        std::uint64_t used_octets = 0;                                  ///< of the log's files, on the disk
        std::uint64_t live_octets = 0;                                  ///< what counts in them, as far as is known
        std::uint64_t copies = 0, copied_octets = 0, freed_octets = 0;  ///< since start
        std::string state;                                              ///< "resting", "copying segment N", ...
    };
    Counts counts() const;

private:
    struct Candidates {
        std::vector<CopyCandidate> list;
        std::uint64_t used = 0, live = 0;
    };
    void run();
    Result<Candidates> candidates() const;
    void mark_passed_over(std::vector<CopyCandidate>& list) const;
    CopyRules rules() const;
    enum class Want { space, nothing_dead };
    Result<bool> copy(const std::vector<CopyCandidate>& sources, std::uint64_t erased_until,
                      const SegmentCopy::Pace& wait, Want want = Want::space);
    std::uint64_t erased_until(std::span<const CopyCandidate> before) const;
    Result<> switch_over(SegmentId copy, const std::vector<SegmentId>& sources, const SegmentCopy::Pace& pace);
    Result<> when_there_is_room(const std::function<Result<>()>& work);
    Result<> flush_past(std::uint64_t segment);
    SegmentCopy::Pace pace(Haste haste);
    void pass_over(SegmentId id);
    void set_state(std::string state);

    const Options& options_;
    StoreDirectory& directory_;
    Index& index_;
    SegmentTable& table_;
    Committer& committer_;
    const std::atomic<std::uint64_t>& next_body_;

    std::mutex working_;   // held while segments are copied
    bool broken_ = false;  // copies and sources may both be there: the next start sorts it out
    // As of the last flush, the index has durably all segments with lesser numbers, and everything up to that sequence.
    // A copy is decided by an index that knows more, but its header says no more than this: else the index that a crash
    // leaves would look too old for the copy.
    std::uint64_t flushed_below_ = 0, flushed_sequence_ = 0;
    struct PassedOver {
        std::uint64_t live_octets = 0;  // of its bodies, when it was found not to be worth it
        std::uint64_t until = 0;        // the log's current segment when it may be looked at again
    };
    std::map<SegmentId, PassedOver> passed_over_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    Counts counts_;
    std::thread thread_;
};

}  // namespace poplar::engine::local
