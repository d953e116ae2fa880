#include "smtp/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

#include "base/log.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/transaction.h"

namespace poplar::smtp {

namespace {

// RFC 3848 and RFC 6531 s4.3: what `with` says in Received. HELO has no keyword for TLS.
std::string with_keyword(Protocol protocol, bool extended, bool tls, bool utf8) {
    if (!extended) return "SMTP";
    bool lmtp = protocol == Protocol::lmtp;
    std::string keyword = utf8 ? (lmtp ? "UTF8LMTP" : "UTF8SMTP") : (lmtp ? "LMTP" : "ESMTP");
    return tls ? keyword + "S" : keyword;
}

bool is_hello(std::string_view verb) {
    return same_word(verb, "EHLO") || same_word(verb, "HELO") || same_word(verb, "LHLO");
}

// RFC 2034 s3: responses to a greeting have no enhanced code, refusals neither.
Reply without_status(Reply reply) {
    reply.status = {};
    return reply;
}

// A browser that is made to talk to us sends one of these (a form's body could hold SMTP commands).
bool is_http(std::string_view verb) {
    return same_word(verb, "GET") || same_word(verb, "POST") || same_word(verb, "PUT") || same_word(verb, "HEAD") ||
           same_word(verb, "OPTIONS") || same_word(verb, "CONNECT");
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

class Session {
public:
    Session(net::Connection& connection, const Services& services, const Options& options, std::string_view id)
        : connection_(connection), services_(services), options_(options), id_(id) {}

    /// Until the client leaves or has to. The failure is the connection's.
    Task<Result<>> run();
    std::uint32_t messages() const { return messages_; }

private:
    Task<Result<>> lost(Errc why);
    Task<Result<>> obey(std::string_view line);

    Task<Result<>> on(Hello hello);
    Task<Result<>> on(Mail mail);
    Task<Result<>> on(Rcpt rcpt);
    Task<Result<>> on(Data);
    Task<Result<>> on(Bdat bdat);
    Task<Result<>> on(StartTls);
    Task<Result<>> on(Rset);
    Task<Result<>> on(Noop) { return idle(replies::kOk); }
    Task<Result<>> on(Vrfy) { return idle(replies::kCannotVerify); }
    Task<Result<>> on(Expn) { return idle(replies::kNotImplemented); }
    Task<Result<>> on(Help) { return idle(replies::kHelp); }
    Task<Result<>> on(Quit) { return hang_up(replies::kBye); }

    Task<Result<>> say(Reply reply, std::string more = {});
    Task<Result<>> hang_up(Reply reply);  // the last reply
    Task<Result<>> bad(Reply reply);      // a command that counts as an error
    Task<Result<>> idle(Reply reply);     // a command that brings no message nearer
    Task<Result<>> refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason);
    Task<Result<>> refuse_chunk(Bdat bdat, Reply reply);
    Task<Result<>> finish_message();
    Task<Result<>> extensions();
    mail::Received trace() const;
    bool lmtp() const { return options_.protocol == Protocol::lmtp; }

    net::Connection& connection_;
    const Services& services_;
    const Options& options_;
    std::string_view id_;
    bool done_ = false;

    std::string reply_;  // being written
    std::string helo_;   // empty before the client introduced itself
    bool extended_ = false;
    bool suspicious_ = false;  // a message was refused for its bare newlines: no more mail on this connection
    std::optional<Transaction> transaction_;
    std::uint32_t messages_ = 0, bad_commands_ = 0, idle_commands_ = 0, unknown_recipients_ = 0;
};

Task<Result<>> Session::run() {
    auto text = options_.greeting;
    if (text.empty()) text = lmtp() ? "LMTP Poplar" : "ESMTP Poplar";
    auto greeted = co_await say({220, "", ""}, options_.hostname + " " + text);
    if (!greeted) co_return greeted;
    while (!done_) {
        auto line = co_await connection_.read_line(options_.limits.line_octets, options_.timeouts.command);
        Result<> went;
        if (line)
            went = co_await obey(*line);
        else if (line.error().code() == Errc::too_large)
            went = co_await bad(replies::kLineTooLong);
        else
            went = pass_on(line);
        if (!went) co_return co_await lost(went.error().code());
    }
    co_return Result<>();
}

// RFC 5321 s3.8, s4.5.3.2: whoever is still there is told why we go. Returns the failure.
Task<Result<>> Session::lost(Errc why) {
    if (why == Errc::timed_out) (void)co_await hang_up(replies::kTimeout);
    if (why == Errc::cancelled) (void)co_await hang_up(replies::kShutdown);
    co_return fail(why, "");
}

Task<Result<>> Session::obey(std::string_view line) {
    auto command = parse_command(line);
    if (command) {
        auto call = [this](auto& parsed) { return on(std::move(parsed)); };
        return std::visit(call, *command);
    }
    if (is_http(verb_of(line))) return hang_up(replies::kNotHttp);
    // How many octets follow can't be known: the next ones must not be taken for commands.
    if (same_word(verb_of(line), "BDAT")) return hang_up(replies::kLostChunk);
    return bad(is_hello(verb_of(line)) ? without_status(command.error()) : command.error());
}

Task<Result<>> Session::on(Hello hello) {
    if (lmtp() != (hello.verb == Hello::Verb::lhlo))
        return bad(without_status(lmtp() ? replies::kSayLhlo : replies::kSayEhlo));
    transaction_.reset();  // RFC 5321 s4.1.4: as RSET does
    helo_ = std::move(hello.name);
    extended_ = hello.verb != Hello::Verb::helo;
    if (extended_) {
        if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
        return extensions();
    }
    return idle({250, "", options_.hostname});
}

Task<Result<>> Session::extensions() {
    auto text = fmt::format(
        "250-{}\r\n"
        "250-PIPELINING\r\n"
        "250-SIZE {}\r\n"
        "250-8BITMIME\r\n"
        "250-SMTPUTF8\r\n"
        "250-CHUNKING\r\n",
        options_.hostname, services_.delivery.limits().message_octets);
    if (!connection_.tls() && options_.tls && options_.tls()) text += "250-STARTTLS\r\n";
    // NOTIFY=SUCCESS: a front server reports the delivery itself if its LMTP server has no DSN, and leaves it to one
    // that has. We don't report.
    if (!lmtp()) text += "250-DSN\r\n";
    text += "250 ENHANCEDSTATUSCODES\r\n";
    co_return co_await connection_.write(text);
}

Task<Result<>> Session::on(Mail mail) {
    if (helo_.empty()) return bad(replies::kNoHelo);
    if (transaction_) return bad(replies::kNestedMail);
    // Servers that disagree with us on where that message ended may have let this envelope in with it.
    if (suspicious_) return hang_up(replies::kSuspicious);
    if (messages_ >= options_.limits.messages) return hang_up(replies::kTooManyMessages);
    if (mail.size && *mail.size > services_.delivery.limits().message_octets)
        return idle(replies::kTooLarge);  // RFC 1870 s6.1: before a single octet of it came
    if (mail.from && !mail.smtputf8 && mail::needs_smtputf8(*mail.from)) return idle(replies::kSenderNeedsUtf8);
    transaction_.emplace(services_.delivery, options_, std::move(mail));
    return say(replies::kSender);
}

Task<Result<>> Session::on(Rcpt rcpt) {
    if (!transaction_) co_return co_await bad(replies::kNoMail);
    if (transaction_->in_chunks()) co_return co_await bad(replies::kMidChunks);
    const auto& limits = options_.limits;
    if (transaction_->recipients().size() >= limits.recipients)
        co_return co_await refuse_recipient(rcpt, replies::kTooManyRecipients, "");
    if (!transaction_->mail().smtputf8 && mail::needs_smtputf8(rcpt.to))
        co_return co_await refuse_recipient(rcpt, replies::kRecipientNeedsUtf8, "");

    auto resolution = co_await services_.delivery.resolve(rcpt.to);
    if (!resolution) {
        auto& error = resolution.error();
        auto reply = error.code() == Errc::invalid ? replies::kBadRecipient : reply_for(error);
        co_return co_await refuse_recipient(rcpt, reply, error.detail());
    }
    using Kind = directory::Resolution::Kind;
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain: co_return co_await refuse_recipient(rcpt, replies::kNoRelay, "");
        case Kind::unknown_user: co_return co_await refuse_recipient(rcpt, replies::kUnknownUser, "");
        case Kind::disabled: co_return co_await refuse_recipient(rcpt, replies::kDisabled, "");
        case Kind::loop: co_return co_await refuse_recipient(rcpt, replies::kAliasLoop, "");
    }
    if (transaction_->accounts() + resolution->accounts.size() > limits.accounts)
        co_return co_await refuse_recipient(rcpt, replies::kTooManyRecipients, "too many accounts");
    auto address = rcpt.to.domain.empty() ? rcpt.to.local : mail::to_string(rcpt.to);
    transaction_->add({std::move(address), std::move(*resolution)});
    co_return co_await say(replies::kRecipient);
}

Task<Result<>> Session::refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason) {
    auto address = rcpt.to.domain.empty() ? rcpt.to.local : mail::to_string(rcpt.to);
    log::info("smtp.refused", {{"session", id_},
                               {"peer", connection_.peer().address},
                               {"helo", helo_},
                               {"from", transaction_->reverse_path()},
                               {"recipient", address},
                               {"code", reply.code},
                               {"status", reply.status},
                               {"reason", reason.empty() ? reply.text : reason}});
    // A front server (LMTP) may hand over as many wrong addresses as the world sends it.
    bool unknown = reply == replies::kUnknownUser || reply == replies::kNoRelay || reply == replies::kDisabled;
    if (!lmtp() && unknown && ++unknown_recipients_ > options_.limits.unknown_recipients)
        co_return co_await hang_up(replies::kTooManyUnknown);
    co_return co_await say(reply);
}

