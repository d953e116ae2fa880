#include "smtp/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "base/peer_network.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/transaction.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kKeptReplies = 256;  // octets of text that a session keeps room for
constexpr std::string_view kTooManyAccounts = "too many accounts";

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

// A name of 255 octets would make a long line of each short command.
std::string_view shortened(std::string_view helo) {
    constexpr std::size_t kMost = 64;
    return helo.substr(0, kMost);
}

class Session {
public:
    Session(net::Connection& connection, const Services& services, const Options& options, std::string_view id)
        : connection_(connection),
          services_(services),
          options_(options),
          id_(id),
          is_front_(options.xclient.contains(connection.peer().address)),
          front_is_local_(connection.peer().loopback) {}

    /// Until the client leaves or has to. The failure is the connection's.
    Task<Result<>> run();
    void log_end(std::string_view result);

private:
    Task<Result<>> lost(Errc why);
    std::optional<std::string_view> line_at_hand();
    /// What it returns is to be awaited.
    std::optional<Task<Result<>>> obey(std::string_view line);

    void on(const Hello& hello);
    void on(Mail mail);
    Task<Result<>> on(Rcpt rcpt);
    Task<Result<>> on(Data);
    Task<Result<>> on(Bdat bdat);
    Task<Result<>> on(StartTls);
    void on(const Xclient& client);
    void on(Rset);
    void on(Noop) { idle(replies::kOk); }
    void on(Vrfy) { idle(replies::kCannotVerify); }
    void on(Expn) { idle(replies::kNotImplemented); }
    void on(Help) { idle(replies::kHelp); }
    void on(Quit) { hang_up(replies::kBye); }

    // What is said leaves with tell(), which follows each command.
    void greet();
    void say(const Reply& reply, std::string_view more = {});
    void hang_up(Reply reply);                           // the last reply
    void bad(Reply reply);                               // a command that counts as an error
    void idle(Reply reply, std::string_view more = {});  // a command that brings no message nearer
    bool told_at_once();                                 // false: tell() is needed
    Task<Result<>> tell();
    void forget_said();
    Task<Result<>> await_place();
    void refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason);
    void log_refusal(const Rcpt& rcpt, Reply reply, std::string_view reason);
    Task<Result<>> refuse_chunk(Bdat bdat, Reply reply);
    void finish_message(std::vector<Reply> answers);
    void extensions();
    mail::Received trace() const;
    bool lmtp() const { return options_.protocol == Protocol::lmtp; }
    net::LineEnd line_end() const { return options_.bare_lf_commands ? net::LineEnd::crlf_or_lf : net::LineEnd::crlf; }

    net::Connection& connection_;
    const Services& services_;
    const Options& options_;
    std::string_view id_;
    const bool is_front_, front_is_local_;  // who has connected, whoever it speaks for by now
    bool done_ = false;

    std::string said_;  // and not told yet
    std::string helo_;  // empty before the client introduced itself
    bool extended_ = false;
    bool suspicious_ = false;  // bare newlines were refused: no more mail on this connection
    std::optional<Transaction> transaction_;
    std::uint32_t messages_ = 0, bad_commands_ = 0, idle_commands_ = 0;
    std::uint32_t unknown_recipients_ = 0, refused_recipients_ = 0;
    bool sender_logged_ = false;  // of this transaction, with a refusal
};

Task<Result<>> Session::run() {
    greet();
    if (auto greeted = co_await tell(); !greeted) co_return greeted;
    while (!done_) {
        Result<std::string_view> line;
        if (auto here = line_at_hand())
            line = *here;
        else
            line = co_await connection_.read_line(options_.limits.line_octets, options_.timeouts.command, line_end());
        Result<> went;
        if (line) {
            if (auto rest = obey(*line)) went = co_await std::move(*rest);
        } else if (line.error().code() == Errc::too_large) {
            bad(replies::kLineTooLong);
        } else {
            went = pass_on(line);
        }
        // The last reply leaves with TLS's goodbye.
        if (went && (done_ || !told_at_once())) went = co_await tell();
        if (!went) co_return co_await lost(went.error().code());
    }
    co_return Result<>();
}

void Session::greet() {
    auto text = options_.greeting;
    if (text.empty()) text = lmtp() ? "LMTP Poplar" : "ESMTP Poplar";
    say({220, "", ""}, options_.hostname + " " + text);
}

