// One client from greeting to goodbye: what each command does, says and counts (RFC 5321 s4.1.1, RFC 2033 s4).
#include "smtp/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "auth/access.h"
#include "auth/mechanism.h"
#include "base/ascii.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/peer_network.h"
#include "session/lines.h"
#include "session/sasl.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/transaction.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kKeptReplies = 256;  // octets of text that a session keeps room for
constexpr std::string_view kTooManyAccounts = "too many accounts";
constexpr std::string_view kMayNotFit = "a message of unknown size, and not much room left in a domain";

// RFC 3848 and RFC 6531 s4.3: what `with` says in Received. HELO has no keyword for TLS.
std::string with_keyword(Protocol protocol, bool extended, bool tls, bool utf8) {
    if (protocol == Protocol::submission) return fmt::format("{}SMTP{}A", utf8 ? "UTF8" : "E", tls ? "S" : "");
    if (!extended) return "SMTP";
    bool lmtp = protocol == Protocol::lmtp;
    std::string keyword = utf8 ? (lmtp ? "UTF8LMTP" : "UTF8SMTP") : (lmtp ? "LMTP" : "ESMTP");
    return tls ? keyword + "S" : keyword;
}

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

// For the log: who a message was for, as far as a line can hold it.
std::string names(const std::vector<delivery::Recipient>& recipients) {
    constexpr std::size_t kMost = 20;
    std::string text;
    for (const auto& recipient : std::span(recipients).first(std::min(recipients.size(), kMost)))
        text.append(text.empty() ? "" : " ").append(recipient.address);
    if (recipients.size() > kMost) text += " ...";
    return text;
}

// A name of 255 octets would make a long line of each short command.
std::string_view shortened(std::string_view helo) {
    constexpr std::size_t kMost = 64;
    return helo.substr(0, kMost);
}

/// The words of a refusal for the client: what it sent may be in them.
std::string fit_for_reply(std::string_view text) {
    constexpr std::size_t kMost = 300;
    std::string out(text.substr(0, kMost));
    for (char& c : out)
        if (c < ' ' || c == 0x7f) c = '?';  // char is signed: octets over 0x7f, too
    return out;
}

std::string_view factor_words(auth::MissingFactor missing) {
    using Missing = auth::MissingFactor;
    switch (missing) {
        case Missing::code: return "A code is needed: type the password with the code behind it";
        case Missing::wrong_code: return "The code is wrong or was used already, wait for the next one";
        case Missing::too_many_codes: return "Too many codes were wrong, try again in some hours";
        case Missing::approval:
            return "You were not here before: type the password with the code behind it that was mailed to you";
        case Missing::device: return "Use the password of a device here, not the account's";
        case Missing::denied: return "Logins from this network were denied";
        case Missing::other: break;
    }
    return "The account needs a second factor, which this login does not show";
}

class Session {
public:
    Session(net::Connection& connection, const Services& services, const Options& options, std::string_view id)
        : connection_(connection),
          services_(services),
          options_(options),
          lines_(connection, options.limits.bad_commands),
          id_(id),
          is_front_(options.xclient.contains(connection.peer().address)),
          front_is_local_(connection.peer().loopback) {
        if (!submission() || !services.logins) return;
        const session::LoginTerms terms{.login_event = "smtp.login",
                                        .failure_event = "smtp.auth_failed",
                                        .service = directory::Service::submission,
                                        .needed = auth::Right::sending,
                                        .failures = options.limits.login_failures};
        login_.emplace(*services.logins, terms, connection, lines_, id);
    }

    /// Returns when the session has ended, for whatever reason.
    Task<Result<>> run();
    session::Lines& lines() { return lines_; }
    void log_end(std::string_view result);

private:
    Task<Result<>> converse();
    Task<Result<>> say_why(Errc ended);
    /// The result if the command is done, or the task that does it.
    using Step = std::variant<Result<>, Task<Result<>>>;
    Step obey(std::string_view line);

