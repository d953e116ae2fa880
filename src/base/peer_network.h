#pragma once
// The part of the internet that a limit counts: one customer, and the network around it.
#include <cstdint>
#include <string>
#include <string_view>

namespace poplar {

/// A number that a customer or a network is known and counted by. Also stored (docs/reference/storage-format.md, key
/// `f`): the number of an address must not change.
using PeerKey = std::uint64_t;

inline constexpr PeerKey kThisMachine = 1;  ///< no peer has it; for callers that count all of this machine as one

/// One customer: an IPv4 address, or the /64 of an IPv6 address (one customer has as many addresses in there as they
/// like). IPv4 in IPv6 counts as IPv4; of any other text ("unix") it is a hash.
PeerKey peer_key(std::string_view address);

/// The network of that customer, which one party may hold as a whole: the /24 of an IPv4 address, the /48 of an IPv6
/// address; others are networks of their own.
PeerKey network_of(PeerKey peer);

/// Both as text, for people: "192.0.2.7" and "192.0.2.0/24", "2001:db8:1:2::/64" and "2001:db8:1::/48"; another
/// text is its own.
std::string peer_text(std::string_view address);
std::string network_text(std::string_view address);

inline PeerKey network_key(std::string_view address) { return network_of(peer_key(address)); }

}  // namespace poplar
