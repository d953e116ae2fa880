#pragma once
// SPF records: their grammar and their macros, pure functions over bytes (RFC 7208 s4.5, s4.6, s5, s6, s7, s12).
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "screening/outcome.h"

namespace poplar::screening {

/// An address of an SMTP client. IPv4 in IPv6 is IPv4.
struct IpAddress {
    std::array<std::uint8_t, 16> octets{};  ///< of IPv4: the first four
    bool v6 = false;

    static std::optional<IpAddress> parse(std::string_view text);
    unsigned bits() const { return v6 ? 128 : 32; }
    /// Whether the first `bits` bits are those of `network`, of the same family.
    bool is_in(const IpAddress& network, unsigned prefix) const;
    std::string text() const;
    std::string reverse_name() const;  ///< below in-addr.arpa or ip6.arpa
    bool operator==(const IpAddress&) const = default;
};

struct SpfMechanism {
    enum class Kind : std::uint8_t { all, include, a, mx, ptr, ip4, ip6, exists };
    Kind kind = Kind::all;
    Outcome qualifier = Outcome::pass;  ///< what a match means
    std::string domain;                 ///< with macros; "": the present one
    unsigned prefix4 = 32, prefix6 = 128;
    IpAddress network;  ///< of ip4 and ip6
};

struct SpfRecord {
    std::vector<SpfMechanism> mechanisms;
    std::optional<std::string> redirect, explanation;  ///< domains with macros

    /// Whether a TXT record is one (RFC 7208 s4.5).
    static bool is_one(std::string_view text);
    /// Any octets are allowed. Errors: invalid, with a reason that may be told.
    static Result<SpfRecord> parse(std::string_view text);
};

/// The values of macros (RFC 7208 s7.2).
struct SpfMacros {
    std::string local, sender_domain;  ///< of the identity that is checked
    std::string domain;                ///< the present one
    std::string helo;
    IpAddress address;
    std::string validated = "unknown";  ///< %{p}
};

/// Whether a domain's macros need `validated`.
bool needs_validated_name(std::string_view spec);
/// A domain with its macros replaced; too long ones lose labels on the left (RFC 7208 s7.3). Errors: invalid.
Result<std::string> expand_macros(std::string_view spec, const SpfMacros& macros);

}  // namespace poplar::screening
