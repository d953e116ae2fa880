#pragma once
#include <array>
#include <cstdint>
#include <string_view>

namespace poplar::mail {

/// As much of a Content-Type as a message's structure needs (RFC 2045 s5, RFC 2046). Holds no memory of its own beyond
/// itself.
struct ContentType {
    enum class Kind : std::uint8_t {
        leaf,
        multipart,         ///< with a boundary; without one it is a leaf
        signed_multipart,  ///< one whose first part may not be changed by an octet (RFC 1847 s2.1)
        digest,            ///< a multipart whose parts are messages unless they say otherwise (RFC 2046 s5.1.5)
        message,           ///< a whole message: message/rfc822, message/global
        fields,            ///< groups of header fields: a delivery status and its like (RFC 3464 s2.1, RFC 6533 s4)
    };
    Kind kind = Kind::leaf;

    static constexpr std::size_t kMaxBoundary = 70;  // RFC 2046 s5.1.1
    std::array<char, kMaxBoundary> boundary_octets;
    std::uint8_t boundary_size = 0;
    std::string_view boundary() const { return {boundary_octets.data(), boundary_size}; }
};

/// Reads the value of a Content-Type field, folded or not. Any octets are allowed; what can't be read is a leaf.
ContentType parse_content_type(std::string_view value);

}  // namespace poplar::mail
