#include "pop3/listing_cache.h"

namespace poplar::pop3 {

namespace {
constexpr std::size_t kEntryCost = 384;  // octets of memory an entry takes beside its text
}  // namespace

ListingCache::Kept ListingCache::find(mailstore::AccountId account, Kind kind, const mailstore::ListVersion& version) {
    std::lock_guard guard(mutex_);
    auto found = by_key_.find(Key{account, kind});
    if (found == by_key_.end() || !version.continues(found->second->kept.version)) return {};
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->kept;
}

void ListingCache::keep(mailstore::AccountId account, Kind kind, Kept kept) {
    if (kept.listing->octets() > longest()) return;
    std::lock_guard guard(mutex_);
    if (auto found = by_key_.find(Key{account, kind}); found != by_key_.end()) drop(found->second);
    if (kept.listing->empty()) return;
    octets_ += kept.listing->octets() + kEntryCost;
    entries_.push_front({{account, kind}, std::move(kept)});
    by_key_.emplace(entries_.front().key, entries_.begin());
    while (octets_ > limit_) drop(std::prev(entries_.end()));
}

std::size_t ListingCache::octets() const {
    std::lock_guard guard(mutex_);
    return octets_;
}

void ListingCache::drop(Entries::iterator entry) {
    octets_ -= entry->kept.listing->octets() + kEntryCost;
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

}  // namespace poplar::pop3
