// From the first octet of a message to its replies: DATA (RFC 5321 s4.1.1.4) and BDAT (RFC 3030 s2).
#include "smtp/transaction.h"

#include <algorithm>

#include "base/log.h"
#include "base/peer_network.h"
#include "base/random.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kIdLength = 12;
constexpr std::size_t kMemoryStep = 16 * 1024;
constexpr std::uint64_t kUnfinishedStep = 256 * 1024;  // smaller messages are not counted, because they soon end
constexpr std::size_t kLoggedFailures = 10;            // lines a message; smtp.message has the number of recipients

/// Reads the next octets of the message, into `into` if there is room.
Task<Result<std::string_view>> read_block(net::Connection& connection, ReadTime& time, std::span<char> into = {}) {
    const auto left = time.left();
    if (!left) co_return fail(Errc::timed_out, "the message took too long");
    auto block = co_await connection.read_some(*left, into);
    time.came();
    co_return block;
}

}  // namespace

// RFC 5321 s4.5.3.2.5 has a limit for each block. It would allow a client to send one octet a block for ever, so
// waiting counts in all.
SteadyClock::duration ReadTime::waited(SteadyTime now) const {
    return timeouts_.data_rate == 0 ? SteadyClock::duration::zero() : now - waits_since_;
}

std::optional<std::chrono::seconds> ReadTime::left() const {
    const auto now = SteadyClock::now();
    const auto left = std::chrono::ceil<std::chrono::seconds>(std::min(left_ - waited(now), end_ - now));
    if (left <= left.zero()) return std::nullopt;
    return left;
}

void ReadTime::took(std::uint64_t octets) {
    if (timeouts_.data_rate == 0) return;
    const std::chrono::duration<double> earned(static_cast<double>(octets) / static_cast<double>(timeouts_.data_rate));
    left_ =
        std::min<SteadyClock::duration>(timeouts_.data_block, left_ + std::chrono::ceil<SteadyClock::duration>(earned));
}

Transaction::Transaction(const Services& services, const Options& options, const net::Peer& peer, Mail mail)
    : services_(services),
      options_(options),
      peer_(peer),
      mail_(std::move(mail)),
      id_(random_text(kIdLength)),
      decoder_(options.bare_newlines),
      encoder_(mail::BareNewlines::normalize) {  // BDAT counts octets, so a bare newline can't end the message
    if (options.protocol != Protocol::lmtp) envelope_->replies = delivery::Replies::one;
    envelope_->stranger = options.protocol == Protocol::smtp;
    if (mail_.from) envelope_->reverse_path = mail::to_string(*mail_.from);
    if (mail_.require_tls) envelope_->tls = decltype(envelope_->tls)::required;
}

std::uint64_t Transaction::octets() const { return in_chunks_ ? encoder_.sizes().octets : decoder_.sizes().octets; }

namespace {

std::string text_of(const Rcpt& rcpt) { return rcpt.to.domain.empty() ? rcpt.to.local : mail::to_string(rcpt.to); }

}  // namespace

// Reserves in steps, because each takes a lock. Mail with few recipients, as most is, takes none.
bool Transaction::reserve_memory(std::size_t more) {
    const auto grown = 2 * (envelope_->memory() + more + sizeof(delivery::Recipient));
    if (const auto wanted = grown / kMemoryStep * kMemoryStep; wanted > memory_.amount() && services_.envelopes) {
        if (memory_.amount() == 0) memory_ = services_.envelopes->open(network_key(peer_.address));
        if (!memory_.resize(wanted)) return false;
    }
    return true;
}

