// The commands that bring a message: MAIL, RCPT, DATA and BDAT, and the answers to it (RFC 5321 s3.3, RFC 3030).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/peer_network.h"
#include "smtp/session_parts.h"

namespace poplar::smtp {

namespace {

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

}  // namespace

Session::Step Session::on(Mail mail) {
    if (helo_.empty()) return bad(replies::kNoHelo);
    if (transaction_) return bad(replies::kNestedMail);
    if (submission() && !access_) return bad(replies::kLoginNeeded);                     // RFC 6409 s4.3
    if (mail.require_tls && !connection_.tls()) return bad(replies::kUnknownParameter);  // RFC 8689 s2: not offered
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
    if (is_trusted()) transaction_->trust_client();
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
    // The sender of mail that went on is there for bounces; for anything else it would be a relay.
    if (transaction_->mail().from && services_.delivery.is_wrapped(rcpt.to))
        co_return refuse_recipient(rcpt, replies::kNoRelay, "only a bounce may go there");
    if (services_.delivery.refuses_clients() && co_await is_listed(rcpt))
        co_return refuse_recipient(rcpt, replies::kListed, *listed_, *listed_);
    if (services_.unknown && !services_.unknown->empty()) {
        if (auto waited = co_await await_place(); !waited) co_return waited;
    }

    Result<directory::Resolution> resolution;
    if (auto at_hand = services_.delivery.resolve_at_hand(rcpt.to))
        resolution = std::move(*at_hand);
    else
        resolution = co_await services_.delivery.resolve(rcpt.to);
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

/// RFC 5321 s4.5.1: who is on a list by mistake can write to the postmaster.
Task<bool> Session::is_listed(const Rcpt& rcpt) {
    if (options_.protocol != Protocol::smtp || is_trusted() || ascii::same(rcpt.to.local, "postmaster"))
        co_return false;
    if (!listed_) listed_ = co_await services_.delivery.refusal_of_client(connection_.peer().address);
    co_return !listed_->empty();
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

Result<> Session::refuse_recipient(const Rcpt& rcpt, Reply reply, std::string_view reason, std::string_view more) {
    log_refusal(rcpt, reply, reason);
    ++refused_recipients_;
    // A front server (LMTP) may hand over as many wrong addresses as the world sends it.
    if (lmtp()) return say(reply, more);
    const auto& limits = options_.limits;
    if (reply == replies::kUnknownUser || reply == replies::kNoRelay || reply == replies::kDisabled) {
        if (services_.unknown && !connection_.peer().loopback)
            services_.unknown->count(peer_key(connection_.peer().address));
        if (++unknown_recipients_ > limits.unknown_recipients) return hang_up(replies::kTooManyUnknown);
    }
    if (refused_recipients_ > limits.refused_recipients) return hang_up(replies::kTooManyRefused);
    return say(reply, more);
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

}  // namespace poplar::smtp
