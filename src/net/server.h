#pragma once
// Accepts connections and runs a session for each, within limits; drains them when the server stops.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/networks.h"
#include "net/connection.h"
#include "net/handshakes.h"
#include "net/listener.h"
#include "net/places.h"
#include "net/stream_connection.h"
#include "net/tls.h"
#include "net/workers.h"

namespace poplar::net {

struct ServerLimits : PlaceLimits, HandshakeLimits {
    std::chrono::seconds tls_handshake{30};  ///< for implicit TLS
    std::chrono::seconds proxy_header{5};    ///< for a proxy to say who its client is
    ConnectionOptions connection{};
};

/// The protocol that is spoken on a listener. The objects `session` refers to must outlive the Workers.
struct Service {
    std::string name;        ///< "pop3", "pop3s": for the log
    std::string busy_reply;  ///< the protocol's refusal of a connection over a limit, with CRLF; not sent in TLS
    std::function<Task<>(std::unique_ptr<Connection>)> session;
    /// Implicit TLS (RFC 8314 s3): the session begins after the handshake. Empty: plain at first.
    std::function<std::shared_ptr<const TlsContext>()> tls;
    /// Services of the same protocol share one share of the connections: POP3's two ports. Empty: `name`.
    std::string protocol = {};
    /// Proxies are in these networks: each connection from there begins with a header of the PROXY protocol (in front
    /// of TLS), and is then that of the client in it.
    Networks proxies = {};
    bool proxies_only = false;  ///< nobody else may connect
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

    /// A connection and the session on it.
    struct OpenSession {
        std::string service, id, account, device, peer;
        SteadyTime since{}, heard{};  ///< when it was accepted, and when the peer last sent something
        bool tls = false;
        bool sending = false;  ///< it waits for the peer to take what is sent
    };
    /// Those of an account; "": all. At most `limit`, and whether there are more. Each worker looks through its
    /// connections once, which the sessions do not pay for.
    struct OpenSessions {
        std::vector<OpenSession> some;
        bool more = false;
    };
    Task<OpenSessions> sessions(std::string account, std::size_t limit);
    /// Ends the session with this id at once. What it was; nothing: there is none.
    Task<std::optional<OpenSession>> end_session(std::string id);

    struct Counters {
        std::uint64_t accepted = 0;
        std::uint64_t refused_total = 0;  ///< over the whole, or what it keeps for other protocols
        std::uint64_t refused_peer = 0;   ///< over what a peer or its network may have
    };
    Counters counters() const;

private:
    struct Shared;
    std::shared_ptr<Shared> shared_;
};

}  // namespace poplar::net