    Result<> on(const Hello& hello);
    Step on(Mail mail);
    Task<Result<>> on(Rcpt rcpt);
    Task<Result<>> on(Data);
    Task<Result<>> on(Bdat bdat);
    Task<Result<>> on(StartTls);
    Result<> on(const Xclient& client);
    Result<> on(Rset);
    Result<> on(Noop) { return idle(replies::kOk); }
    Result<> on(Vrfy) { return idle(replies::kCannotVerify); }
    Result<> on(Expn) { return idle(replies::kNotImplemented); }
    Result<> on(Help) { return idle(replies::kHelp); }
    Result<> on(Quit);
    Task<Result<>> on(Auth auth);

    class Dialogue;
    Result<> refuse_login(const session::Refusal& why);
    std::expected<std::chrono::seconds, Reply> wanted_hold(const Mail& mail) const;
    Task<Result<>> begin_submission(Mail mail, std::chrono::seconds hold);
    Task<Result<bool>> count_recipient(const Rcpt& rcpt, bool elsewhere);

    // These only gather replies in said_; tell(), which follows each command, sends them.
    Result<> greet();
    Result<> say(const Reply& reply, std::string_view more = {});
    std::unexpected<Error> hang_up(const Reply& reply);             // the last reply
    Result<> bad(const Reply& reply);                               // a command that counts as an error
    Result<> idle(const Reply& reply, std::string_view more = {});  // a command that brings no message nearer
    bool told_at_once();                                            // false: tell() is needed
    Task<Result<>> tell();
    void forget_said();
    Task<Result<>> await_place();
    Result<> refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason);
    void log_refusal(const Rcpt& rcpt, Reply reply, std::string_view reason);
    Task<Result<>> refuse_chunk(Bdat bdat, Reply reply);
    Result<> finish_message(std::vector<Reply> answers);
    Result<> extensions();
    mail::Received trace() const;
    bool lmtp() const { return options_.protocol == Protocol::lmtp; }
    bool submission() const { return options_.protocol == Protocol::submission; }
    net::LineEnd line_end() const { return options_.bare_lf_commands ? net::LineEnd::crlf_or_lf : net::LineEnd::crlf; }

    net::Connection& connection_;
    const Services& services_;
    const Options& options_;
    session::Lines lines_;
    std::string_view id_;
    const bool is_front_, front_is_local_;  // of the peer that has connected, before any XCLIENT

    std::optional<session::Login> login_;           // of a submission session
    std::optional<auth::Access> access_;            // somebody has logged in
    std::optional<delivery::Submitter> submitter_;  // the same one
    std::string said_;                              // replies that were not sent yet
    std::string helo_;                              // empty before the client introduced itself
    bool extended_ = false;
    bool suspicious_ = false;  // bare newlines were refused: no more mail on this connection
    std::optional<Transaction> transaction_;
    std::uint32_t messages_ = 0, idle_commands_ = 0;
    std::uint32_t unknown_recipients_ = 0, refused_recipients_ = 0;
    bool sender_logged_ = false;  // a refusal of this transaction named the sender
};

Task<Result<>> Session::run() {
    auto ended = co_await converse();
    // close() sends the last reply together with TLS's goodbye.
    if (!ended) (void)co_await say_why(ended.error().code());
    co_return ended;
}

