// Where accounts were logged in from, in records of their own beside the accounts'.
#include <algorithm>

#include "directory/core.h"

namespace poplar::directory {

namespace {

/// Puts `peer` first, unless it is among the later half of what may be kept. True if that changed anything.
bool note(Directory::PeerKeys& kept, std::uint64_t peer, std::size_t limit) {
    auto found = std::ranges::find(kept, peer);
    auto place = static_cast<std::size_t>(found - kept.begin());
    if (found != kept.end() && place < std::max<std::size_t>(limit / 2, 1)) return false;
    if (found != kept.end()) kept.erase(found);
    kept.insert(kept.begin(), peer);
    if (kept.size() > limit) kept.resize(limit);
    return true;
}

}  // namespace

Task<Result<Directory::PeerKeys>> Directory::familiar_peers(AccountId id) {
    auto value = co_await core_->read(familiar_peers_key(id));
    if (!value) co_return pass_on(value);
    if (!*value) co_return PeerKeys{};
    co_return decode_familiar_peers(**value);
}

Task<Result<std::vector<Directory::SeenPeers>>> Directory::note_familiar_peers(std::vector<SeenPeers> seen,
                                                                               std::size_t limit) {
    auto prepare = [&](Draft& draft) -> Task<Result<std::vector<SeenPeers>>> {
        std::vector<SeenPeers> kept;
        for (const auto& [id, peers] : seen) {
            auto there = co_await core_->read(account_id_key(id));
            if (!there) co_return pass_on(there);
            if (!*there) continue;
            auto all = co_await familiar_peers(id);
            if (!all && all.error().code() != Errc::corrupt) co_return pass_on(all);
            if (!all) all.emplace();  // written anew
            bool changed = false;
            for (auto peer : peers) changed |= note(*all, peer, limit);
            if (changed) draft.batch.put(familiar_peers_key(id), encode_familiar_peers(*all));
            kept.push_back({id, std::move(*all)});
        }
        co_return kept;
    };
    co_return co_await core_->write<std::vector<SeenPeers>>(prepare, AliasesLead::as_before);
}

}  // namespace poplar::directory
