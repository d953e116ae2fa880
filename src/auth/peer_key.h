#pragma once
#include <cstdint>
#include <string_view>

namespace poplar::auth {

/// A number that a peer is known and counted by. Also stored (docs/storage-format.md, key `f`): what it is of an
/// address must not change.
using PeerKey = std::uint64_t;

/// An IPv4 address; an IPv6 address's /64 (one customer has as many addresses in there as they like); IPv4 in IPv6 as
/// IPv4; all of this machine is one peer; any other text is what it hashes to.
PeerKey peer_key(std::string_view peer, bool loopback);

/// The network it is in: an IPv4 address's /24, an IPv6 address's /48; others are networks of their own.
PeerKey network_of(PeerKey peer);

}  // namespace poplar::auth