Task<Result<>> Session::converse() {
    auto went = greet();
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

Session::Step Session::on(Mail mail) {
    if (helo_.empty()) return bad(replies::kNoHelo);
    if (transaction_) return bad(replies::kNestedMail);
    if (submission() && !access_) return bad(replies::kLoginNeeded);  // RFC 6409 s4.3
    auto hold = wanted_hold(mail);
    if (!hold) return bad(hold.error());
    // The message with bare newlines may have smuggled this envelope past a server that sees another end of it.
    if (suspicious_) return hang_up(replies::kSuspicious);
    if (messages_ >= options_.limits.messages) return hang_up(replies::kTooManyMessages);
    if (mail.size && *mail.size > services_.delivery.limits().message_octets)
        return idle(replies::kTooLarge);  // RFC 1870 s6.1: before a single octet of it came
    if (mail.from && !mail.smtputf8 && mail::needs_smtputf8(*mail.from)) return idle(replies::kSenderNeedsUtf8);
    if (submission()) return begin_submission(std::move(mail), *hold);
    transaction_.emplace(services_, options_, connection_.peer(), std::move(mail));
    sender_logged_ = false;
    return say(replies::kSender);
}

// RFC 4865 s5. These parameters, and AUTH (RFC 4954 s5), are there for those who log in.
std::expected<std::chrono::seconds, Reply> Session::wanted_hold(const Mail& mail) const {
    const bool held = mail.hold_for || mail.hold_until;
    if ((!submission() && mail.authenticated_as) || (held && (!submission() || options_.longest_hold.count() == 0)))
        return std::unexpected(replies::kUnknownParameter);
    if (mail.hold_for && mail.hold_until) return std::unexpected(replies::kBadParameter);
    std::chrono::seconds hold(mail.hold_for.value_or(0));
    if (mail.hold_until)
        hold = std::max(std::chrono::seconds(0),
                        std::chrono::ceil<std::chrono::seconds>(*mail.hold_until - system_clock().now()));
    if (hold > options_.longest_hold) return std::unexpected(replies::kHoldTooLong);
    return hold;
}

// RFC 6409 s6.1: who may use which reverse-path.
Task<Result<>> Session::begin_submission(Mail mail, std::chrono::seconds hold) {
    if (mail.from) {
        auto may = co_await services_.delivery.may_send_as(*submitter_, *mail.from);
        if (!may) co_return idle(reply_for(delivery::verdict_of(may.error())));
        if (!*may) {
            connection_.log(
                log::Level::info, "smtp.not_your_address",
                {{"session", id_}, {"account", submitter_->address}, {"from", mail::to_string(*mail.from)}});
            co_return idle(replies::kNotYourAddress);
        }
    }
    auto sending = std::make_shared<delivery::Sending>();
    sending->submitter = submitter_;
    sending->hold = hold;
    sending->envelope_id = mail.envid;
    sending->ret = mail.ret;
    auto begun = co_await services_.delivery.begin_sending(*sending);
    if (!begun) co_return idle(reply_for(delivery::verdict_of(begun.error())));
    if (!*begun) {
        connection_.log(log::Level::warning, "smtp.sending_limit",
                        {{"session", id_}, {"account", submitter_->address}, {"limit", "messages"}});
        co_return idle(replies::kSendingLimit);
    }
    transaction_.emplace(services_, options_, connection_.peer(), std::move(mail));
    transaction_->submit(std::move(sending));
    sender_logged_ = false;
    co_return say(replies::kSender);
}

/// False: it is over a limit of the submitter's.
Task<Result<bool>> Session::count_recipient(const Rcpt& rcpt, bool elsewhere) {
    using delivery::Where;
    auto* sending = transaction_->sending();
    if (!submission() || !sending) co_return true;
    auto counted =
        co_await delivery::Delivery::add_recipient(*sending, rcpt.to, elsewhere ? Where::elsewhere : Where::here);
    if (counted && !*counted)
        connection_.log(log::Level::warning, "smtp.sending_limit",
                        {{"session", id_}, {"account", submitter_->address}, {"limit", "recipients"}});
    co_return counted;
}

Task<Result<>> Session::on(Rcpt rcpt) {
    if (!transaction_) co_return bad(replies::kNoMail);
    if (transaction_->in_chunks()) co_return bad(replies::kMidChunks);
    const auto& limits = options_.limits;
    // Checked before the directory is asked, because a recipient that is refused anyway must cost next to nothing.
    if (transaction_->recipients().size() >= limits.recipients)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, "");
    if (transaction_->destinations() >= limits.accounts)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, kTooManyAccounts);
    if (!transaction_->mail().smtputf8 && mail::needs_smtputf8(rcpt.to))
        co_return refuse_recipient(rcpt, replies::kRecipientNeedsUtf8, "");
    if (services_.unknown && !services_.unknown->empty()) {
        if (auto waited = co_await await_place(); !waited) co_return waited;
    }

    auto resolution = co_await services_.delivery.resolve(rcpt.to);
    if (!resolution) {
        auto& error = resolution.error();
        auto reply = error.code() == Errc::invalid ? replies::kBadRecipient : reply_for(delivery::verdict_of(error));
        co_return refuse_recipient(rcpt, reply, error.detail());
    }
    using Kind = directory::Resolution::Kind;
    const bool elsewhere = submission() && resolution->kind == Kind::unknown_domain;
    const bool leaves = elsewhere || !resolution->elsewhere.empty();
    if (leaves && !services_.delivery.takes_away()) co_return refuse_recipient(rcpt, replies::kNoQueue, "");
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain:
            if (elsewhere) break;
            co_return refuse_recipient(rcpt, replies::kNoRelay, "");
        case Kind::unknown_user: co_return refuse_recipient(rcpt, replies::kUnknownUser, "");
        case Kind::disabled: co_return refuse_recipient(rcpt, replies::kDisabled, "");
        case Kind::loop: co_return refuse_recipient(rcpt, replies::kAliasLoop, "");
    }
    const auto leads_to = resolution->accounts.size() + resolution->elsewhere.size() + elsewhere;
    if (transaction_->destinations() + leads_to > limits.accounts)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, kTooManyAccounts);
    // Only the queue can hold mail back. Mail that reached some at once would have betrayed what was to come later.
    const auto* sending = transaction_->sending();
    if (sending && sending->hold.count() > 0 && !resolution->accounts.empty())
        co_return refuse_recipient(rcpt, replies::kNoHoldHere, "");
    delivery::Room room;
    if (!resolution->bounds.empty()) {
        const auto size = transaction_->mail().size;
        auto admitted = co_await services_.delivery.admit(*resolution, size, transaction_->room());
        if (!admitted) co_return refuse_recipient(rcpt, reply_for(admitted.error()), admitted.error().text);
        room = std::move(*admitted);
    }
    // One reply to the message is for all recipients, so one that may yet have to refuse it has it alone.
    const auto before = transaction_->recipients().size();
    if (!lmtp() && before != 0 && (delivery::is_uncertain(room) || (before == 1 && transaction_->is_uncertain())))
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, kMayNotFit);
    if (submission()) {
        auto counted = co_await count_recipient(rcpt, elsewhere);
        if (!counted) co_return refuse_recipient(rcpt, reply_for(delivery::verdict_of(counted.error())), "");
        if (!*counted) co_return refuse_recipient(rcpt, replies::kSendingLimit, "");
    }
    bool added = false;
    if (elsewhere)
        added = transaction_->add_elsewhere(rcpt, delivery::address_elsewhere(rcpt.to));
    else
        added = transaction_->add(rcpt, *resolution, services_.delivery.mailbox_in(*resolution), std::move(room));
    if (!added) co_return refuse_recipient(rcpt, replies::kTooManyRecipients, "no memory for the envelope");
    co_return say(replies::kRecipient);
}

