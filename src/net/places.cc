// Counts connections in all, by protocol, by peer and by network.
#include "net/places.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace poplar::net {

namespace {

constexpr std::size_t kLargestReserve = 8;  // a part of so many

/// Descriptors are given out from the lowest: a connection with this one or a higher one takes what the store needs to
/// open its files, and would stop the work of all others.
int first_spare_descriptor(std::size_t spare) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > std::numeric_limits<int>::max())
        return std::numeric_limits<int>::max();
    return static_cast<int>(limit.rlim_cur - std::min<rlim_t>(spare, limit.rlim_cur / 2));
}

std::size_t reserve_of(const PlaceLimits& limits, int first_spare) {
    auto all = std::min(limits.connections, static_cast<std::size_t>(first_spare));
    return std::min(limits.connections_reserved, all / kLargestReserve);
}

}  // namespace

Places::Places(const PlaceLimits& limits)
    : limits_(limits),
      reserved_(reserve_of(limits, first_spare_descriptor(limits.spare_descriptors))),
      first_spare_(first_spare_descriptor(limits.spare_descriptors)) {}

std::size_t Places::protocol(std::string_view name) {
    std::lock_guard guard(mutex_);
    auto known = std::ranges::find(protocols_, name, &Protocol::name);
    if (known != protocols_.end()) return static_cast<std::size_t>(known - protocols_.begin());
    protocols_.push_back({std::string(name)});
    return protocols_.size() - 1;
}

std::size_t Places::kept_for_others(std::size_t protocol) const {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < protocols_.size(); ++i)
        if (i != protocol) kept += reserved_ - std::min(reserved_, protocols_[i].taken);
    return kept;
}

std::expected<Places::Place, Places::Limit> Places::enter(std::size_t protocol, int socket) {
    std::lock_guard guard(mutex_);
    if (taken_ >= limits_.connections || socket >= first_spare_) return std::unexpected(Limit::connections);
    const auto kept = kept_for_others(protocol);
    if (taken_ + kept >= limits_.connections ||
        static_cast<std::size_t>(socket) + kept >= static_cast<std::size_t>(first_spare_))
        return std::unexpected(Limit::reserved);
    ++taken_;
    ++protocols_[protocol].taken;
    return Place(*this, protocol);
}

std::size_t Places::count_of(const Counts& counts, PeerKey key) {
    auto at = counts.find(key);
    return at == counts.end() ? 0 : at->second;
}

void Places::give_back(Counts& counts, PeerKey key) {
    auto at = counts.find(key);
    if (--at->second == 0) counts.erase(at);
}

// A network may have as many connections as are left for all others, so that a newcomer finds a place however few
// networks have taken the others; but always as many as a single peer may have.
std::optional<Places::Limit> Places::Place::count_for(const Peer& peer) {
    std::optional<PeerKey> own, network;
    const auto& limits = places_->limits_;
    if (!peer.loopback || limits.limit_loopback_peers) {
        own = peer_key(peer.address);
        network = network_of(*own);
    }
    std::lock_guard guard(places_->mutex_);
    auto& peers = places_->peers_;
    auto& networks = places_->networks_;
    if (own && own != peer_ && count_of(peers, *own) >= limits.connections_per_peer) return Limit::peer;
    if (network && network != network_) {
        const auto left = limits.connections - std::min<std::size_t>(limits.connections, places_->taken_);
        const auto share = std::min(limits.connections_per_network, std::max(limits.connections_per_peer, left));
        if (count_of(networks, *network) >= share) return Limit::network;
    }
    if (peer_) give_back(peers, *peer_);
    if (network_) give_back(networks, *network_);
    peer_ = own;
    network_ = network;
    if (peer_) ++peers[*peer_];
    if (network_) ++networks[*network_];
    return std::nullopt;
}

void Places::leave(const Place& place) {
    std::lock_guard guard(mutex_);
    if (place.peer_) give_back(peers_, *place.peer_);
    if (place.network_) give_back(networks_, *place.network_);
    --protocols_[place.protocol_].taken;
    --taken_;
}

Places::Place::Place(Place&& other) noexcept
    : places_(std::exchange(other.places_, nullptr)),
      protocol_(other.protocol_),
      peer_(other.peer_),
      network_(other.network_) {}

Places::Place::~Place() {
    if (places_) places_->leave(*this);
}

std::string_view to_string(Places::Limit limit) {
    switch (limit) {
        case Places::Limit::connections: return "connections";
        case Places::Limit::reserved: return "connections_reserved";
        case Places::Limit::peer: return "connections_per_peer";
        case Places::Limit::network: break;
    }
    return "connections_per_network";
}

}  // namespace poplar::net