// RFC 5321 s3.8, s4.5.3.2: whoever is still there is told why we go. Returns the failure.
Task<Result<>> Session::lost(Errc why) {
    if (why == Errc::timed_out) hang_up(replies::kTimeout);
    if (why == Errc::cancelled) hang_up(replies::kShutdown);
    (void)co_await tell();
    co_return fail(why, "");
}

/// The next line, without a wait, if it has come already.
std::optional<std::string_view> Session::line_at_hand() {
    const auto received = connection_.at_hand();
    const auto line = net::find_line(received, line_end());
    if (!line || line->whole > options_.limits.line_octets) return std::nullopt;
    connection_.consume(line->whole);
    return received.substr(0, line->text);
}

std::optional<Task<Result<>>> Session::obey(std::string_view line) {
    // RFC 5321 s2.3.8. All up to the next CRLF is this one line: nothing behind a bare LF is taken for a command. A
    // client that ends commands so may go on with a message that it believes we wait for: its lines bring no mail in.
    if (!options_.bare_lf_commands && line.find_first_of("\r\n") != line.npos) {
        transaction_.reset();
        suspicious_ = true;
        bad(replies::kBareLineEnd);
        return std::nullopt;
    }
    auto command = parse_command(line);
    if (command) {
        auto call = [this](auto& parsed) -> std::optional<Task<Result<>>> {
            if constexpr (std::is_void_v<decltype(on(std::move(parsed)))>)
                return on(std::move(parsed)), std::nullopt;
            else
                return on(std::move(parsed));
        };
        return std::visit(call, *command);
    }
    if (is_http(verb_of(line)))
        hang_up(replies::kNotHttp);
    else if (same_word(verb_of(line), "BDAT"))
        // How many octets follow can't be known: the next ones must not be taken for commands.
        hang_up(replies::kLostChunk);
    else
        bad(is_hello(verb_of(line)) ? without_status(command.error()) : command.error());
    return std::nullopt;
}

void Session::on(const Hello& hello) {
    if (lmtp() != (hello.verb == Hello::Verb::lhlo))
        return bad(without_status(lmtp() ? replies::kSayLhlo : replies::kSayEhlo));
    transaction_.reset();  // RFC 5321 s4.1.4: as RSET does
    helo_ = hello.name;
    extended_ = hello.verb != Hello::Verb::helo;
    if (extended_) {
        if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
        return extensions();
    }
    idle({250, "", options_.hostname});
}

void Session::extensions() {
    said_ += fmt::format(
        "250-{}\r\n"
        "250-PIPELINING\r\n"
        "250-SIZE {}\r\n"
        "250-8BITMIME\r\n"
        "250-SMTPUTF8\r\n"
        "250-CHUNKING\r\n",
        options_.hostname, services_.delivery.limits().message_octets);
    if (!connection_.tls() && options_.tls && options_.tls()) said_ += "250-STARTTLS\r\n";
    // NOTIFY=SUCCESS: a front server reports the delivery itself if its LMTP server has no DSN, and leaves it to one
    // that has. We don't report.
    if (!lmtp()) said_ += "250-DSN\r\n";
    if (is_front_) said_ += "250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME\r\n";
    said_ +=
        "250-ENHANCEDSTATUSCODES\r\n"
        "250 HELP\r\n";  // RFC 5321 s4.1.1.1: what is there beyond the minimum is listed
}

void Session::on(Mail mail) {
    if (helo_.empty()) return bad(replies::kNoHelo);
    if (transaction_) return bad(replies::kNestedMail);
    // Servers that disagree with us on where that message ended may have let this envelope in with it.
    if (suspicious_) return hang_up(replies::kSuspicious);
    if (messages_ >= options_.limits.messages) return hang_up(replies::kTooManyMessages);
    if (mail.size && *mail.size > services_.delivery.limits().message_octets)
        return idle(replies::kTooLarge);  // RFC 1870 s6.1: before a single octet of it came
    if (mail.from && !mail.smtputf8 && mail::needs_smtputf8(*mail.from)) return idle(replies::kSenderNeedsUtf8);
    transaction_.emplace(services_, options_, connection_.peer(), std::move(mail));
    sender_logged_ = false;
    say(replies::kSender);
}