// A peer that has named too many unknown recipients waits before it learns whether this one is known.
Task<Result<>> Session::await_place() {
    if (connection_.peer().loopback) co_return Result<>();
    const auto place = services_.unknown->place(peer_key(connection_.peer().address));
    if (!place) co_return hang_up(replies::kTooManyUnknown);
    const auto wait = *place - SteadyClock::now();
    if (wait <= wait.zero()) co_return Result<>();
    if (auto told = co_await tell(); !told) co_return told;
    co_return co_await connection_.pause(wait);
}

Result<> Session::refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason) {
    log_refusal(rcpt, reply, reason);
    ++refused_recipients_;
    // A front server (LMTP) may hand over as many wrong addresses as the world sends it.
    if (lmtp()) return say(reply);
    const auto& limits = options_.limits;
    if (reply == replies::kUnknownUser || reply == replies::kNoRelay || reply == replies::kDisabled) {
        if (services_.unknown && !connection_.peer().loopback)
            services_.unknown->count(peer_key(connection_.peer().address));
        if (++unknown_recipients_ > limits.unknown_recipients) return hang_up(replies::kTooManyUnknown);
    }
    if (refused_recipients_ > limits.refused_recipients) return hang_up(replies::kTooManyRefused);
    return say(reply);
}

