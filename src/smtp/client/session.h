#pragma once
// The client's side of SMTP over one connection: greeting, EHLO, STARTTLS, AUTH, and one message after another.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "mail/dsn.h"
#include "net/outgoing.h"
#include "smtp/client/reply.h"

namespace poplar::smtp::client {

/// RFC 5321 s4.5.3.2.
struct Timeouts {
    std::chrono::milliseconds reply = std::chrono::minutes(5);  ///< greeting, and any command but the last
    std::chrono::milliseconds block = std::chrono::minutes(3);  ///< for 64 KB of the message to be taken
    std::chrono::milliseconds end = std::chrono::minutes(10);   ///< behind the last octet
};

/// A message's octets in wire form: byte-stuffed, CRLF line ends, without the line that ends it.
class Body {
public:
    virtual ~Body() = default;
    /// "" at the end; good until the next call. Errors: whatever keeps it from being read.
    virtual Task<Result<std::string_view>> next() = 0;
};

struct Envelope {
    std::string sender = {};  ///< "": the null reverse-path
    std::uint64_t octets = 0;
    bool eight_bit = false, utf8 = false;  ///< what the message needs; the server has to offer it
    bool require_tls = false;              ///< RFC 8689; where the server does not offer it, it is not said
    mail::ReturnContent ret = mail::ReturnContent::unspecified;
    std::string envelope_id = {};
    struct Recipient {
        std::string address;
        mail::Notify notify = {};
        std::string orcpt = {};
    };
    std::vector<Recipient> recipients = {};
};

/// The fate of a message. A positive reply is the one behind its last octet, and nothing else.
struct Outcome {
    std::vector<std::optional<Reply>> replies;  ///< one a recipient; nothing: the connection broke before
    /// Numbers of the recipients that were too many: they are taken in another transaction (RFC 5321 s4.5.3.1.10).
    /// Their replies are temporary ones, and some recipient before them was accepted.
    std::vector<std::size_t> surplus;
    std::optional<Error> broken;  ///< why the connection is of no use any more
    bool relayed = false;         ///< the server got the recipients' wishes for reports (RFC 3461)
};

/// Used by one coroutine at a time. The errors are those of the connection; invalid: what comes is no SMTP.
class Session {
public:
    Session(std::unique_ptr<net::Outgoing> connection, std::string hostname, const Timeouts& timeouts)
        : connection_(std::move(connection)), hostname_(std::move(hostname)), timeouts_(timeouts) {}

    Task<Result<Reply>> greeting();
    /// EHLO; HELO if that is refused. Of the last reply.
    Task<Result<Reply>> hello();
    /// Only if the server offers it. After a positive reply the handshake is done, and hello() has to be called again;
    /// a failed handshake is an error.
    struct Secured {
        Reply reply;
        net::OutgoingTls tls;
    };
    Task<Result<Secured>> start_tls(std::shared_ptr<const net::ClientTls> context, net::ExpectedPeer peer);
    /// PLAIN, else LOGIN. Errors: denied (the server offers neither).
    Task<Result<Reply>> log_in(std::string name, std::string password);

    Task<Outcome> send(const Envelope& envelope, Body& body);
    /// Says goodbye, and does not wait long for the answer.
    Task<> quit();
    void cut() { connection_->cut(); }

    const Extensions& extensions() const { return extensions_; }
    bool encrypted() const { return connection_->encrypted(); }

private:
    Task<Result<Reply>> read(std::chrono::milliseconds within);
    Task<Result<Reply>> ask(std::string command);
    Task<Result<Reply>> send_body(Body& body, std::optional<Error>& unreadable);
    Task<> finish_message(Body& body, std::size_t accepted, Outcome& outcome);
    std::string mail_command(const Envelope& envelope) const;
    std::string rcpt_command(const Envelope::Recipient& recipient) const;

    std::unique_ptr<net::Outgoing> connection_;
    const std::string hostname_;
    const Timeouts timeouts_;
    Extensions extensions_;
};

}  // namespace poplar::smtp::client
