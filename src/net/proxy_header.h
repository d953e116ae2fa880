#pragma once
// The PROXY protocol, by which a proxy says at the beginning of a connection who its client is: versions 1 (a line of
// text) and 2 (binary), as HAProxy's proxy-protocol.txt defines them. Pure functions over octets.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "net/peer.h"

namespace poplar::net {

/// Of a whole header. The addresses take 232 octets at most; a proxy may add what it knows of the client's TLS.
inline constexpr std::size_t kProxyHeaderLimit = 4096;

struct ProxyHeader {
    enum class Source {
        proxy,    ///< the proxy itself (LOCAL): it looks whether we are there
        unknown,  ///< somebody, and the proxy does not say who
        client,
    };
    Source source = Source::unknown;
    Peer client = {};  ///< as the proxy sees it: its loopback is not ours

    /// The client's TLS, as the proxy tells of it.
    struct Tls {
        std::string version, cipher;  ///< printable, at most 64 octets; "": not said
        bool certificate = false;     ///< the client showed one that the proxy found good
    };
    std::optional<Tls> tls = {};
};

/// How many octets the header has that `octets` begin with. None: that does not show yet, and all of `octets` belong to
/// it. Errors: invalid, as soon as they can't be the beginning of a header.
Result<std::optional<std::size_t>> proxy_header_size(std::string_view octets);

/// Reads a whole header. Errors: invalid.
Result<ProxyHeader> parse_proxy_header(std::string_view header);

}  // namespace poplar::net
