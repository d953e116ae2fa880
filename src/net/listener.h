#pragma once
// Where the server listens: addresses as the configuration writes them, and the sockets bound to them. Sockets are
// bound before privileges are dropped and handed to a Server (net/server.h) afterwards.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "net/file_descriptor.h"

namespace poplar::net {

/// "127.0.0.1:110", "[::1]:110", "[::]:110" and "*:110" (IPv6 and IPv4), "localhost:110" (127.0.0.1), or "unix:/path".
/// Port 0 lets the kernel choose.
struct Address {
    enum class Family { ipv4, ipv6, local };
    Family family = Family::ipv4;
    std::string host;  ///< numeric, without brackets; empty for a local socket
    std::uint16_t port = 0;
    std::string path;  ///< of a local socket

    std::string text() const;  ///< as above
};

/// Errors: invalid; the detail says what is wrong with it.
Result<Address> parse_address(std::string_view spec);

struct BindOptions {
    std::size_t workers = 1;  ///< sockets to make: one for each worker
    int backlog = 1024;
    mode_t local_mode = 0666;  ///< of a local socket's file; who may connect is then a matter of its folder
};

/// One address that is listened on: a socket for each worker. For TCP they share the port (SO_REUSEPORT) and the
/// kernel spreads connections over them; for local and inherited sockets they are the same socket.
struct Listener {
    Address address;  ///< with the port that the kernel chose, if it was 0
    std::vector<FileDescriptor> sockets;
    bool inherited = false;  ///< from systemd: its file is not ours to remove
};

/// Binds and listens. "[::]" falls back to "0.0.0.0" where there is no IPv6. A local socket's file that nobody listens
/// on any more is replaced.
/// Errors: busy (somebody listens there), denied (a low port without the privilege), io; the detail names address and
/// reason: "[::]:110: address already in use".
Result<Listener> listen_on(const Address& address, const BindOptions& options);

/// All or none, in order.
Result<std::vector<Listener>> listen_on_all(const std::vector<Address>& addresses, const BindOptions& options);

/// Takes over a listening stream socket that somebody else bound (systemd's socket activation). Errors: invalid.
Result<Listener> adopt_listener(int fd, std::size_t workers);

}  // namespace poplar::net