// RFC 5321 s4.1.1.3: one more forward-path.
bool Transaction::add(const Rcpt& rcpt, const directory::Resolution& resolution, std::string mailbox,
                      delivery::Room room) {
    auto address = text_of(rcpt);
    std::size_t elsewhere = 0;
    for (const auto& one : resolution.elsewhere) elsewhere += one.size() + rcpt.orcpt.size() + sizeof(delivery::Away);
    if (!reserve_memory(address.size() + mailbox.size() + std::span(resolution.accounts).size_bytes() +
                        delivery::memory_of(room) + elsewhere))
        return false;
    if (elsewhere > 0) ask_for_reports();
    envelope_->add(std::move(address), resolution, std::move(mailbox), {{}, rcpt.notify, rcpt.orcpt});
    std::ranges::move(room, std::back_inserter(envelope_->room));
    return true;
}

bool Transaction::add_elsewhere(const Rcpt& rcpt, std::string address) {
    if (!reserve_memory(2 * address.size() + rcpt.orcpt.size() + sizeof(delivery::Away))) return false;
    ask_for_reports();
    envelope_->add_away(text_of(rcpt), {std::move(address), rcpt.notify, rcpt.orcpt});
    return true;
}

/// The sender's wishes about reports go with the mail that leaves (RFC 3461 s6.1).
void Transaction::ask_for_reports() {
    auto& sending = envelope_->sending;
    if (!sending) sending = std::make_shared<delivery::Sending>();
    sending->envelope_id = mail_.envid;
    sending->ret = mail_.ret;
}

// RFC 5321 s4.4: the trace field is made of what is known by now. RFC 1870 s6: the declared size is a hint.
void Transaction::begin_data(mail::Received received) {
    time_.emplace(options_.timeouts);
    received.id = id_;
    envelope_->received = std::move(received);
    incoming_ = services_.delivery.begin(envelope_, mail_.size.value_or(0));
}

void Transaction::begin_chunks(mail::Received received) {
    in_chunks_ = true;
    begin_data(std::move(received));
}

void Transaction::fail_chunks() {
    in_chunks_ = true;
    time_.emplace(options_.timeouts);
}

// RFC 5321 s4.1.1.4: all up to the line with "." alone is mail; s4.5.2: a "." that was put before a line is taken off,
// and on again for POP3; s2.3.8: only CRLF ends a line.
Task<Result<>> Transaction::read_data(net::Connection& connection) {
    while (!decoder_.at_end()) {
        auto room = incoming_ ? incoming_->room() : std::span<char>();
        auto block = co_await read_block(connection, *time_, room);
        if (!block) co_return pass_on(block);
        wire_.clear();
        auto [wire, used] = decoder_.decode_in_place(*block, wire_);
        connection.consume(used);
        time_->took(used);
        co_await take(wire);  // `wire` may lie in the writer's own room already
        time_->resume();
    }
    if (decoder_.bare_newline() && options_.bare_newlines == mail::BareNewlines::reject) refuse(replies::kBareNewline);
    co_return Result<>();
}

// RFC 3030 s2: the octets are counted; no line ends them, and none is byte-stuffed.
Task<Result<>> Transaction::read_chunk(net::Connection& connection, std::uint64_t octets) {
    if (!time_->left()) co_return fail(Errc::timed_out, "the message took too long");  // also between empty chunks
    while (octets > 0) {
        auto block = co_await read_block(connection, *time_);
        if (!block) co_return pass_on(block);
        auto part = block->substr(0, octets);
        wire_.clear();
        encoder_.encode(part, wire_);
        octets -= part.size();
        connection.consume(part.size());
        time_->took(part.size());
        co_await take(wire_);
        time_->resume();  // for the next chunk, too
    }
    co_return Result<>();
}

// RFC 3030 s2: a chunk is read whole before it is refused.
Task<Result<>> swallow(net::Connection& connection, std::uint64_t octets, const Timeouts& timeouts) {
    ReadTime time(timeouts);
    while (octets > 0) {
        auto block = co_await read_block(connection, time);
        if (!block) co_return pass_on(block);
        auto size = std::min<std::uint64_t>(block->size(), octets);
        octets -= size;
        connection.consume(size);
        time.took(size);
        time.resume();
    }
    co_return Result<>();
}

