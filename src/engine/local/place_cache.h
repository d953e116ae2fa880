#pragma once
// Places of bodies that were looked up together before, for a client that fetches a whole mailbox again.
#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/octet_cache.h"
#include "engine/engine.h"
#include "engine/local/record.h"

namespace poplar::engine::local {

struct Placed {
    BodyId id;
    BodyPlace place;
};

/// Keeps places by partition, up to so many octets in all; then the partition not used for longest goes. It is told of
/// bodies that are erased, not of those that are copied: so a place may be out of date. May be used from any thread.
class PlaceCache {
public:
    explicit PlaceCache(std::size_t octets) : cache_(octets) {}

    /// The known places of `first` and the bodies behind it, at most `limit`; none if that of `first` is not known.
    std::vector<Placed> find(PartitionId partition, BodyId first, std::size_t limit);
    /// Counts what forget() was told, so that what was read before can't be kept after it.
    std::uint64_t epoch() const { return epoch_; }
    /// Adds `places`, in the order of their ids, to the known ones if they come behind those; else they replace them. A
    /// few places alone are not kept. `epoch`: from before they were read.
    void keep(PartitionId partition, const std::vector<Placed>& places, std::uint64_t epoch);
    /// Bodies of the partition are gone.
    void forget(PartitionId partition);
    /// Forgets the partition's places if the one that is known of this body is not `now`.
    void correct(PartitionId partition, BodyId id, const BodyPlace& now);
    std::size_t octets() const;

private:
    using Places = std::shared_ptr<const std::vector<Placed>>;

    mutable std::mutex mutex_;
    OctetCache<PartitionId, Places> cache_;
    std::atomic<std::uint64_t> epoch_ = 0;
};

}  // namespace poplar::engine::local
