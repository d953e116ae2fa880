#include "auth/familiar_peers.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace poplar::auth {

using directory::AccountId;
using SeenPeers = directory::Directory::SeenPeers;
using PeerKeys = directory::Directory::PeerKeys;

FamiliarPeers::FamiliarPeers(directory::Directory& directory, std::size_t per_account, std::size_t cached)
    : directory_(directory), per_account_(per_account), shard_entries_(std::max<std::size_t>(cached / kShards, 1)) {}

/// Whether noting it again would change nothing (Directory::note_familiar_peers).
bool FamiliarPeers::is_known_late(AccountId account, PeerKey peer) {
    auto& here = shard(account);
    std::lock_guard hold(here.mutex);
    auto found = here.entries.find(account);
    if (found == here.entries.end()) return false;
    const auto& peers = found->second.peers;
    auto later = std::min(peers.size(), std::max<std::size_t>(per_account_ / 2, 1));
    return std::find(peers.begin(), peers.begin() + static_cast<std::ptrdiff_t>(later), peer) !=
           peers.begin() + static_cast<std::ptrdiff_t>(later);
}

void FamiliarPeers::remember(AccountId account, PeerKeys peers) {
    auto& here = shard(account);
    std::lock_guard hold(here.mutex);
    auto found = here.entries.find(account);
    if (found != here.entries.end()) {
        found->second.peers = std::move(peers);
        return;
    }
    if (here.entries.size() >= shard_entries_) {
        here.entries.erase(here.order.front());
        here.order.pop_front();
    }
    auto order = here.order.insert(here.order.end(), account);
    here.entries.emplace(account, Entry{std::move(peers), order});
}

void FamiliarPeers::note(AccountId account, PeerKey peer) {
    if (per_account_ == 0 || is_known_late(account, peer)) return;
    bool wake = false;
    {
        std::lock_guard hold(pending_mutex_);
        if (pending_.size() >= kPending) return;
        auto& peers = pending_[account];
        if (std::ranges::find(peers, peer) != peers.end() || peers.size() >= per_account_) return;
        peers.push_back(peer);
        wake = !std::exchange(flush_wanted_, true);
    }
    if (wake && on_noted_) on_noted_();
}

Task<bool> FamiliarPeers::knows(AccountId account, PeerKey peer) {
    auto among = [&](const PeerKeys& peers) { return std::ranges::find(peers, peer) != peers.end(); };
    {
        std::lock_guard hold(pending_mutex_);
        auto found = pending_.find(account);
        if (found != pending_.end() && among(found->second)) co_return true;
    }
    {
        auto& here = shard(account);
        std::lock_guard hold(here.mutex);
        auto found = here.entries.find(account);
        if (found != here.entries.end()) co_return among(found->second.peers);
    }
    auto peers = co_await directory_.familiar_peers(account);
    co_return peers&& among(*peers);
}

std::vector<SeenPeers> FamiliarPeers::some_pending() {
    std::vector<SeenPeers> some;
    std::lock_guard hold(pending_mutex_);
    for (const auto& [id, peers] : pending_) {
        if (some.size() == kAtOnce) break;
        some.push_back({id, peers});
    }
    if (some.empty()) flush_wanted_ = false;
    return some;
}

/// Leaves what was noted since.
void FamiliarPeers::drop_pending(const std::vector<SeenPeers>& done) {
    std::lock_guard hold(pending_mutex_);
    for (const auto& [id, peers] : done) {
        auto found = pending_.find(id);
        auto& left = found->second;
        left.erase(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(peers.size()));
        if (left.empty()) pending_.erase(found);
    }
}

Task<> FamiliarPeers::flush() {
    auto turn = co_await flushing_.lock();
    for (;;) {
        auto seen = some_pending();
        if (seen.empty()) co_return;
        auto kept = co_await directory_.note_familiar_peers(seen, per_account_);
        if (kept) {
            for (auto& [id, peers] : *kept) remember(id, std::move(peers));
        } else {  // noted again at their next logins
            log::warning("auth.familiar_peers_not_kept",
                         {{"accounts", seen.size()}, {"reason", to_string(kept.error().code())}});
        }
        drop_pending(seen);
    }
}

}  // namespace poplar::auth