Task<> Transaction::take(std::string_view wire) {
    if (!incoming_ || wire.empty()) co_return;
    if (octets() > services_.delivery.limits().message_octets) {  // RFC 1870 s6.3
        refuse(replies::kTooLarge);
        co_return;
    }
    if (!reserve()) {
        refuse(replies::kNoSpace, "too much of this network's mail is unfinished");
        co_return;
    }
    auto written = co_await incoming_->write(wire);
    if (!written) refuse(reply_for(written.error()), written.error().text);
}

/// Reserves budget for the octets that have come. False: the rest of the budget is kept for others.
bool Transaction::reserve() {
    const auto wanted = octets() / kUnfinishedStep * kUnfinishedStep;
    if (wanted <= unfinished_.amount() || services_.unfinished == nullptr) return true;
    if (unfinished_.amount() == 0) unfinished_ = services_.unfinished->open(network_key(peer_.address));
    return unfinished_.resize(wanted);
}

void Transaction::refuse(Reply reply, std::string_view why) {
    if (!refusal_) {
        refusal_ = reply;
        reason_ = why;
    }
    incoming_.reset();  // drops the staged octets now, though the client may send for long
    unfinished_.release();
}

// RFC 5321 s4.2.5, s6.1: a client that is told 250 may forget the message. RFC 2033 s4.2: a reply for each recipient.
Task<std::vector<Reply>> Transaction::store() {
    if (in_chunks_) {
        wire_.clear();
        encoder_.finish(wire_);
        co_await take(wire_);
    }
    std::vector<Reply> answers(envelope_->recipients.size(), replies::kStored);
    if (!refusal_) {
        auto stored = co_await incoming_->finish(in_chunks_ ? encoder_.sizes() : decoder_.sizes());
        incoming_.reset();
        if (!stored) {
            refuse(reply_for(stored.error()), stored.error().text);
        } else {
            std::size_t failed = 0;
            for (std::size_t i = 0; i < answers.size(); ++i)
                if (const auto& verdict = (*stored)[i]; !verdict.stored()) {
                    answers[i] = reply_for(verdict);
                    if (verdict.kind == delivery::Verdict::Kind::rejected) rejections_[i] = verdict.text;
                    if (++failed <= kLoggedFailures)
                        log::warning("smtp.not_stored", {{"id", id_},
                                                         {"recipient", envelope_->recipients[i].address},
                                                         {"error", to_string(error_of(verdict).code())},
                                                         {"reason", verdict.text}});
                }
        }
    }
    if (refusal_) std::ranges::fill(answers, *refusal_);
    co_return answers;
}

Reply reply_for(const delivery::Verdict& verdict) {
    using Kind = delivery::Verdict::Kind;
    switch (verdict.kind) {
        case Kind::stored: return replies::kStored;
        case Kind::gone: return replies::kUnknownUser;  // the account was removed since RCPT
        case Kind::too_large: return replies::kTooLarge;
        case Kind::bad_header: return replies::kBadHeader;
        case Kind::loop: return replies::kLoop;
        case Kind::over_quota: return replies::kMailboxFull;
        case Kind::full: return replies::kMailboxFullNow;
        case Kind::rejected: return replies::kRejected;
        case Kind::later: return replies::kComeAgain;
        case Kind::deferred: break;
    }
    switch (verdict.cause) {
        case Errc::no_space: return replies::kNoSpace;
        case Errc::cancelled: return replies::kStopping;
        default: return replies::kTrouble;
    }
}

// RFC 5321 s4.1.1.4.
Reply one_reply(const std::vector<Reply>& answers) {
    auto temporary = std::ranges::find_if(answers, &Reply::temporary);
    if (temporary != answers.end()) return *temporary;
    auto failed = std::ranges::find_if_not(answers, &Reply::positive);
    return failed != answers.end() ? *failed : replies::kStored;
}

}  // namespace poplar::smtp
