#pragma once
// Listings that were made before: a client that polls a large maildrop asks for nearly the same one again and again.
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "mailstore/mail_store.h"
#include "pop3/listing.h"

namespace poplar::pop3 {

/// Keeps the last listing of each kind that an account was sent, up to so many octets in all; then the one not used for
/// longest goes. May be used from any thread.
class ListingCache {
public:
    enum class Kind : std::uint8_t { octets, unique_ids, ascii_octets };  ///< LIST, UIDL, LIST without UTF-8
    static constexpr Kind kKinds[] = {Kind::octets, Kind::unique_ids, Kind::ascii_octets};

    struct Kept {
        mailstore::ListVersion version;
        std::shared_ptr<const Listing> listing;  ///< null: there is none
    };

    /// 0: keeps nothing.
    explicit ListingCache(std::size_t octets) : limit_(octets) {}

    /// Of this version of the maildrop, or of one that it continues: then it is the beginning of what is wanted.
    Kept find(mailstore::AccountId account, Kind kind, const mailstore::ListVersion& version);
    /// In place of what was kept. One that is too long is not kept; an empty one only takes the other away.
    void keep(mailstore::AccountId account, Kind kind, Kept kept);

    /// The octets of the longest listing that is kept: no maildrop may push out all others.
    std::size_t longest() const { return limit_ / 4; }
    std::size_t octets() const;

private:
    struct Key {
        mailstore::AccountId account;
        Kind kind;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const {
            return std::hash<std::uint64_t>{}(key.account.value * 4 + static_cast<std::uint64_t>(key.kind));
        }
    };
    struct Entry {
        Key key;
        Kept kept;
    };
    using Entries = std::list<Entry>;

    void drop(Entries::iterator entry);

    const std::size_t limit_;
    mutable std::mutex mutex_;
    Entries entries_;  // the last used first
    std::unordered_map<Key, Entries::iterator, Hash> by_key_;
    std::size_t octets_ = 0;
};

}  // namespace poplar::pop3
