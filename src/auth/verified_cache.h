#pragma once
#include <array>
#include <chrono>
#include <list>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/steady.h"
#include "directory/directory.h"

namespace poplar::auth {

/// Remembers for a while that a password was right, so that a client that polls every minute does not cost an Argon2
/// each time. It keeps a hash (BLAKE2b) under a key that only this process has. One password an account; a
/// changed credential_version makes it worthless. A wall clock that steps changes nothing. May be called from any
/// thread.
class VerifiedCache {
public:
    /// Remembers nothing with a `ttl` or `entries` of 0. Where `entries` are used up, the oldest go.
    VerifiedCache(std::chrono::seconds ttl, std::size_t entries);
    ~VerifiedCache();
    VerifiedCache(const VerifiedCache&) = delete;
    VerifiedCache& operator=(const VerifiedCache&) = delete;

    bool contains(const directory::Account& account, std::string_view password);
    void remember(const directory::Account& account, std::string_view password);
    void forget(directory::AccountId id);
    std::size_t size() const;

private:
    using Digest = std::array<unsigned char, 32>;
    struct Entry {
        Digest digest;
        SteadyTime since;
        std::list<directory::AccountId>::iterator order;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<directory::AccountId, Entry> entries;
        std::list<directory::AccountId> order;  ///< oldest first
        void erase(std::unordered_map<directory::AccountId, Entry>::iterator entry);
    };
    Digest digest(const directory::Account& account, std::string_view password) const;
    Shard& shard(directory::AccountId id) { return shards_[id.value % shards_.size()]; }

    const std::chrono::seconds ttl_;
    const std::size_t shard_entries_;
    Digest key_;
    mutable std::vector<Shard> shards_;
};

}  // namespace poplar::auth
