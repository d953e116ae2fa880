#include "net/handshakes.h"

#include <algorithm>

namespace poplar::net {

namespace {

constexpr std::chrono::seconds kSweepEvery{1};

}  // namespace

void Handshakes::make_room(SteadyTime now) {
    if (entries_.size() + 2 <= kRemembered || now - swept_ < kSweepEvery) return;
    swept_ = now;
    std::erase_if(entries_, [&](const auto& one) { return one.second.next <= now; });
}

// Null: too many are remembered. A crowd of so many networks can't be told from the world.
Handshakes::Entry* Handshakes::entry(Key key) {
    if (entries_.size() < kRemembered) return &entries_[key];
    auto known = entries_.find(key);
    return known == entries_.end() ? nullptr : &known->second;
}

SteadyTime Handshakes::after_one_more(const Entry* entry, std::uint32_t rate, SteadyTime now) {
    return entry ? std::max(entry->next, now) + SteadyClock::duration(std::chrono::seconds(1)) / rate : now;
}

// Each is allowed its own part of a second. `next` runs ahead of the clock by what was begun at once.
std::optional<SteadyClock::duration> Handshakes::begin(const Peer& peer) {
    if (peer.loopback) return SteadyClock::duration::zero();
    const auto now = SteadyClock::now();
    std::lock_guard guard(mutex_);
    make_room(now);
    const auto key = peer_key(peer.address);
    auto* one = entry({Kind::peer, key});
    auto* network = entry({Kind::network, network_of(key)});
    const auto next_of_peer = after_one_more(one, limits_.handshakes_per_peer, now);
    const auto next_of_network = after_one_more(network, limits_.handshakes_per_network, now);
    const auto wait = std::max(next_of_peer, next_of_network) - now - kAtOnce;
    if (wait > kLongest) return std::nullopt;
    if (one) one->next = next_of_peer;
    if (network) network->next = next_of_network;
    return std::max(wait, SteadyClock::duration::zero());
}

}  // namespace poplar::net
