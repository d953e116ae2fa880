#pragma once
// Keeps listings, because a client that polls a large maildrop asks for nearly the same one again and again.
#include <cstdint>
#include <memory>
#include <mutex>

#include "base/octet_cache.h"
#include "mailstore/mail_store.h"
#include "pop3/listing.h"

namespace poplar::pop3 {

/// Keeps the last listing of each kind that a view's client was sent. Over so many octets in all, the least recently
/// used one goes. May be used from any thread.
class ListingCache {
public:
    enum class Kind : std::uint8_t { octets, unique_ids, ascii_octets };  ///< LIST, UIDL, LIST without UTF-8
    static constexpr Kind kKinds[] = {Kind::octets, Kind::unique_ids, Kind::ascii_octets};

    struct Kept {
        mailstore::ListVersion version;
        std::shared_ptr<const Listing> listing;  ///< null: there is none
    };

    /// 0: keeps nothing.
    explicit ListingCache(std::size_t octets) : cache_(octets) {}

    /// A listing of this version of the maildrop, or of an earlier one that it continues: the caller adds what came
    /// since.
    Kept find(mailstore::ViewOf of, Kind kind, const mailstore::ListVersion& version);
    /// Replaces the one that was kept. Does not keep one that is too long; an empty one only takes the old one away.
    void keep(mailstore::ViewOf of, Kind kind, Kept kept);

    /// The octets of the longest listing that is kept: no maildrop may push out all others.
    std::size_t longest() const { return cache_.longest(); }
    std::size_t octets() const;

private:
    struct Key {
        mailstore::ViewOf of;
        Kind kind;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const {
            return std::hash<mailstore::ViewOf>{}(key.of) * 4 + static_cast<std::size_t>(key.kind);
        }
    };

    mutable std::mutex mutex_;
    OctetCache<Key, Kept, Hash> cache_;
};

}  // namespace poplar::pop3