Task<Result<>> Session::on(Rcpt rcpt) {
    if (!transaction_) co_return bad(replies::kNoMail), Result<>();
    if (transaction_->in_chunks()) co_return bad(replies::kMidChunks), Result<>();
    const auto& limits = options_.limits;
    // Before the directory is asked: what is refused anyway has to cost next to nothing.
    if (transaction_->recipients().size() >= limits.recipients)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, ""), Result<>();
    if (transaction_->accounts() >= limits.accounts)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, kTooManyAccounts), Result<>();
    if (!transaction_->mail().smtputf8 && mail::needs_smtputf8(rcpt.to))
        co_return refuse_recipient(rcpt, replies::kRecipientNeedsUtf8, ""), Result<>();
    if (services_.unknown && !services_.unknown->empty()) {
        if (auto waited = co_await await_place(); !waited) co_return waited;
        if (done_) co_return Result<>();
    }

    auto resolution = co_await services_.delivery.resolve(rcpt.to);
    if (!resolution) {
        auto& error = resolution.error();
        auto reply = error.code() == Errc::invalid ? replies::kBadRecipient : reply_for(error);
        co_return refuse_recipient(rcpt, reply, error.detail()), Result<>();
    }
    using Kind = directory::Resolution::Kind;
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain: co_return refuse_recipient(rcpt, replies::kNoRelay, ""), Result<>();
        case Kind::unknown_user: co_return refuse_recipient(rcpt, replies::kUnknownUser, ""), Result<>();
        case Kind::disabled: co_return refuse_recipient(rcpt, replies::kDisabled, ""), Result<>();
        case Kind::loop: co_return refuse_recipient(rcpt, replies::kAliasLoop, ""), Result<>();
    }
    if (transaction_->accounts() + resolution->accounts.size() > limits.accounts)
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, kTooManyAccounts), Result<>();
    auto address = rcpt.to.domain.empty() ? rcpt.to.local : mail::to_string(rcpt.to);
    if (!transaction_->add(std::move(address), resolution->accounts))
        co_return refuse_recipient(rcpt, replies::kTooManyRecipients, "no memory for the envelope"), Result<>();
    say(replies::kRecipient);
    co_return Result<>();
}

// Whoever has named too many that nobody knows waits, before it shows whether this one is known.
Task<Result<>> Session::await_place() {
    if (connection_.peer().loopback) co_return Result<>();
    const auto place = services_.unknown->place(peer_key(connection_.peer().address));
    if (!place) co_return hang_up(replies::kTooManyUnknown), Result<>();
    const auto wait = *place - SteadyClock::now();
    if (wait <= wait.zero()) co_return Result<>();
    if (auto told = co_await tell(); !told) co_return told;
    co_return co_await connection_.pause(wait);
}

void Session::refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason) {
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
    say(reply);
}

// A short command must not make a long line, again and again: sender and name come once, and of many refusals the end
// of the session tells the number.
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
    if (!transaction_) co_return bad(replies::kNoMail), Result<>();
    if (transaction_->in_chunks()) co_return bad(replies::kMidChunks), Result<>();
    // Not counted as bad: a pipelining client can't know yet that all its recipients were refused (RFC 2920 s3.1).
    if (transaction_->recipients().empty()) co_return idle(replies::kNoRecipients), Result<>();
    transaction_->begin_data(trace());
    say(replies::kGoAhead);
    if (!told_at_once())
        if (auto told = co_await tell(); !told) co_return told;
    if (auto read = co_await transaction_->read_data(connection_); !read) co_return read;
    finish_message(co_await transaction_->store());
    co_return Result<>();
}

Task<Result<>> Session::on(Bdat bdat) {
    if (!transaction_) co_return co_await refuse_chunk(bdat, replies::kNoMail);
    if (transaction_->recipients().empty()) co_return co_await refuse_chunk(bdat, replies::kNoRecipients);
    if (!transaction_->in_chunks()) transaction_->begin_chunks(trace());
    if (auto read = co_await transaction_->read_chunk(connection_, bdat.octets); !read) co_return read;
    if (bdat.last) {
        finish_message(co_await transaction_->store());
        co_return Result<>();
    }
    auto reply = transaction_->refusal().value_or(replies::kChunk);
    auto octets = reply.positive() ? std::to_string(bdat.octets) : std::string();
    if (bdat.octets == 0)
        idle(reply, octets);
    else
        say(reply, octets);
    co_return Result<>();
}

// RFC 3030 s2: the chunk is read before it is refused, so that its octets are never taken for commands.
Task<Result<>> Session::refuse_chunk(Bdat bdat, Reply reply) {
    if (auto read = co_await swallow(connection_, bdat.octets, options_.timeouts); !read) co_return read;
    // In LMTP, too: RFC 2033 s4.3 has no reply to a last chunk without recipients, and a client that waits for one, as
    // for every command (RFC 3030 s2), would wait for ever. Chunks that are in the pipeline already are not counted.
    if (bdat.octets == 0 || bdat.last)
        idle(reply);
    else
        say(reply);
    if (transaction_ && bdat.last)
        transaction_.reset();
    else if (transaction_)
        transaction_->fail_chunks();
    co_return Result<>();
}