Task<Result<>> Session::on(Data) {
    if (!transaction_) co_return co_await bad(replies::kNoMail);
    if (transaction_->in_chunks()) co_return co_await bad(replies::kMidChunks);
    // Not counted as bad: a pipelining client can't know yet that all its recipients were refused (RFC 2920 s3.1).
    if (transaction_->recipients().empty()) co_return co_await say(replies::kNoRecipients);
    transaction_->begin_data(trace());
    if (auto said = co_await say(replies::kGoAhead); !said) co_return said;
    if (auto read = co_await transaction_->read_data(connection_); !read) co_return read;
    co_return co_await finish_message();
}

Task<Result<>> Session::on(Bdat bdat) {
    if (!transaction_) co_return co_await refuse_chunk(bdat, replies::kNoMail);
    if (transaction_->recipients().empty()) co_return co_await refuse_chunk(bdat, replies::kNoRecipients);
    if (!transaction_->in_chunks()) transaction_->begin_chunks(trace());
    if (auto read = co_await transaction_->read_chunk(connection_, bdat.octets); !read) co_return read;
    if (bdat.last) co_return co_await finish_message();
    if (auto refusal = transaction_->refusal()) co_return co_await say(*refusal);
    co_return co_await say(replies::kChunk, std::to_string(bdat.octets));
}

