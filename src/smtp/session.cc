// One client from greeting to goodbye: what each command does, says and counts (RFC 5321 s4.1.1, RFC 2033 s4).
#include "smtp/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "auth/mechanism.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/log.h"
#include "smtp/session_parts.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kKeptReplies = 256;  // octets of text that a session keeps room for

bool is_hello(std::string_view verb) {
    return ascii::same(verb, "EHLO") || ascii::same(verb, "HELO") || ascii::same(verb, "LHLO");
}

// RFC 2034 s3: responses to a greeting have no enhanced code, refusals neither.
Reply without_status(Reply reply) {
    reply.status = {};
    return reply;
}

// A browser that is made to talk to us sends one of these (a form's body could hold SMTP commands).
bool is_http(std::string_view verb) {
    return ascii::same(verb, "GET") || ascii::same(verb, "POST") || ascii::same(verb, "PUT") ||
           ascii::same(verb, "HEAD") || ascii::same(verb, "OPTIONS") || ascii::same(verb, "CONNECT");
}

}  // namespace

Task<Result<>> Session::run() {
    auto ended = co_await converse();
    // close() sends the last reply together with TLS's goodbye.
    if (!ended) (void)co_await say_why(ended.error().code());
    co_return ended;
}

Task<Result<>> Session::converse() {
    Result<> went;
    if (options_.greeting_delay.count() > 0) went = co_await wait_before_greeting();
    if (went) went = greet();
    if (went) went = co_await tell();
    while (went) {
        Result<std::string_view> line;
        if (auto here = lines_.at_hand(options_.limits.line_octets, line_end())) {
            lines_.consume(*here);
            line = here->text;
        } else {
            line = co_await lines_.read(options_.limits.line_octets, options_.timeouts.command, line_end());
        }
        if (line) {
            auto step = obey(*line);
            if (auto* waits = std::get_if<Task<Result<>>>(&step))
                went = co_await std::move(*waits);
            else
                went = std::move(std::get<Result<>>(step));
        } else if (line.error().code() == Errc::too_large) {
            went = bad(replies::kLineTooLong);
        } else {
            went = pass_on(line);
        }
        if (went && !told_at_once()) went = co_await tell();
    }
    co_return went;
}

bool Session::is_trusted() const {
    const auto& trusted = options_.trusted;
    return connection_.peer().loopback || (!trusted.empty() && trusted.contains(connection_.peer().address));
}

// RFC 5321 s4.3.1: the client waits for the greeting. Programs that pour out mail do not.
Task<Result<>> Session::wait_before_greeting() {
    if (is_trusted() || is_front_) co_return Result<>();
    auto early = co_await connection_.read_some(options_.greeting_delay);
    if (early) {
        connection_.log(log::Level::info, "smtp.early", {{"session", id_}, {"peer", connection_.peer().address}});
        co_return hang_up(replies::kTooEarly);
    }
    if (early.error().code() != Errc::timed_out) co_return pass_on(early);
    co_return Result<>();
}

Result<> Session::greet() {
    auto text = options_.greeting;
    if (text.empty()) text = lmtp() ? "LMTP Poplar" : "ESMTP Poplar";
    return say({220, "", ""}, options_.hostname + " " + text);
}

// RFC 5321 s3.8, s4.5.3.2: a client that is still there is told why we close.
Task<Result<>> Session::say_why(Errc ended) {
    if (ended == Errc::timed_out) append(said_, replies::kTimeout);
    if (ended == Errc::cancelled) append(said_, replies::kShutdown);
    return tell();
}

Session::Step Session::obey(std::string_view line) {
    // RFC 5321 s2.3.8: all up to the next CRLF is one line, so nothing behind a bare LF is taken for a command. A
    // client that ends commands with LF may go on to send a message; no line of that may bring mail in, so it gets
    // suspicious_.
    if (!options_.bare_lf_commands && line.find_first_of("\r\n") != line.npos) {
        transaction_.reset();
        suspicious_ = true;
        return bad(replies::kBareLineEnd);
    }
    auto command = parse_command(line);
    if (command) {
        auto call = [this](auto& parsed) -> Step { return on(std::move(parsed)); };
        return std::visit(call, *command);
    }
    if (is_http(verb_of(line))) return hang_up(replies::kNotHttp);
    // Of a malformed BDAT nobody knows how many octets follow, and they must not be taken for commands.
    if (ascii::same(verb_of(line), "BDAT")) return hang_up(replies::kLostChunk);
    return bad(is_hello(verb_of(line)) ? without_status(command.error()) : command.error());
}

Result<> Session::on(const Hello& hello) {
    if (lmtp() != (hello.verb == Hello::Verb::lhlo))
        return bad(without_status(lmtp() ? replies::kSayLhlo : replies::kSayEhlo));
    transaction_.reset();  // RFC 5321 s4.1.4: as RSET does
    helo_ = hello.name;
    extended_ = hello.verb != Hello::Verb::helo;
    if (extended_) {
        if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
        return extensions();
    }
    return idle({250, "", options_.hostname});
}

