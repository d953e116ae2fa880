#pragma once
// The ManageSieve server (RFC 5804): STARTTLS, SASL, and all commands for an account's filter scripts.
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "delivery/scripts.h"
#include "net/connection.h"
#include "net/tls.h"
#include "session/login.h"

namespace poplar::managesieve {

struct Services {
    const session::LoginServices& logins;
    delivery::Scripts& scripts;
};

struct Options {
    std::string implementation = "Poplar";

    std::chrono::seconds login_idle{60};    ///< a command may take before the login
    std::chrono::seconds login_total{180};  ///< until somebody is logged in, STARTTLS included
    std::chrono::seconds idle{1800};        ///< a command may take after it; RFC 5804 s1.2: at least 30 minutes
    std::chrono::seconds script_time{300};  ///< the octets of one literal may take
    std::chrono::seconds tls_handshake{30};

    std::size_t line_limit = 16'384;        ///< octets of a line with its end
    std::uint64_t response_limit = 16'384;  ///< octets of a literal before the login
    unsigned bad_commands = 20;   ///< unknown, malformed or out of place; the last of so many ends the session
    unsigned login_failures = 3;  ///< then the connection is closed

    /// Gives the context of a STARTTLS handshake; empty, or giving null: no STARTTLS.
    std::function<std::shared_ptr<const net::TlsContext>()> tls;
};

/// The busy reply of a server that has too many connections (net/server.h).
inline constexpr const char* kBusyReply = "BYE (TRYLATER) \"too many connections, try again later\"\r\n";

/// Serves one client from the greeting to the end. `services` and `options` must outlive it.
Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id);

}  // namespace poplar::managesieve
