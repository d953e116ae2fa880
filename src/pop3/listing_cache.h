#pragma once
// Listings that were made before: a client that polls a large maildrop asks for the same one again and again.
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "mailstore/mail_store.h"

namespace poplar::pop3 {

/// Keeps the last listing of each kind that an account was sent, up to so many octets in all; then the one not used for
/// longest goes. May be used from any thread.
class ListingCache {
public:
    using Text = std::shared_ptr<const std::string>;
    enum class Kind : std::uint8_t { octets, unique_ids, ascii_octets };  ///< LIST, UIDL, LIST without UTF-8

    /// 0: keeps nothing.
    explicit ListingCache(std::size_t octets) : limit_(octets) {}

    /// Null if there is none of this version of the maildrop.
    Text find(mailstore::AccountId account, Kind kind, engine::ChangeNumber version);
    void keep(mailstore::AccountId account, Kind kind, engine::ChangeNumber version, Text text);

    /// The longest text that is kept: no maildrop may push out all others.
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
        engine::ChangeNumber version;
        Text text;
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