// Short commands must not make long log lines again and again. So the sender and the EHLO name are logged once a
// transaction, and after some refusals only their number, at the end of the session.
void Session::log_refusal(const Rcpt& rcpt, Reply reply, std::string_view reason) {
    if (refused_recipients_ >= options_.limits.logged_refusals) return;
    auto address = rcpt.to.domain.empty() ? rcpt.to.local : mail::to_string(rcpt.to);
    if (reason.empty()) reason = reply.text;
    if (std::exchange(sender_logged_, true))
        connection_.log(log::Level::info, "smtp.refused",
                        {{"session", id_},
                         {"peer", connection_.peer().address},
                         {"recipient", address},
                         {"code", reply.code},
                         {"status", reply.status},
                         {"reason", reason}});
    else
        connection_.log(log::Level::info, "smtp.refused",
                        {{"session", id_},
                         {"peer", connection_.peer().address},
                         {"helo", shortened(helo_)},
                         {"from", transaction_->reverse_path()},
                         {"recipient", address},
                         {"code", reply.code},
                         {"status", reply.status},
                         {"reason", reason}});
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

Task<Result<>> Session::on(Data) {
    if (!transaction_) co_return bad(replies::kNoMail);
    if (transaction_->in_chunks()) co_return bad(replies::kMidChunks);
    // Not counted as bad: a pipelining client can't know yet that all its recipients were refused (RFC 2920 s3.1).
    if (transaction_->recipients().empty()) co_return idle(replies::kNoRecipients);
    transaction_->begin_data(trace());
    append(said_, replies::kGoAhead);
    if (!told_at_once())
        if (auto told = co_await tell(); !told) co_return told;
    if (auto read = co_await transaction_->read_data(connection_); !read) co_return read;
    co_return finish_message(co_await transaction_->store());
}

Task<Result<>> Session::on(Bdat bdat) {
    if (!transaction_) co_return co_await refuse_chunk(bdat, replies::kNoMail);
    if (transaction_->recipients().empty()) co_return co_await refuse_chunk(bdat, replies::kNoRecipients);
    if (!transaction_->in_chunks()) transaction_->begin_chunks(trace());
    if (auto read = co_await transaction_->read_chunk(connection_, bdat.octets); !read) co_return read;
    if (bdat.last) co_return finish_message(co_await transaction_->store());
    auto reply = transaction_->refusal().value_or(replies::kChunk);
    auto octets = reply.positive() ? std::to_string(bdat.octets) : std::string();
    co_return bdat.octets == 0 ? idle(reply, octets) : say(reply, octets);
}

// RFC 3030 s2: the chunk is read before it is refused, so that its octets are never taken for commands.
Task<Result<>> Session::refuse_chunk(Bdat bdat, Reply reply) {
    if (auto read = co_await swallow(connection_, bdat.octets, options_.timeouts); !read) co_return read;
    // RFC 2033 s4.3 has no reply to LMTP's last chunk without recipients. It gets one here all the same, because a
    // client that waits for a reply to every command (RFC 3030 s2) would wait for ever. Chunks that may be in the
    // pipeline already are not counted as bad.
    if (transaction_ && bdat.last)
        transaction_.reset();
    else if (transaction_)
        transaction_->fail_chunks();
    co_return bdat.octets == 0 || bdat.last ? idle(reply) : say(reply);
}

/// `answers`: what became of the message, one for each recipient.
Result<> Session::finish_message(std::vector<Reply> answers) {
    auto transaction = std::move(*transaction_);
    transaction_.reset();
    ++messages_;
    idle_commands_ = 0;
    if (transaction.refusal() == replies::kBareNewline) suspicious_ = true;

    std::size_t stored = 0;
    for (const auto& answer : answers) stored += answer.positive();
    if (services_.unknown && !services_.unknown->empty())
        services_.unknown->forgive(peer_key(connection_.peer().address), stored);
    if (!lmtp()) answers = {one_reply(answers)};
    auto worst = one_reply(answers);
    std::string tls = connection_.tls() ? connection_.tls()->version : "no";
    const auto to = names(transaction.recipients());
    const std::initializer_list<log::Field> fields = {
        {"session", id_},
        {"id", transaction.id()},
        {"peer", connection_.peer().address},
        {"helo", shortened(helo_)},
        {"from", transaction.reverse_path()},
        {"recipients", transaction.recipients().size()},
        {"to", to},
        {"stored", stored},
        {"octets", transaction.octets()},
        {"code", worst.code},
        {"result", worst.positive() ? std::string_view("stored") : worst.text},
        {"reason", transaction.reason()},
        {"tls", tls}};
    // A stored message has its line even if strangers have used up their share of the log.
    if (stored > 0)
        log::write(log::Level::info, "smtp.message", fields);
    else
        connection_.log(log::Level::info, "smtp.message", fields);
    const auto why = transaction.reason().empty() ? "" : ": " + fit_for_reply(transaction.reason());
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const auto& answer = answers[i];
        // Where there is one reply, a filter refuses only what has one recipient.
        const auto rejection = answer == replies::kRejected ? transaction.rejection(i) : std::string_view();
        if (!rejection.empty())
            append_lines(said_, answer, rejection);
        else
            append(said_, answer,
                   answer.positive()              ? std::string_view(transaction.id())
                   : answer == replies::kRejected ? std::string_view(why)
                                                  : std::string_view());
    }
    return {};
}

