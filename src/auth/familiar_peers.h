#pragma once
// Remembers from which peers each account was logged in to lately, because failures of others must not lock these out.
// The directory keeps them, so that neither a restart nor a clock that is set forgets them. They are written in the
// background, so that a login pays only for a look in memory.
#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/asio.h"
#include "base/async_mutex.h"
#include "base/peer_network.h"
#include "directory/directory.h"

namespace poplar::auth {

/// Functions may be called from any thread.
class FamiliarPeers {
public:
    /// Keeps `per_account` peers of each account, at least half of them the latest ones, and those of `cached` accounts
    /// in memory.
    FamiliarPeers(directory::Directory& directory, std::size_t per_account, std::size_t cached);

    /// A good login. It is known at once to knows(), and is durable once flush() returns.
    void note(directory::AccountId account, PeerKey peer);
    /// Whether the account was logged in from there. False where the directory can't be read.
    Task<bool> knows(directory::AccountId account, PeerKey peer);
    /// Writes what was noted. One call at a time works, others wait for it.
    Task<> flush();

    /// A login calls `call`, on its thread, when there is something for flush(); then no login does until flush() has
    /// run. To be set before the first login.
    void on_noted(std::function<void()> call) { on_noted_ = std::move(call); }

private:
    static constexpr std::size_t kShards = 16;
    static constexpr std::size_t kPending = 10'000;  ///< accounts; a login beyond is noted the next time
    static constexpr std::size_t kAtOnce = 500;      ///< accounts a commit

    struct Entry {
        directory::Directory::PeerKeys peers;
        std::list<directory::AccountId>::iterator order;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<directory::AccountId, Entry> entries;
        std::list<directory::AccountId> order;  ///< oldest first
    };
    Shard& shard(directory::AccountId id) { return shards_[id.value % kShards]; }
    bool is_known_late(directory::AccountId account, PeerKey peer);
    void remember(directory::AccountId account, directory::Directory::PeerKeys peers);
    std::vector<directory::Directory::SeenPeers> some_pending();
    void drop_pending(const std::vector<directory::Directory::SeenPeers>& done);

    directory::Directory& directory_;
    const std::size_t per_account_, shard_entries_;
    std::array<Shard, kShards> shards_;
    std::function<void()> on_noted_;
    AsyncMutex flushing_;
    std::mutex pending_mutex_;
    std::unordered_map<directory::AccountId, directory::Directory::PeerKeys> pending_;  ///< until they are written
    bool flush_wanted_ = false;
};

}  // namespace poplar::auth
