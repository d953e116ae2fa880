#include "net/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <charconv>
#include <cstring>
#include <span>

namespace poplar::net {

namespace {

// inet_ntop prints with sprintf, which takes a fiftieth of a short session.
std::string v4_text(std::span<const std::uint8_t, 4> octets) {
    char text[INET_ADDRSTRLEN];
    char* end = text;
    for (auto octet : octets) {
        if (end != text) *end++ = '.';
        end = std::to_chars(end, std::end(text), octet).ptr;
    }
    return {text, end};
}

std::string address_text(const sockaddr_storage& address, std::uint16_t* port, bool* loopback) {
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        std::array<std::uint8_t, 4> octets;
        std::memcpy(octets.data(), &v4.sin_addr, octets.size());
        *port = ntohs(v4.sin_port);
        *loopback = octets[0] == 127;
        return v4_text(octets);
    }
    if (address.ss_family == AF_INET6) {
        const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
        *port = ntohs(v6.sin6_port);
        std::span octets(v6.sin6_addr.s6_addr);
        if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
            *loopback = octets[12] == 127;
            return v4_text(octets.last<4>());
        }
        *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        char text[INET6_ADDRSTRLEN] = "";
        return inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof text);
    }
    *loopback = true;
    return "unix";
}

}  // namespace

Peer peer_at(const sockaddr_storage& address) {
    Peer peer;
    peer.address = address_text(address, &peer.port, &peer.loopback);
    return peer;
}

std::optional<Peer> peer_at(const std::string& address, std::uint16_t port) {
    if (address.contains('\0')) return std::nullopt;  // inet_pton sees only what is before it
    sockaddr_storage at{};
    auto& v4 = reinterpret_cast<sockaddr_in&>(at);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(at);
    if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(port);
    } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
    } else {
        return std::nullopt;
    }
    return peer_at(at);
}

}  // namespace poplar::net
