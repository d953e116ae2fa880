#include "activity/mass_deletions.h"

#include <algorithm>
#include <utility>

namespace poplar::activity {

std::size_t MassDeletions::Hash::operator()(const Key& key) const noexcept {
    auto mixed = key.account.value * 0x9e37'79b9'7f4a'7c15 + key.mailbox;
    mixed = (mixed ^ key.device) * 0x9e37'79b9'7f4a'7c15;
    return std::hash<std::uint64_t>()(mixed ^ key.network);
}

bool MassDeletions::note(Deletion deletion) {
    Key key{deletion.account, deletion.mailbox};
    if (deletion.origin.device)
        key.device = std::uint64_t(*deletion.origin.device) + 1;
    else
        key.network = network_key(deletion.origin.peer);
    std::lock_guard hold(mutex_);
    auto found = sums_.find(key);
    if (found == sums_.end()) {
        if (sums_.size() >= kCounted) return 2 * deletion.messages > deletion.before;
        found = sums_.emplace(key, Sum{.begun = deletion.begun}).first;
    }
    auto& sum = found->second;
    if (deletion.begun < sum.begun || deletion.begun - sum.begun >= kWithin) sum = {.begun = deletion.begun};
    // Mail that came in between counts as if it had been there from the beginning.
    sum.before = std::max(sum.before, sum.messages + deletion.before);
    sum.messages += deletion.messages;
    if (2 * sum.messages <= sum.before) return false;
    if (sum.before < kLeast || waiting_.size() >= kWaiting) return true;
    deletion.messages = sum.messages;
    deletion.before = sum.before;
    deletion.begun = sum.begun;
    waiting_.push_back({std::move(deletion), !std::exchange(sum.told, true)});
    return true;
}

std::vector<MassDeletions::Waiting> MassDeletions::take(Timestamp now) {
    std::lock_guard hold(mutex_);
    std::erase_if(sums_,
                  [now](const auto& one) { return now < one.second.begun || now - one.second.begun >= kWithin; });
    return std::exchange(waiting_, {});
}

}  // namespace poplar::activity
