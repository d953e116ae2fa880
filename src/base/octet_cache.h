#pragma once
#include <cstddef>
#include <list>
#include <unordered_map>
#include <utility>

namespace poplar {

/// Keeps values up to so many octets in all; then the one not used for longest goes. Callers on several threads hold a
/// mutex, and release it before they destroy what went, because that may be megabytes.
template <class Key, class Value, class Hash = std::hash<Key>>
class OctetCache {
    struct Entry {
        Key key;
        Value value;
        std::size_t octets;
    };

public:
    using Gone = std::list<Entry>;

    explicit OctetCache(std::size_t limit) : limit_(limit) {}

    /// Counts as a use. Null: there is none. Good until the next put() or erase().
    const Value* find(const Key& key) {
        auto found = by_key_.find(key);
        if (found == by_key_.end()) return nullptr;
        entries_.splice(entries_.begin(), entries_, found->second);
        return &found->second->value;
    }
    /// Replaces what was there. `octets`: of the value, beside what an entry takes itself.
    [[nodiscard]] Gone put(const Key& key, Value value, std::size_t octets) {
        auto gone = erase(key);
        octets += kEntryCost;
        octets_ += octets;
        entries_.push_front({key, std::move(value), octets});
        by_key_.emplace(key, entries_.begin());
        while (octets_ > limit_) drop(std::prev(entries_.end()), gone);
        return gone;
    }
    [[nodiscard]] Gone erase(const Key& key) {
        Gone gone;
        if (auto found = by_key_.find(key); found != by_key_.end()) drop(found->second, gone);
        return gone;
    }

    /// The octets of the longest value that is worth keeping: none may push out all others.
    std::size_t longest() const { return limit_ / 2; }
    std::size_t octets() const { return octets_; }

private:
    static constexpr std::size_t kEntryCost = 384;  // octets of memory an entry takes beside its value

    void drop(typename std::list<Entry>::iterator entry, Gone& gone) {
        octets_ -= entry->octets;
        by_key_.erase(entry->key);
        gone.splice(gone.end(), entries_, entry);
    }

    const std::size_t limit_;
    std::list<Entry> entries_;  // the last used first
    std::unordered_map<Key, typename std::list<Entry>::iterator, Hash> by_key_;
    std::size_t octets_ = 0;
};

}  // namespace poplar
