#pragma once
// The IMAP server: IMAP4rev1 (RFC 3501) and IMAP4rev2 (RFC 9051) on the same mailboxes as POP3.
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"
#include "net/connection.h"
#include "net/tls.h"
#include "quota/quotas.h"
#include "session/login.h"

namespace poplar {
class FairPool;
}

namespace poplar::imap {

struct Services {
    const session::LoginServices& logins;
    mailstore::MailStore& store;
    directory::Directory& directory;
    quota::Quotas& quotas;
    FairPool* searches = nullptr;  ///< looks through messages; null: the session's thread does
};

struct Options {
    std::string greeting = "Poplar ready";  ///< the text of the greeting

    std::chrono::seconds login_idle{60};    ///< a command may take before the login
    std::chrono::seconds login_total{180};  ///< until somebody is logged in, STARTTLS included
    std::chrono::seconds idle{1800};        ///< a command may take after it, IDLE too; RFC 9051 s5.4: at least 1800
    std::chrono::seconds tls_handshake{30};

    std::size_t login_limit = 16'384;        ///< octets of a command before the login, with its literals
    std::size_t command_limit = 4u << 20;    ///< and after it; the message of an APPEND aside
    std::uint64_t append_limit = 50u << 20;  ///< octets of a message (RFC 7889); the server puts delivery's in
    bool compression = true;                 ///< clients may have it (RFC 4978): about 110 KB a session
    unsigned search_threads = 0;             ///< that look through messages; 0: half of the processors
    std::chrono::seconds progress{10};       ///< a long command says how far it is so often; 0: at each step
    unsigned bad_commands = 20;   ///< unknown, malformed or out of place; the last of so many ends the session
    unsigned login_failures = 3;  ///< then the connection is closed

    /// Gives the context of a STARTTLS handshake; empty, or giving null: no STARTTLS.
    std::function<std::shared_ptr<const net::TlsContext>()> tls;
};

/// The reply of a server that has too many connections (net/server.h).
inline constexpr const char* kBusyReply = "* BYE [UNAVAILABLE] too many connections, try again later\r\n";

/// Serves one client from the greeting to the end. `services` and `options` must outlive it.
Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id);

}  // namespace poplar::imap