Result<> Session::extensions() {
    said_ += fmt::format(
        "250-{}\r\n"
        "250-PIPELINING\r\n"
        "250-SIZE {}\r\n"
        "250-8BITMIME\r\n"
        "250-SMTPUTF8\r\n"
        "250-CHUNKING\r\n",
        options_.hostname, services_.delivery.limits().message_octets);
    if (!connection_.tls() && options_.tls && options_.tls()) said_ += "250-STARTTLS\r\n";
    if (connection_.tls()) said_ += "250-REQUIRETLS\r\n";  // RFC 8689 s2: not before
    // LMTP does not offer DSN: for NOTIFY=SUCCESS a front server then reports the delivery itself, and we never do.
    if (!lmtp()) said_ += "250-DSN\r\n";
    if (login_ && !access_) {
        // RFC 4954 s3: those that would be taken now.
        std::string names;
        for (auto mechanism : login_->mechanisms()) names.append(" ").append(auth::name_of(mechanism));
        if (!names.empty()) said_ += fmt::format("250-AUTH{}\r\n", names);
    }
    if (submission() && options_.longest_hold.count() > 0)  // RFC 4865 s3
        said_ += fmt::format(
            "250-FUTURERELEASE {} {:%Y-%m-%dT%H:%M:%SZ}\r\n", options_.longest_hold.count(),
            fmt::gmtime(std::chrono::system_clock::to_time_t(system_clock().now() + options_.longest_hold)));
    if (is_front_) said_ += "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME\r\n";
    said_ +=
        "250-ENHANCEDSTATUSCODES\r\n"
        "250 HELP\r\n";  // RFC 5321 s4.1.1.1: what is there beyond the minimum is listed
    return {};
}

Task<Result<>> Session::on(StartTls) {
    if (connection_.tls()) co_return bad(replies::kTlsActive);
    std::shared_ptr<const net::TlsContext> context;
    if (options_.tls) context = options_.tls();
    if (!context) co_return bad(replies::kNoTls);
    append(said_, replies::kReadyForTls);
    if (auto told = co_await tell(); !told) co_return told;
    // RFC 3207 s4.2: what was said in the clear is forgotten.
    transaction_.reset();
    access_.reset();
    submitter_.reset();
    helo_.clear();
    extended_ = false;
    auto secured = co_await connection_.start_tls(*context, options_.timeouts.handshake);
    if (secured) co_return Result<>();
    connection_.log(log::Level::info, "smtp.tls_failed",
                    {{"session", id_}, {"peer", connection_.peer().address}, {"reason", secured.error().detail()}});
    co_return lines_.end("tls_failed");  // half a handshake is no line to speak on: no 421
}

// The session begins anew for another client, which is not held to account for what was said or done wrong before. Only
// suspicious_ stays, as a guard against smuggling.
Result<> Session::on(const Xclient& client) {
    if (!is_front_) return bad(replies::kXclientDenied);
    if (transaction_) return bad(replies::kNestedMail);
    auto peer = connection_.peer();
    if (client.address && client.address->empty()) {
        peer = {net::kUnknownAddress};
    } else if (client.address) {
        auto named = net::peer_at(*client.address, 0);
        if (!named) return bad(replies::kBadArgument);
        peer = std::move(*named);
        peer.loopback = peer.loopback && front_is_local_;  // else 127.0.0.1 is on the front server's machine
    }
    if (client.port) peer.port = *client.port;
    connection_.set_peer(std::move(peer));
    access_.reset();
    submitter_.reset();
    helo_ = client.helo.value_or("");
    extended_ = client.extended.value_or(false);
    lines_.forgive_bad_commands();
    listed_.reset();
    unknown_recipients_ = refused_recipients_ = 0;
    if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
    return greet();
}

Result<> Session::on(Rset) {
    transaction_.reset();
    return idle(replies::kOk);
}

Result<> Session::on(Quit) {
    append(said_, replies::kBye);
    return lines_.end(session::kQuit);
}

bool Session::told_at_once() {
    const std::string_view said = said_;
    if (!said.empty() && !connection_.try_write_all(std::span(&said, 1))) return false;
    forget_said();
    return true;
}

Task<Result<>> Session::tell() {
    auto written = co_await connection_.write(said_);
    forget_said();
    co_return written;
}

// Gives memory back, because waiting sessions are many.
void Session::forget_said() {
    said_.clear();
    if (said_.capacity() > kKeptReplies) said_.shrink_to_fit();
}

std::unexpected<Error> Session::hang_up(const Reply& reply) {
    append(said_, reply);
    return lines_.end(reply.text);
}

Result<> Session::bad(const Reply& reply) {
    if (!lines_.allow_bad_command()) return hang_up(replies::kTooManyErrors);
    return say(reply);
}

Result<> Session::idle(const Reply& reply, std::string_view more) {
    if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
    return say(reply, more);
}

void Session::log_end(std::string_view result) {
    const auto logged = std::min(refused_recipients_, options_.limits.logged_refusals);
    connection_.log(log::Level::info, "smtp.end",
                    {{"session", id_},
                     {"peer", connection_.peer().address},
                     {"messages", messages_},
                     {"refused", refused_recipients_},
                     {"refused_not_logged", refused_recipients_ - logged},
                     {"result", result}});
}

Options defaults(Protocol protocol) {
    Options options;
    options.protocol = protocol;
    if (protocol == Protocol::lmtp) {
        options.bare_newlines = mail::BareNewlines::normalize;
        options.limits.logged_refusals = 100;  // a front server has few connections, which last
    }
    if (protocol == Protocol::submission) options.limits.line_octets = 12'288;  // RFC 4954 s4
    return options;
}

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string id) {
    Session session(*connection, services, options, id);
    connection->session().id = id;
    connection->session().end = [&session] { session.lines().cut(); };
    const auto ended = co_await session.lines().guard(session.run(), "smtp.failed", id);
    const auto reason = session.lines().reason(ended);
    const auto goodbye = reason == session::kFailed ? format(replies::kFailure) : std::string();
    if (!goodbye.empty()) (void)co_await connection->write(goodbye);
    session.log_end(reason);
    co_await connection->close();
}

}  // namespace poplar::smtp
