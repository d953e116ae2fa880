#include "engine/local/place_cache.h"

#include <algorithm>

namespace poplar::engine::local {

namespace {
constexpr std::size_t kFew = 8;       // a client that fetches so few will hardly fetch them all again
constexpr std::size_t kMost = 4'096;  // of one partition: each addition copies what was there
}  // namespace

std::vector<Placed> PlaceCache::find(PartitionId partition, BodyId first, std::size_t limit) {
    Places known;
    {
        std::lock_guard guard(mutex_);
        if (const auto* kept = cache_.find(partition)) known = *kept;
    }
    if (!known) return {};
    auto at = std::ranges::lower_bound(*known, first, {}, &Placed::id);
    if (at == known->end() || at->id != first) return {};
    return {at, at + static_cast<std::ptrdiff_t>(std::min<std::size_t>(limit, known->end() - at))};
}

void PlaceCache::keep(PartitionId partition, const std::vector<Placed>& places, std::uint64_t epoch) {
    if (places.empty()) return;
    auto together = std::make_shared<std::vector<Placed>>();
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    if (epoch != epoch_) return;
    if (const auto* kept = cache_.find(partition)) {
        const auto& before = **kept;
        if (before.back().id < places.front().id && before.size() + places.size() <= kMost) {
            together->reserve(before.size() + places.size());
            *together = before;
        }
    }
    if (together->empty() && places.size() < kFew) return;
    together->insert(together->end(), places.begin(), places.end());
    const auto octets = together->capacity() * sizeof(Placed);
    if (octets <= cache_.longest()) gone = cache_.put(partition, std::move(together), octets);
}

void PlaceCache::forget(PartitionId partition) {
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    ++epoch_;
    gone = cache_.erase(partition);
}

void PlaceCache::correct(PartitionId partition, BodyId id, const BodyPlace& now) {
    decltype(cache_)::Gone gone;
    std::lock_guard guard(mutex_);
    const auto* kept = cache_.find(partition);
    if (!kept) return;
    auto at = std::ranges::lower_bound(**kept, id, {}, &Placed::id);
    if (at != (*kept)->end() && at->id == id && at->place != now) gone = cache_.erase(partition);
}

std::size_t PlaceCache::octets() const {
    std::lock_guard guard(mutex_);
    return cache_.octets();
}

}  // namespace poplar::engine::local
