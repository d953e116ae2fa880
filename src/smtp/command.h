#pragma once
// The grammar of SMTP and LMTP commands: bytes in, values out, no I/O.
//
// Stricter than RFC 5321 nowhere; more tolerant where mail would be lost otherwise:
//   - spaces after "FROM:" and "TO:", spaces and tabs before the end of the line;
//   - a path without its angle brackets;
//   - senders as mail::Grammar::tolerant has them;
//   - any printable name after EHLO: clients behind NAT and on Windows send their bare host name.
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/clock.h"
#include "mail/address.h"
#include "mail/dsn.h"
#include "smtp/reply.h"

namespace poplar::smtp {

struct Hello {
    enum class Verb { helo, ehlo, lhlo };
    Verb verb = Verb::ehlo;
    std::string name;  ///< as given, at most 255 octets
};

struct Mail {
    enum class Body { seven_bit, eight_bit };  // RFC 6152 s2
    using Return = mail::ReturnContent;        // RFC 3461 s4.3
    std::optional<mail::Address> from;         ///< none: the null reverse-path `<>`. A source route is dropped.
    std::optional<std::uint64_t> size;         ///< octets, RFC 1870 s4
    Body body = Body::seven_bit;
    bool smtputf8 = false;     ///< RFC 6531 s3.4
    bool require_tls = false;  ///< RFC 8689 s2
    Return ret = Return::unspecified;
    std::string envid;  ///< decoded, RFC 3461 s4.4
    /// RFC 4865 s4: so many seconds from now, or until then, the message is kept back.
    std::optional<std::uint64_t> hold_for;
    std::optional<Timestamp> hold_until;
    bool authenticated_as = false;  ///< AUTH= was given (RFC 4954 s5); nobody here needs what it says
};

struct Rcpt {
    using Notify = mail::Notify;
    mail::Address to;  ///< domain empty: `postmaster`, in any case (RFC 5321 s4.5.1)
    Notify notify;
    std::string orcpt;  ///< `addr-type;address`, the address decoded (RFC 3461 s4.2)
};

struct Data {};
struct Bdat {
    std::uint64_t octets = 0;
    bool last = false;
};
struct Rset {};
struct Noop {};
struct Quit {};
struct Vrfy {};
struct Expn {};
struct Help {};
struct StartTls {};
/// RFC 4954 s4.
struct Auth {
    std::string mechanism;
    std::optional<std::string> initial_response;  ///< as it stands there: base64, or "="
};
/// A front server's words about its client (Postfix' XCLIENT_README). Members that it does not give stay as they were.
struct Xclient {
    std::optional<std::string> address;  ///< as given, without "IPV6:"; empty: the front does not know it
    std::optional<std::uint16_t> port;
    std::optional<std::string> helo;
    std::optional<bool> extended;  ///< whether the client said EHLO
};

using Command =
    std::variant<Hello, Mail, Rcpt, Data, Bdat, Rset, Noop, Quit, Vrfy, Expn, Help, StartTls, Auth, Xclient>;

/// Parses one command line, without its line end. Any bytes are allowed in `line`. The error is the reply it earns.
/// RFC 5321 s4.1 and its appendix C (source routes), RFC 2033 s4, RFC 3030 s2, RFC 3207 s4, RFC 4954 s4.
std::expected<Command, Reply> parse_command(std::string_view line);

/// The first word, as written.
std::string_view verb_of(std::string_view line);

}  // namespace poplar::smtp