// RFC 3030 s2: the chunk is read before it is refused, so that its octets are never taken for commands.
Task<Result<>> Session::refuse_chunk(Bdat bdat, Reply reply) {
    if (auto read = co_await swallow(connection_, bdat.octets, options_.timeouts); !read) co_return read;
    // RFC 2033 s4.3: one reply for each accepted recipient, and there is none.
    if (lmtp() && transaction_ && bdat.last) {
        transaction_.reset();
        co_return Result<>();
    }
    co_return co_await say(reply);
}

Task<Result<>> Session::finish_message() {
    auto answers = co_await transaction_->store();
    auto transaction = std::move(*transaction_);
    transaction_.reset();
    ++messages_;
    idle_commands_ = 0;
    if (transaction.refusal() == replies::kBareNewline) suspicious_ = true;

    std::size_t stored = 0;
    for (const auto& answer : answers) stored += answer.positive();
    if (!lmtp()) answers = {one_reply(answers)};
    auto worst = one_reply(answers);
    std::string tls = connection_.tls() ? connection_.tls()->version : "no";
    log::info("smtp.message", {{"session", id_},
                               {"id", transaction.id()},
                               {"peer", connection_.peer().address},
                               {"helo", helo_},
                               {"from", transaction.reverse_path()},
                               {"recipients", transaction.recipients().size()},
                               {"to", names(transaction.recipients())},
                               {"stored", stored},
                               {"octets", transaction.octets()},
                               {"code", worst.code},
                               {"result", worst.positive() ? std::string_view("stored") : worst.text},
                               {"reason", transaction.reason()},
                               {"tls", tls}});
    for (const auto& answer : answers) {
        auto said = co_await say(answer, answer.positive() ? transaction.id() : std::string());
        if (!said) co_return said;
    }
    co_return Result<>();
}

