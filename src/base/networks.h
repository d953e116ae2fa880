#pragma once
// The networks that the configuration names, and whether a peer is in one of them.
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar {

class Networks {
public:
    /// Each is "192.0.2.0/24", "2001:db8::/32", one address, or "unix" for all local sockets. Errors: invalid; the
    /// detail says what is wrong with which.
    static Result<Networks> parse(std::span<const std::string> texts);

    /// `address` as in Peer. IPv4 in IPv6 counts as IPv4.
    bool contains(std::string_view address) const;
    bool empty() const { return networks_.empty() && !local_; }

private:
    using Octets = std::array<std::uint8_t, 16>;  // of an IPv6 address; IPv4 in IPv6
    struct Network {
        Octets address;
        unsigned bits;  // that count, of 128
        bool contains(const Octets& other) const;
    };
    static bool read(std::string_view text, Octets& octets);

    std::vector<Network> networks_;
    bool local_ = false;
};

}  // namespace poplar
