#pragma once
// Gives the disk space of erased bodies back: holes in segments, files that are unlinked. A backup holds this up for as
// long as it gathers names, and a file that a backup shares is never changed.
#include <mutex>
#include <shared_mutex>
#include <vector>

#include "engine/local/disk_pool.h"
#include "engine/local/record.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// May be used from any thread. The pool's destructor waits for what is under way, so it is destroyed before this.
class Reclaims {
public:
    explicit Reclaims(StoreDirectory& directory) : directory_(directory) {}

    /// Some time, on a thread of `pool`. If a crash comes between, a large file is swept at the next start; a few
    /// blocks of a segment stay taken until it is copied.
    void free(DiskPool& pool, PartitionId partition, BodyId id, const BodyPlace& place);

    /// While it lives, all that is not yet given back stays where it is. One at a time.
    class Hold {
    public:
        Hold(Reclaims& reclaims, DiskPool& pool);  ///< waits for what is being given back right now
        ~Hold();
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;

    private:
        Reclaims& reclaims_;
        DiskPool& pool_;
    };

private:
    struct Freed {
        PartitionId partition;
        BodyId id;
        BodyPlace place;
    };
    void give_back(const Freed& freed);

    StoreDirectory& directory_;
    std::shared_mutex gate_;  // held for reading by who gives something back
    bool held_ = false;       // changes with the gate held for writing
    std::mutex mutex_;
    std::vector<Freed> waiting_;  // large files only: a hole that is not made now is made by the next copying
};

}  // namespace poplar::engine::local
