#include "base/peer_network.h"

#include <algorithm>

#include "base/asio.h"

namespace poplar {

namespace {

constexpr std::size_t kTextLimit = 64;

/// The address's first bits, which are whole octets. All 32 bits of IPv4 are written without a length.
std::string prefix_of(std::string_view text, unsigned v4_bits, unsigned v6_bits) {
    text = text.substr(0, kTextLimit);
    boost::system::error_code error;
    auto address = asio::ip::make_address(std::string(text), error);
    if (error) return std::string(text);
    if (address.is_v6() && address.to_v6().is_v4_mapped())
        address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
    if (address.is_v4()) {
        auto octets = address.to_v4().to_bytes();
        std::fill(octets.begin() + v4_bits / 8, octets.end(), 0);
        auto network = asio::ip::address_v4(octets).to_string();
        return v4_bits == 32 ? network : network + "/" + std::to_string(v4_bits);
    }
    auto octets = address.to_v6().to_bytes();
    std::fill(octets.begin() + v6_bits / 8, octets.end(), 0);
    return asio::ip::address_v6(octets).to_string() + "/" + std::to_string(v6_bits);
}

}  // namespace

std::string peer_key(std::string_view address) {
    // Most peers have IPv4, and each line of the log asks: without a colon there is nothing to cut off.
    if (address.find(':') == address.npos) return std::string(address.substr(0, kTextLimit));
    return prefix_of(address, 32, 64);
}

std::string network_key(std::string_view address) { return prefix_of(address, 24, 48); }

}  // namespace poplar