// RFC 4954 s4: "334 " before what the server says.
class Session::Dialogue final : public session::Dialogue {
public:
    explicit Dialogue(Session& session) : session_(session) {}

    Task<Result<std::string>> ask(std::string challenge) override {
        append(session_.said_, {334, "", ""}, challenge);
        if (auto told = co_await session_.tell(); !told) co_return pass_on(told);
        const auto& options = session_.options_;
        auto line =
            co_await session_.lines_.read(options.limits.line_octets, options.timeouts.command, session_.line_end());
        if (!line) co_return pass_on(line);
        co_return std::string(*line);
    }

private:
    Session& session_;
};

Task<Result<>> Session::on(Auth auth) {
    if (!login_) co_return bad(replies::kNotImplemented);
    if (helo_.empty()) co_return bad(replies::kNoHelo);
    if (access_) co_return bad(replies::kLoggedInAlready);  // RFC 4954 s4
    if (transaction_) co_return bad(replies::kNestedMail);
    Dialogue dialogue(*this);
    auto attempted = co_await login_->sasl(std::move(auth.mechanism), std::move(auth.initial_response), dialogue);
    if (!attempted) co_return pass_on(attempted);
    if (!*attempted) co_return refuse_login(attempted->error());
    auto& proved = **attempted;
    delivery::Submitter submitter{proved.account, proved.address, proved.settings.may_send_as};
    auto access = login_->admit(proved, co_await asio::this_coro::executor);
    if (!access) co_return say(replies::kAccountChanged);
    access_.emplace(std::move(*access));
    submitter_ = std::move(submitter);
    co_return say(replies::kLoggedIn);
}

Result<> Session::refuse_login(const session::Refusal& why) {
    using Why = session::Refusal::Why;
    auto refused = [this](Reply reply) -> Result<> {
        if (!login_->exhausted()) return say(reply);
        append(said_, reply);
        return hang_up(replies::kTooManyLogins);
    };
    switch (why.why) {
        case Why::wrong: break;
        case Why::needs_second_factor: {
            auto reply = replies::kNeedsFactor;
            reply.text = factor_words(why.missing);
            return refused(reply);
        }
        case Why::unavailable: return say(replies::kLoginUnavailable);
        case Why::bad_response: return bad(replies::kBadResponse);
        case Why::not_base64: return bad(replies::kNotBase64);
        case Why::cancelled: return bad(replies::kLoginCancelled);
        case Why::too_long: return bad(replies::kResponseTooLong);
        case Why::unknown_mechanism: return bad(replies::kUnknownMechanism);
        case Why::needs_certificate: return bad(replies::kNeedsCertificate);
        case Why::needs_tls: return bad(replies::kLoginNeedsTls);
    }
    return refused(replies::kWrongLogin);
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

mail::Received Session::trace() const {
    mail::Received received;
    received.helo = submission() && !options_.show_client ? "" : helo_;
    if (!transaction_->mail().smtputf8)  // RFC 6531 s3.7.3: UTF-8 in a trace field is for such messages only
        std::ranges::replace_if(received.helo, [](char c) { return static_cast<unsigned char>(c) > 0x7f; }, '?');
    const auto& peer = connection_.peer().address;
    const bool hidden = peer == "unix" || peer == net::kUnknownAddress || received.helo.empty();
    received.peer = hidden ? "" : peer;
    received.by = options_.hostname;
    const auto* tls = connection_.tls();
    received.with = with_keyword(options_.protocol, extended_, tls != nullptr, transaction_->mail().smtputf8);
    if (tls) received.tls = tls->version + " with cipher " + tls->cipher;
    return received;
}

Result<> Session::say(const Reply& reply, std::string_view more) {
    append(said_, reply, more);
    return {};
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

}  // namespace

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
