#include "pop3/listing_cache.h"

namespace poplar::pop3 {

ListingCache::Kept ListingCache::find(mailstore::ViewOf of, Kind kind, const mailstore::ListVersion& version) {
    std::lock_guard guard(mutex_);
    const auto* kept = cache_.find({of, kind});
    return kept && version.continues(kept->version) ? *kept : Kept{};
}

void ListingCache::keep(mailstore::ViewOf of, Kind kind, Kept kept) {
    const auto octets = kept.listing->octets();
    if (octets > longest()) return;
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    if (kept.listing->empty())
        gone = cache_.erase({of, kind});
    else
        gone = cache_.put({of, kind}, std::move(kept), octets);
}

std::size_t ListingCache::octets() const {
    std::lock_guard guard(mutex_);
    return cache_.octets();
}

}  // namespace poplar::pop3
