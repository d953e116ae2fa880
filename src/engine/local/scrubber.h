#pragma once
// Reads everything stored again and again, at a bounded pace while the server serves, so that damage is found while
// there still is another copy or a backup of what it hit. Where a round stands is kept in the index, about once a
// minute and at every segment's end; a restart goes on there. (After a crash or a rebuild it may do some of it again.)
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/steady.h"
#include "engine/local/committer.h"
#include "engine/local/store_check.h"

namespace poplar::engine::local {

class Scrubber {
public:
    Scrubber(const Options& options, const StoreDirectory& directory, Index& index, const SegmentTable& table,
             const Committer& committer);
    ~Scrubber();  ///< stops where it is

    /// Works on a thread of its own from now on.
    void start();
    /// Begins a round now, unless one is under way.
    void begin_round();
    ScrubStatus status() const;

private:
    void run();
    bool wait_until_due();
    Result<> round();
    Result<> walk(StoreCheck& check);
    void found(const Damage& damage);
    bool pace(std::uint64_t octets);
    void store();

    const Options& options_;
    const StoreDirectory& directory_;
    Index& index_;
    const SegmentTable& table_;
    const Committer& committer_;

    // The thread's own.
    SegmentId segment_;
    std::uint64_t offset_ = 0;                                                  // of segment_
    std::uint64_t records_before_ = 0, bodies_before_ = 0, octets_before_ = 0;  // of this round, before the restart
    SteadyTime stored_{};

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false, asked_ = false;
    ScrubStatus status_;
    std::thread thread_;
};

}  // namespace poplar::engine::local
