#pragma once
// The hosts that take mail for a domain (RFC 5321 s5).
#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "base/asio.h"
#include "dns/resolver.h"

namespace poplar::outbound {

struct Host {
    std::string name;  ///< in ASCII, or an address
    std::uint16_t preference = 0;
    bool secure = false;    ///< that it is the domain's host validates (dns::Answer::secure)
    bool sts_named = true;  ///< the domain's MTA-STS policy names it, or there is none
    bool operator==(const Host&) const = default;
};

/// Why mail can't go there. The text is for people.
struct NoWay {
    bool permanent = false;
    std::string status, text;  ///< "5.1.10"
};

/// In order of preference. A domain without MX has one host, itself, if it has an address; null MX is RFC 7505's. If
/// `own_name` is among them, it and all that are not better are left out (RFC 5321 s5.1).
Task<std::expected<std::vector<Host>, NoWay>> hosts_of(dns::Lookup& dns, std::string domain, std::string own_name);

struct Addresses {
    std::vector<std::string> all;  ///< of both families in turn, IPv6 first; at least one
    bool secure = false;           ///< all of them validate
    std::string canonical = {};    ///< the name that has them, where the host's is an alias of it; ""
};
Task<std::expected<Addresses, NoWay>> addresses_of(dns::Lookup& dns, std::string host);

/// Names a set of hosts: domains with the same hosts are one destination.
std::string key_of(const std::vector<Host>& hosts);

}  // namespace poplar::outbound
