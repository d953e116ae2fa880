#include "base/peer_network.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>
#include <optional>

namespace poplar {

namespace {

constexpr PeerKey kIpv4 = 0x0000'ffff'0000'0000;  // 0:ffff::/32 is no address's upper half
constexpr PeerKey kText = 0xff00'0000'0000'0000;  // nor is a multicast address's
constexpr PeerKey kTextBits = 0x00ff'ffff'ffff'ffff;
constexpr std::size_t kTextLimit = INET6_ADDRSTRLEN;  // longer ones are no addresses

PeerKey big_endian(const unsigned char* octets, std::size_t count) {
    PeerKey value = 0;
    for (std::size_t i = 0; i < count; ++i) value = value << 8 | octets[i];
    return value;
}

PeerKey text_key(std::string_view text) {  // FNV-1a
    PeerKey hash = 0xcbf2'9ce4'8422'2325;
    for (unsigned char c : text) hash = (hash ^ c) * 0x100'0000'01b3;
    return kText | (hash & kTextBits);
}

// Each line of the log about a peer asks, and most peers have IPv4: no copy for inet_pton().
std::optional<PeerKey> ipv4_key(std::string_view text) {
    PeerKey address = 0;
    const char* at = text.data();
    const char* const end = at + text.size();
    for (int i = 0; i < 4; ++i) {
        std::uint8_t octet = 0;
        if (i > 0 && (at == end || *at++ != '.')) return std::nullopt;
        const auto [next, error] = std::from_chars(at, end, octet);
        if (error != std::errc() || (next - at > 1 && *at == '0')) return std::nullopt;
        address = address << 8 | octet;
        at = next;
    }
    if (at != end) return std::nullopt;
    return kIpv4 | address;
}

// The upper half of an address, or an IPv4 address, as text.
std::string text_of(PeerKey key, std::string_view address, std::string_view bits4, std::string_view bits6) {
    if (key >= kText) return std::string(address.substr(0, kTextLimit));
    const bool v4 = key >> 32 == kIpv4 >> 32;
    std::array<unsigned char, 16> octets{};
    for (std::size_t i = 0; i < (v4 ? 4 : 8); ++i)
        octets[i] = static_cast<unsigned char>(key >> 8 * ((v4 ? 3 : 7) - i) & 0xff);
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(v4 ? AF_INET : AF_INET6, octets.data(), text.data(), text.size());
    return std::string(text.data()).append(v4 ? bits4 : bits6);
}

}  // namespace

std::string peer_text(std::string_view address) { return text_of(peer_key(address), address, "", "/64"); }

std::string network_text(std::string_view address) { return text_of(network_key(address), address, "/24", "/48"); }

PeerKey peer_key(std::string_view peer) {
    peer = peer.substr(0, peer.find('%'));  // a zone names an interface, not a peer
    if (auto key = ipv4_key(peer)) return *key;
    std::array<char, kTextLimit + 1> text{};
    if (peer.size() > kTextLimit) return text_key(peer);
    std::memcpy(text.data(), peer.data(), peer.size());
    std::array<unsigned char, 16> octets;
    if (::inet_pton(AF_INET6, text.data(), octets.data()) != 1) return text_key(peer);
    constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (std::memcmp(octets.data(), kMapped.data(), kMapped.size()) == 0)
        return kIpv4 | big_endian(octets.data() + kMapped.size(), 4);
    return big_endian(octets.data(), 8);
}

PeerKey network_of(PeerKey peer) {
    if (peer == kThisMachine || peer >= kText) return peer;
    return peer & (peer >> 32 == kIpv4 >> 32 ? ~PeerKey{0xff} : ~PeerKey{0xffff});
}

}  // namespace poplar