/// `answers`: what became of the message, one for each recipient.
void Session::finish_message(std::vector<Reply> answers) {
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
    // What is stored has its line whatever others do to the log.
    if (stored > 0)
        log::write(log::Level::info, "smtp.message", fields);
    else
        connection_.log(log::Level::info, "smtp.message", fields);
    for (const auto& answer : answers) say(answer, answer.positive() ? transaction.id() : std::string_view());
}

Task<Result<>> Session::on(StartTls) {
    if (connection_.tls()) co_return bad(replies::kTlsActive), Result<>();
    std::shared_ptr<const net::TlsContext> context;
    if (options_.tls) context = options_.tls();
    if (!context) co_return bad(replies::kNoTls), Result<>();
    say(replies::kReadyForTls);
    if (auto told = co_await tell(); !told) co_return told;
    // RFC 3207 s4.2: what was said in the clear is forgotten.
    transaction_.reset();
    helo_.clear();
    extended_ = false;
    auto secured = co_await connection_.start_tls(*context, options_.timeouts.handshake);
    if (secured) co_return Result<>();
    connection_.log(log::Level::info, "smtp.tls_failed",
                    {{"session", id_}, {"peer", connection_.peer().address}, {"reason", secured.error().detail()}});
    co_return fail(Errc::closed, "");  // half a handshake is no line to speak on: no 421
}

// The session begins anew, as one of another client: nothing that it said or did wrong before is this one's. What
// guards against smuggling stays.
void Session::on(const Xclient& client) {
    if (!is_front_) return bad(replies::kXclientDenied);
    if (transaction_) return bad(replies::kNestedMail);
    auto peer = connection_.peer();
    if (client.address && client.address->empty()) {
        peer = {net::kUnknownAddress};
    } else if (client.address) {
        auto named = net::peer_at(*client.address, 0);
        if (!named) return bad(replies::kBadArgument);
        peer = std::move(*named);
        peer.loopback = peer.loopback && front_is_local_;  // else it is another machine's
    }
    if (client.port) peer.port = *client.port;
    connection_.set_peer(std::move(peer));
    helo_ = client.helo.value_or("");
    extended_ = client.extended.value_or(false);
    bad_commands_ = unknown_recipients_ = refused_recipients_ = 0;
    if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
    greet();
}

void Session::on(Rset) {
    transaction_.reset();
    idle(replies::kOk);
}

mail::Received Session::trace() const {
    mail::Received received;
    received.helo = helo_;
    if (!transaction_->mail().smtputf8)  // RFC 6531 s3.7.3: UTF-8 in a trace field is for such messages only
        std::ranges::replace_if(received.helo, [](char c) { return static_cast<unsigned char>(c) > 0x7f; }, '?');
    const auto& peer = connection_.peer().address;
    received.peer = peer == "unix" || peer == net::kUnknownAddress ? "" : peer;
    received.by = options_.hostname;
    const auto* tls = connection_.tls();
    received.with = with_keyword(options_.protocol, extended_, tls != nullptr, transaction_->mail().smtputf8);
    if (tls) received.tls = tls->version + " with cipher " + tls->cipher;
    return received;
}

void Session::say(const Reply& reply, std::string_view more) { append(said_, reply, more); }

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

// A session that waits holds no long text.
void Session::forget_said() {
    said_.clear();
    if (said_.capacity() > kKeptReplies) said_.shrink_to_fit();
}

void Session::hang_up(Reply reply) {
    done_ = true;
    say(reply);
}

void Session::bad(Reply reply) {
    if (++bad_commands_ >= options_.limits.bad_commands) return hang_up(replies::kTooManyErrors);
    say(reply);
}

void Session::idle(Reply reply, std::string_view more) {
    if (++idle_commands_ > options_.limits.idle_commands) return hang_up(replies::kTooMuchIdling);
    say(reply, more);
}

std::string_view how_it_ended(const Result<>& result) { return result ? "quit" : to_string(result.error().code()); }

}  // namespace

Options defaults(Protocol protocol) {
    Options options;
    options.protocol = protocol;
    if (protocol == Protocol::lmtp) {
        options.bare_newlines = mail::BareNewlines::normalize;
        options.limits.logged_refusals = 100;  // its connections stay, and strangers don't choose how many there are
    }
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
    session.log_end(end);
    co_await connection->close();
}

}  // namespace poplar::smtp
