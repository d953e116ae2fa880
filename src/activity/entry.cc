#include "activity/entry.h"

#include <algorithm>

#include "base/peer_network.h"

namespace poplar::activity {

std::string_view to_string(Kind kind) {
    const auto* found = std::ranges::find(kKinds, kind, &std::pair<Kind, std::string_view>::first);
    return found == kKinds.end() ? "" : found->second;
}

std::optional<Kind> kind_of(std::string_view word) {
    const auto* found = std::ranges::find(kKinds, word, &std::pair<Kind, std::string_view>::second);
    return found == kKinds.end() ? std::nullopt : std::optional(found->first);
}

bool Origin::is_same(const Origin& other) const {
    if (device != other.device || protocol != other.protocol) return false;
    if (peer == other.peer) return true;
    return peer.contains(':') && other.peer.contains(':') && peer_key(peer) == peer_key(other.peer);
}

void Entry::add(const Entry& other) {
    first = std::min(first, other.first);
    if (other.last >= last && !other.origin.device_name.empty()) origin.device_name = other.origin.device_name;
    last = std::max(last, other.last);
    times += other.times;
    messages += other.messages;
}

bool share_entry(Kind kind, Timestamp one, Timestamp other) {
    if (kind == Kind::login || kind == Kind::refused || kind == Kind::unproven) return day_of(one) == day_of(other);
    return std::chrono::floor<std::chrono::hours>(one) == std::chrono::floor<std::chrono::hours>(other);
}

std::uint32_t day_of(Timestamp time) {
    const auto days = std::chrono::floor<std::chrono::days>(time).time_since_epoch().count();
    return static_cast<std::uint32_t>(std::max<std::int64_t>(days, 0));
}

}  // namespace poplar::activity
