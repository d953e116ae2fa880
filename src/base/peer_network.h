#pragma once
// The part of the internet that a limit counts: one customer, and the network around it.
#include <string>
#include <string_view>

namespace poplar {

/// One customer: an IPv4 address, or the /64 of an IPv6 address (one customer has as many addresses in there as they
/// like). IPv4 in IPv6 counts as IPv4; any other text ("unix"), at most 64 octets of it, stands for itself.
std::string peer_key(std::string_view address);

/// The network of that customer, which one party may hold as a whole: the /24 of an IPv4 address, the /48 of an IPv6
/// address; any other text as peer_key().
std::string network_key(std::string_view address);

}  // namespace poplar
