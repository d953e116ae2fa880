#pragma once
// One SMTP or LMTP client, from the greeting to the goodbye (RFC 5321, RFC 2033), or one who submits mail (RFC 6409).
// Mail is taken for our own recipients only: an address that the directory doesn't resolve is refused, unless somebody
// has logged in.
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/budget.h"
#include "base/networks.h"
#include "delivery/delivery.h"
#include "mail/wire_form.h"
#include "net/connection.h"
#include "session/login.h"
#include "smtp/unknown_recipients.h"

namespace poplar::smtp {

enum class Protocol { smtp, lmtp, submission };

struct Limits {
    std::size_t line_octets = 4096;   ///< of a command, CRLF included. RFC 5321 s4.5.3.1.4: 512, extensions add
    std::uint32_t recipients = 1000;  ///< of a message: then 452. RFC 5321 s4.5.3.1.8: at least 100
    std::uint32_t accounts = 10'000;  ///< that a message's recipients may lead to, those elsewhere among them: then 452
    std::uint32_t messages = 1000;    ///< a connection: then 421
    std::uint32_t bad_commands = 20;  ///< a connection: then 421
    std::uint32_t idle_commands = 200;        ///< (NOOP, RSET, EHLO, VRFY, ...) between messages: then 421
    std::uint32_t unknown_recipients = 50;    ///< a connection, SMTP only (against address harvesting): then 421
    std::uint32_t refused_recipients = 2000;  ///< a connection, for whatever reason, SMTP only: then 421
    std::uint32_t login_failures = 3;         ///< a connection, submission only: then 421
    std::uint32_t logged_refusals = 10;       ///< recipients of a connection with a log line; its end has their number
};

/// RFC 5321 s4.5.3.2. Each is the whole time the thing may take, however slowly octets drip in.
struct Timeouts {
    std::chrono::seconds command = std::chrono::minutes(5);     ///< s4.5.3.2.7
    std::chrono::seconds data_block = std::chrono::minutes(3);  ///< between two reads of DATA or BDAT, s4.5.3.2.5
    std::chrono::seconds message = std::chrono::hours(2);       ///< all of it: DATA, or its BDAT chunks together
    std::chrono::seconds handshake = std::chrono::minutes(1);   ///< of TLS
    /// Octets a second of a message; 0: any. A client that sends less may use up data_block in all; octets that come
    /// earn time at this rate.
    std::uint64_t data_rate = 500;
};

struct Options {
    Protocol protocol = Protocol::smtp;
    std::string hostname;  ///< ours: in the greeting and in Received
    std::string greeting;  ///< the text after the host name; empty: "ESMTP Poplar" or "LMTP Poplar"
    Limits limits;
    Timeouts timeouts;
    /// SMTP: clients whom the operator trusts. No list, no delay and no greylisting is for them.
    Networks trusted;
    /// SMTP: a client that speaks before so long is refused (RFC 5321 s4.3.1: it has to wait); 0: none is.
    std::chrono::seconds greeting_delay{0};
    /// Submission: whether Received tells where the client was.
    bool show_client = false;
    /// Submission: the longest time that a client may have a message kept back (RFC 4865); 0: it is not offered. Only
    /// for recipients elsewhere; the time for giving up begins with its end.
    std::chrono::seconds longest_hold = std::chrono::days(30);
    /// Whether a bare LF ends a command, too (against RFC 5321 s2.3.8): for devices that send it.
    bool bare_lf_commands = false;
    /// For bare newlines behind DATA. (BDAT counts its octets, so its bare newlines are always normalized.) SMTP
    /// rejects them, because servers read them in different ways, and message smuggling makes use of that. LMTP
    /// normalizes them, because its client is our own front server, which must not be left with a message that it can't
    /// deliver.
    mail::BareNewlines bare_newlines = mail::BareNewlines::reject;
    /// The front servers that may say who their client is (XCLIENT).
    Networks xclient;
    /// Asked at each EHLO and STARTTLS, so that a renewed certificate is used at once. Null, or gives null: no
    /// STARTTLS.
    std::function<std::shared_ptr<const net::TlsContext>()> tls;
};

/// The usual options of `protocol`.
Options defaults(Protocol protocol);

struct Services {
    delivery::Delivery& delivery;
    /// Shared by all SMTP connections. Null: nobody is slowed down. So for LMTP, whose client is our own front server.
    UnknownRecipients* unknown = nullptr;
    Budget* envelopes = nullptr;   ///< octets of memory, by network_key(); null: no bound
    Budget* unfinished = nullptr;  ///< octets of messages that have begun, by network_key(); null: no bound
    const session::LoginServices* logins = nullptr;  ///< for submission
};

/// Serves the client until it leaves, misbehaves or the server stops (Connection::stop_reading); then closes the
/// connection. `services` and `options` outlive the call; `session` names the connection in the log. Never throws.
Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string session);

}  // namespace poplar::smtp
