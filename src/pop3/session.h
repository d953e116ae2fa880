#pragma once
// The POP3 server: RFC 1939 with TOP and UIDL, CAPA, response codes and pipelining (RFC 2449, RFC 3206), STLS
// (RFC 2595), AUTH (RFC 5034).
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "mailstore/mail_store.h"
#include "net/connection.h"
#include "net/tls.h"
#include "pop3/listing_cache.h"
#include "pop3/policy.h"
#include "pop3/texts.h"
#include "session/login.h"

namespace poplar::pop3 {

struct Services {
    const session::LoginServices& logins;
    mailstore::MailStore& store;
    LoginDelays& login_delays;
    const Announced& announced;
    ListingCache* listings = nullptr;  ///< null: every listing is made anew
};

/// The answer to a client that has not said UTF8 and asks for a message with UTF-8 in its header (RFC 6856 s2.1).
enum class WithoutUtf8 {
    downgrade,  ///< the same in ASCII (RFC 6857), with the sizes of that
    refuse,     ///< -ERR [UTF8]
    send,       ///< the message as it is, against the RFC
};

struct Options {
    std::string greeting = "Poplar ready";  ///< behind "+OK "; without "<", which would announce APOP (RFC 1939 s7)
    WithoutUtf8 without_utf8 = WithoutUtf8::downgrade;
    Language language = Language::english;  ///< what `LANG *` chooses (RFC 6856 s3.2); a session begins in English
    /// The greeting has a timestamp, with this machine's name in it, and APOP is understood (RFC 1939 s7).
    bool apop = false;
    std::string hostname = "localhost";
    std::string implementation = "Poplar";  ///< RFC 2449 s6.9; empty: not announced

    /// What a session has retrieved is \Seen to IMAP once it is over.
    bool marks_seen = false;

    Policy policy = {};  ///< of accounts that have none of their own

    std::chrono::seconds login_idle{60};         ///< a command may take before the login
    std::chrono::seconds login_total{180};       ///< until somebody is logged in, STLS included
    std::chrono::seconds transaction_idle{600};  ///< a command may take after the login; RFC 1939 s3: at least 600
    std::chrono::seconds tls_handshake{30};

    std::size_t line_limit = 255;         ///< octets of a command with its CRLF (RFC 2449 s4), but AUTH
    std::size_t response_limit = 12'288;  ///< octets of an AUTH command, or a line in its exchange
    unsigned bad_commands = 20;           ///< unknown, malformed or out of place; the last of so many ends the session
    unsigned login_failures = 3;          ///< then the connection is closed

    std::size_t listing_cache = 64u << 20;  ///< octets of listings kept for the next poll (listing_cache.h)

    /// Gives the context of a STLS handshake; empty, or giving null: no STLS.
    std::function<std::shared_ptr<const net::TlsContext>()> tls;
};

/// The busy reply of a server that has too many connections (net/server.h).
inline constexpr const char* kBusyReply = "-ERR [SYS/TEMP] too many connections, try again later\r\n";

/// Serves one client from the greeting to the end. `services` and `options` must outlive it. Messages are deleted by
/// QUIT only (RFC 1939 s6); a session that ends in any other way deletes nothing.
Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session_id);

}  // namespace poplar::pop3
