#pragma once
// Resource records as they come from the wire: pure functions over bytes (RFC 1035 s3).
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::dns {

/// Longest name as text, without the dot at its end.
inline constexpr std::size_t kNameLimit = 253;

/// A name that stands uncompressed at the beginning of `wire`, as text in lower case without the dot at its end; "" is
/// the root. Labels with octets that no host name has (a dot, controls, octets over 0x7f) make it nothing, as do
/// pointers and a name that is cut off.
std::optional<std::string> parse_name(std::string_view wire);

struct Mx {
    std::uint16_t preference = 0;  ///< the lowest comes first
    std::string host;              ///< "": the root, which takes no mail (RFC 7505)
    bool operator==(const Mx&) const = default;
};
std::optional<Mx> parse_mx(std::string_view rdata);

/// "192.0.2.1", of an A record; "2001:db8::1", of an AAAA record.
std::optional<std::string> parse_address(std::string_view rdata);

/// How a certificate is known by (RFC 6698 s2.1).
struct Tlsa {
    std::uint8_t usage = 0, selector = 0, matching = 0;
    std::string data;
    bool operator==(const Tlsa&) const = default;
};
std::optional<Tlsa> parse_tlsa(std::string_view rdata);

/// The character-strings of a TXT record, joined (RFC 7208 s3.3).
std::optional<std::string> parse_txt(std::string_view rdata);

}  // namespace poplar::dns
