#include "smtp/transaction.h"

#include <algorithm>

#include "base/log.h"
#include "base/random.h"

namespace poplar::smtp {

namespace {

constexpr std::size_t kIdLength = 12;

/// The time that is left for the next read: a block's, or what remains of the whole.
class Deadline {
public:
    explicit Deadline(const Timeouts& timeouts) : Deadline(timeouts, std::chrono::steady_clock::now()) {}
    Deadline(const Timeouts& timeouts, std::chrono::steady_clock::time_point begin)
        : block_(timeouts.data_block), end_(begin + timeouts.message) {}
    std::optional<std::chrono::seconds> left() const {
        auto whole = std::chrono::ceil<std::chrono::seconds>(end_ - std::chrono::steady_clock::now());
        if (whole <= std::chrono::seconds::zero()) return std::nullopt;
        return std::min(block_, whole);
    }

private:
    std::chrono::seconds block_;
    std::chrono::steady_clock::time_point end_;
};

Task<Result<std::string_view>> read_block(net::Connection& connection, const Deadline& deadline,
                                          std::span<char> into = {}) {
    auto left = deadline.left();
    if (!left) co_return fail(Errc::timed_out, "the message took too long");
    co_return co_await connection.read_some(*left, into);
}

}  // namespace

Transaction::Transaction(delivery::Delivery& delivery, const Options& options, Mail mail)
    : delivery_(delivery),
      options_(options),
      mail_(std::move(mail)),
      id_(random_text(kIdLength)),
      decoder_(options.bare_newlines),
      encoder_(mail::BareNewlines::normalize) {  // its octets are counted: no line end can be taken for the end
    if (mail_.from) envelope_.reverse_path = mail::to_string(*mail_.from);
}

std::uint64_t Transaction::octets() const { return in_chunks_ ? encoder_.sizes().octets : decoder_.sizes().octets; }

void Transaction::add(delivery::Recipient recipient) {
    accounts_ += recipient.resolution.accounts.size();
    envelope_.recipients.push_back(std::move(recipient));
}

void Transaction::begin_data(mail::Received received) {
    begun_ = std::chrono::steady_clock::now();
    received.id = id_;
    auto envelope = envelope_;
    envelope.received = std::move(received);
    incoming_ = delivery_.begin(std::move(envelope), mail_.size.value_or(0));
}

void Transaction::begin_chunks(mail::Received received) {
    in_chunks_ = true;
    begin_data(std::move(received));
}

void Transaction::fail_chunks() {
    in_chunks_ = true;
    begun_ = std::chrono::steady_clock::now();
}

Task<Result<>> Transaction::read_data(net::Connection& connection) {
    Deadline deadline(options_.timeouts, *begun_);
    while (!decoder_.at_end()) {
        auto room = incoming_ ? incoming_->room() : std::span<char>();
        auto block = co_await read_block(connection, deadline, room);
        if (!block) co_return pass_on(block);
        wire_.clear();
        auto [wire, used] = decoder_.decode_in_place(*block, wire_);
        connection.consume(used);
        co_await take(wire);  // it may lie in the block, and that where it is to stay
    }
    if (decoder_.bare_newline() && options_.bare_newlines == mail::BareNewlines::reject) refuse(replies::kBareNewline);
    co_return Result<>();
}

Task<Result<>> Transaction::read_chunk(net::Connection& connection, std::uint64_t octets) {
    Deadline deadline(options_.timeouts, *begun_);
    while (octets > 0) {
        auto block = co_await read_block(connection, deadline);
        if (!block) co_return pass_on(block);
        auto part = block->substr(0, octets);
        wire_.clear();
        encoder_.encode(part, wire_);
        octets -= part.size();
        connection.consume(part.size());
        co_await take(wire_);
    }
    co_return Result<>();
}

Task<Result<>> swallow(net::Connection& connection, std::uint64_t octets, Timeouts timeouts) {
    Deadline deadline(timeouts);
    while (octets > 0) {
        auto block = co_await read_block(connection, deadline);
        if (!block) co_return pass_on(block);
        auto size = std::min<std::uint64_t>(block->size(), octets);
        octets -= size;
        connection.consume(size);
    }
    co_return Result<>();
}

Task<> Transaction::take(std::string_view wire) {
    if (!incoming_ || wire.empty()) co_return;
    if (octets() > delivery_.limits().message_octets) {
        refuse(replies::kTooLarge);
        co_return;
    }
    auto written = co_await incoming_->write(wire);
    if (written) co_return;
    // Incoming says invalid only of the header's limits here.
    auto& error = written.error();
    refuse(error.code() == Errc::invalid ? replies::kBadHeader : reply_for(error), error.detail());
}

void Transaction::refuse(Reply reply, std::string_view why) {
    if (!refusal_) {
        refusal_ = reply;
        reason_ = why;
    }
    incoming_.reset();  // what was staged is dropped at once, not when the last octet has come
}

Task<std::vector<Reply>> Transaction::store() {
    if (in_chunks_) {
        wire_.clear();
        encoder_.finish(wire_);
        co_await take(wire_);
    }
    std::vector<Reply> answers(envelope_.recipients.size(), replies::kStored);
    if (!refusal_) {
        auto stored = co_await incoming_->finish(in_chunks_ ? encoder_.sizes() : decoder_.sizes());
        incoming_.reset();
        if (!stored) {
            // Incoming says invalid only of a mail loop here.
            auto& error = stored.error();
            refuse(error.code() == Errc::invalid ? replies::kLoop : reply_for(error), error.detail());
        } else {
            for (std::size_t i = 0; i < answers.size(); ++i)
                if (auto& result = (*stored)[i]; !result) {
                    answers[i] = reply_for(result.error());
                    log::warning("smtp.not_stored", {{"id", id_},
                                                     {"recipient", envelope_.recipients[i].address},
                                                     {"error", to_string(result.error().code())},
                                                     {"reason", result.error().detail()}});
                }
        }
    }
    if (refusal_) std::ranges::fill(answers, *refusal_);
    co_return answers;
}

Reply reply_for(const Error& error) {
    switch (error.code()) {
        case Errc::too_large: return replies::kTooLarge;
        case Errc::no_space: return replies::kNoSpace;
        case Errc::cancelled: return replies::kStopping;
        default: return replies::kTrouble;
    }
}

Reply one_reply(const std::vector<Reply>& answers) {
    auto temporary = std::ranges::find_if(answers, &Reply::temporary);
    if (temporary != answers.end()) return *temporary;
    auto failed = std::ranges::find_if_not(answers, &Reply::positive);
    return failed != answers.end() ? *failed : replies::kStored;
}

}  // namespace poplar::smtp
