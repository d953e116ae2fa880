#pragma once
// The table of routes.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "outbound/options.h"

namespace poplar::outbound {

/// The first that is for mail of this sender to this domain; null: none. Both are canonical; the sender may be "".
const Route* find_route(const Options& options, std::string_view domain, std::string_view sender);

/// The route's terms for TLS. A password is sent only to a host that has proved its name, unless the route says
/// otherwise.
TlsPolicy tls_policy(const Route& route);

struct HostAndPort {
    std::string host;  ///< a name, or an address without brackets
    std::uint16_t port = 25;
};
/// Errors: invalid.
Result<HostAndPort> parse_host(std::string_view text);

/// True for "192.0.2.1" and "2001:db8::1".
bool is_address(std::string_view text);

/// The wait behind the n-th attempt (from 1), as `retry` says, made up to an eighth shorter or longer by chance, so
/// that what failed together does not come together again.
std::chrono::milliseconds wait_after(const Options& options, std::uint32_t attempts, std::uint64_t chance);

}  // namespace poplar::outbound