Task<Result<>> Session::on(StartTls) {
    if (connection_.tls()) co_return co_await bad(replies::kTlsActive);
    std::shared_ptr<const net::TlsContext> context;
    if (options_.tls) context = options_.tls();
    if (!context) co_return co_await bad(replies::kNoTls);
    if (auto said = co_await say(replies::kReadyForTls); !said) co_return said;
    // RFC 3207 s4.2: what was said in the clear is forgotten.
    transaction_.reset();
    helo_.clear();
    extended_ = false;
    auto secured = co_await connection_.start_tls(*context, options_.timeouts.handshake);
    // Half a handshake is no line to speak on: no 421.
    if (!secured) co_return fail(Errc::closed, std::move(secured.error()).detail());
    co_return Result<>();
}

Task<Result<>> Session::on(Rset) {
    transaction_.reset();
    return idle(replies::kOk);
}

mail::Received Session::trace() const {
    mail::Received received;
    received.helo = helo_;
    if (!transaction_->mail().smtputf8)  // RFC 6531 s3.7.3: UTF-8 in a trace field is for such messages only
        std::ranges::replace_if(received.helo, [](char c) { return static_cast<unsigned char>(c) > 0x7f; }, '?');
    const auto& peer = connection_.peer().address;
    received.peer = peer == "unix" ? "" : peer;
    received.by = options_.hostname;
    const auto* tls = connection_.tls();
    received.with = with_keyword(options_.protocol, extended_, tls != nullptr, transaction_->mail().smtputf8);
    if (tls) received.tls = tls->version + " with cipher " + tls->cipher;
    return received;
}

Task<Result<>> Session::say(Reply reply, std::string more) {
    reply_ = format(reply, more);
    return connection_.write(reply_);
}

Task<Result<>> Session::hang_up(Reply reply) {
    done_ = true;
    return say(reply);
}

Task<Result<>> Session::bad(Reply reply) {
    if (++bad_commands_ >= options_.limits.bad_commands) return hang_up(replies::kTooManyErrors);
    return say(reply);
}

Task<Result<>> Session::idle(Reply reply) {
    if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
    return say(reply);
}

std::string_view how_it_ended(const Result<>& result) { return result ? "quit" : to_string(result.error().code()); }

}  // namespace

Options defaults(Protocol protocol) {
    Options options;
    options.protocol = protocol;
    if (protocol == Protocol::lmtp) options.bare_newlines = mail::BareNewlines::normalize;
    return options;
}

Task<> serve(std::unique_ptr<net::Connection> connection, const Services& services, const Options& options,
             std::string id) {
    Session session(*connection, services, options, id);
    bool broken = false;
    std::string end;
    try {
        auto ended = co_await session.run();
        end = how_it_ended(ended);
    } catch (const std::exception& failure) {  // out of memory, or our own mistake: this session only
        broken = true;
        log::error("smtp.failed", {{"session", std::string_view(id)}, {"what", std::string_view(failure.what())}});
        end = "failed";
    }
    auto goodbye = broken ? format(replies::kFailure) : std::string();
    if (broken) (void)co_await connection->write(goodbye);
    log::info(
        "smtp.end",
        {{"session", id}, {"peer", connection->peer().address}, {"messages", session.messages()}, {"result", end}});
    co_await connection->close();
}

}  // namespace poplar::smtp
