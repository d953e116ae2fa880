#pragma once
// Accepts connections and runs a session for each, within limits; drains them when the server stops.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "net/connection.h"
#include "net/listener.h"
#include "net/stream_connection.h"
#include "net/tls.h"
#include "net/workers.h"

namespace poplar::net {

struct ServerLimits {
    std::size_t connections = 20'000;        ///< in all
    std::size_t connections_per_peer = 100;  ///< an IPv4 address or an IPv6 /64
    bool limit_loopback_peers = false;       ///< whether 127.0.0.0/8, ::1 and local sockets count as one peer each
    std::chrono::seconds tls_handshake{30};  ///< for implicit TLS
    /// Of the descriptors the process may have, so many (half at most) are not for connections: the store needs them.
    /// A connection more is one over `connections`.
    std::size_t spare_descriptors = 1024;
    ConnectionOptions connection{};
};

/// Whose connections count together: an IPv4 address, an IPv6 /64, or all local sockets.
std::string peer_group(const Peer& peer);

/// What is spoken on a listener. The objects `session` refers to must outlive the Workers.
struct Service {
    std::string name;        ///< "pop3", "pop3s": for the log
    std::string busy_reply;  ///< the protocol's refusal of a connection over a limit, with CRLF; not sent in TLS
    std::function<Task<>(std::unique_ptr<Connection>)> session;
    /// Implicit TLS (RFC 8314 s3): the session begins after the handshake. Empty: plain at first.
    std::function<std::shared_ptr<const TlsContext>()> tls;
};

/// Functions may be called from any thread. Order at the end: stop_accepting(), drain(), wait for live() to be 0 as
/// long as there is patience, close_all(), wait for live() to be 0, Workers::stop().
class Server {
public:
    Server(Workers& workers, ServerLimits limits);
    ~Server();

    /// Accepts from now on. The listener has a socket for each worker.
    void add(Listener listener, Service service);

    void stop_accepting();     ///< closes all listeners, removes the files of local sockets
    void drain();              ///< stop_reading() for every connection there is
    void close_all();          ///< cuts every connection: each of its calls answers closed
    std::size_t live() const;  ///< sessions that have not returned

    /// True once live() is 0 and, after stop_accepting(), nothing can begin any more; false if that took longer than
    /// `patience`.
    Task<bool> idle(std::chrono::milliseconds patience);

    struct Counters {
        std::uint64_t accepted = 0, refused_total = 0, refused_peer = 0;
    };
    Counters counters() const;

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace poplar::net
