#include "pop3/listing_cache.h"

namespace poplar::pop3 {

namespace {
constexpr std::size_t kEntryCost = 256;  // octets of memory an entry takes beside its text
}

ListingCache::Text ListingCache::find(mailstore::AccountId account, Kind kind, engine::ChangeNumber version) {
    std::lock_guard guard(mutex_);
    auto found = by_key_.find(Key{account, kind});
    if (found == by_key_.end() || found->second->version != version) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->text;
}

void ListingCache::keep(mailstore::AccountId account, Kind kind, engine::ChangeNumber version, Text text) {
    if (text->size() > longest()) return;
    std::lock_guard guard(mutex_);
    if (auto found = by_key_.find(Key{account, kind}); found != by_key_.end()) drop(found->second);
    octets_ += text->size() + kEntryCost;
    entries_.push_front({{account, kind}, version, std::move(text)});
    by_key_.emplace(entries_.front().key, entries_.begin());
    while (octets_ > limit_) drop(std::prev(entries_.end()));
}

std::size_t ListingCache::octets() const {
    std::lock_guard guard(mutex_);
    return octets_;
}

void ListingCache::drop(Entries::iterator entry) {
    octets_ -= entry->text->size() + kEntryCost;
    by_key_.erase(entry->key);
    entries_.erase(entry);
}

}  // namespace poplar::pop3
