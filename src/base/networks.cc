#include "base/networks.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace poplar {

namespace {

constexpr std::string_view kLocal = "unix";
constexpr std::size_t kMappedOctets = 12;  // of IPv4 in IPv6, before its own four

}  // namespace

bool Networks::read(std::string_view text, Octets& octets) {
    if (text.contains('\0')) return false;  // inet_pton sees only what is before it
    const std::string copy(text);
    octets.fill(0);
    if (inet_pton(AF_INET6, copy.c_str(), octets.data()) == 1) return true;
    octets[10] = octets[11] = 0xff;
    return inet_pton(AF_INET, copy.c_str(), octets.data() + kMappedOctets) == 1;
}

bool Networks::Network::contains(const Octets& other) const {
    const auto whole = bits / 8, rest = bits % 8;
    if (!std::equal(address.begin(), address.begin() + whole, other.begin())) return false;
    return rest == 0 || ((address[whole] ^ other[whole]) >> (8 - rest)) == 0;
}

Result<Networks> Networks::parse(std::span<const std::string> texts) {
    Networks networks;
    for (const auto& text : texts) {
        if (text == kLocal) {
            networks.local_ = true;
            continue;
        }
        const auto slash = text.find('/');
        const std::string_view address = std::string_view(text).substr(0, slash);
        const bool v4 = !address.contains(':');
        const unsigned most = v4 ? 32 : 128;
        Network network{};
        unsigned bits = most;
        bool good = read(address, network.address);
        if (slash != text.npos) {
            const char* end = text.data() + text.size();
            auto [rest, error] = std::from_chars(text.data() + slash + 1, end, bits);
            good = good && error == std::errc{} && rest == end && bits <= most;
        }
        if (!good)
            return fail(Errc::invalid, fmt::format("\"{}\" is no network like \"192.0.2.0/24\" or \"2001:db8::/32\", "
                                                   "no address, and not \"unix\"",
                                                   text));
        network.bits = bits + (v4 ? 8 * kMappedOctets : 0);
        auto beyond = network.address;  // bits that are set behind those that count are somebody's mistake
        for (unsigned i = 0; i < network.bits; ++i) beyond[i / 8] &= static_cast<std::uint8_t>(~(0x80 >> (i % 8)));
        if (std::ranges::any_of(beyond, [](auto octet) { return octet != 0; }))
            return fail(Errc::invalid, fmt::format("\"{}\" has bits set behind its {}", text, bits));
        networks.networks_.push_back(network);
    }
    return networks;
}

bool Networks::contains(std::string_view address) const {
    if (empty()) return false;
    if (address == kLocal) return local_;
    Octets octets;
    return read(address, octets) &&
           std::ranges::any_of(networks_, [&](const Network& network) { return network.contains(octets); });
}

}  // namespace poplar
