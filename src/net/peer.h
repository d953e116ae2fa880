#pragma once
#include <cstdint>
#include <optional>
#include <string>

struct sockaddr_storage;

namespace poplar::net {

/// The other end of a connection.
struct Peer {
    std::string address;  ///< "192.0.2.1", "2001:db8::1"; "unix" for a local socket; "unknown": a proxy did not say
    std::uint16_t port = 0;
    bool loopback = false;  ///< 127.0.0.0/8, ::1, or a local socket
};

inline constexpr const char* kUnknownAddress = "unknown";

/// The peer with this address. IPv4 in IPv6 is IPv4.
Peer peer_at(const sockaddr_storage& address);
/// The same from the address's text: IPv4 or IPv6, without brackets. None: it is no address.
std::optional<Peer> peer_at(const std::string& address, std::uint16_t port);

}  // namespace poplar::net
