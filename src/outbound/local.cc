#include "outbound/local.h"

#include "base/random.h"
#include "mail/address.h"

namespace poplar::outbound {

namespace {

using How = Reached::How;

Reached reached(How how, std::string status, std::string reply) {
    Reached out;
    out.how = how;
    out.status = std::move(status);
    out.reply = std::move(reply);
    return out;
}

Reached trouble() { return reached(How::later, "4.3.0", "storage trouble"); }

Reached reached(const delivery::Verdict& verdict) {
    using Kind = delivery::Verdict::Kind;
    switch (verdict.kind) {
        case Kind::stored: return reached(How::delivered, "2.0.0", "stored here");
        case Kind::gone: return reached(How::failed, "5.1.1", "there is no such user here");
        case Kind::too_large: return reached(How::failed, "5.3.4", "the message is too large");
        case Kind::bad_header: return reached(How::failed, "5.6.0", "the header is too large");
        case Kind::loop: return reached(How::failed, "5.4.6", "the message goes in a circle");
        case Kind::over_quota: return reached(How::failed, "5.2.2", "the mailbox is full");
        case Kind::full: return reached(How::later, "4.2.2", "the mailbox is full");
        case Kind::rejected: return reached(How::failed, "5.7.1", verdict.text);
        case Kind::later:
        case Kind::deferred: break;
    }
    return trouble();
}

/// Nothing: the recipient is in the envelope now. Else what became of it.
Task<std::optional<Reached>> add(delivery::Delivery& delivery, delivery::Envelope& envelope,
                                 const queue::Recipient& recipient, std::uint64_t octets) {
    using Kind = directory::Resolution::Kind;
    auto address = mail::parse_address(recipient.address, mail::Grammar::tolerant);
    if (!address) co_return reached(How::failed, "5.1.3", "that is no address");
    auto resolution = co_await delivery.resolve(std::move(*address));
    if (!resolution && resolution.error().code() == Errc::invalid)
        co_return reached(How::failed, "5.1.3", "that is no address");
    if (!resolution) co_return trouble();
    switch (resolution->kind) {
        case Kind::accounts: break;
        case Kind::unknown_domain:  // since a moment ago: the next attempt asks the DNS
            co_return reached(How::later, "4.3.5", "the domain is no longer served here");
        case Kind::loop: co_return reached(How::later, "4.4.6", "the address leads in a circle");
        case Kind::unknown_user: co_return reached(How::failed, "5.1.1", "there is no such user here");
        case Kind::disabled: co_return reached(How::failed, "5.2.1", "the account is disabled");
    }
    if (!resolution->bounds.empty()) {
        auto room = co_await delivery.admit(*resolution, octets, envelope.room);
        if (!room) co_return reached(room.error());
        for (auto& one : *room) envelope.room.push_back(std::move(one));
    }
    envelope.add(recipient.address, *resolution, delivery.mailbox_in(*resolution),
                 {.address = "", .notify = recipient.notify, .orcpt = recipient.orcpt});
    co_return std::nullopt;
}

Task<std::expected<std::vector<delivery::Verdict>, delivery::Verdict>> hand_over(
    delivery::Delivery& delivery, queue::Queue& queue, std::shared_ptr<delivery::Envelope> envelope,
    queue::Message message) {
    auto reader = co_await queue.open(message);
    if (!reader) co_return std::unexpected(delivery::verdict_of(reader.error()));
    auto incoming = delivery.begin(std::move(envelope), message.octets);
    for (;;) {
        auto chunk = co_await (*reader)->next();
        if (!chunk) co_return std::unexpected(delivery::Verdict{.kind = delivery::Verdict::Kind::deferred});
        if (chunk->empty()) break;
        if (auto written = co_await incoming->write(*chunk); !written)
            co_return std::unexpected(std::move(written.error()));
    }
    mail::WireSizes sizes;
    sizes.octets = message.octets;
    co_return co_await incoming->finish(sizes);
}

}  // namespace

Task<std::vector<Reached>> deliver_here(delivery::Delivery& delivery, queue::Queue& queue, queue::Message message,
                                        queue::Part part, std::string hostname) {
    std::vector<Reached> out(part.recipients.size());
    std::vector<std::size_t> places;  // of those in the envelope
    auto envelope = std::make_shared<delivery::Envelope>();
    envelope->reverse_path = message.sender;
    envelope->tls = message.tls;
    envelope->received.by = hostname;
    envelope->received.with = "LMTP";  // the same path; a server's own mail has no name among the keywords
    envelope->received.id = random_text(queue::kIdLength);  // the way on may be through the queue again
    for (std::size_t i = 0; i < part.recipients.size(); ++i) {
        if (part.recipients[i].state != queue::Recipient::State::waiting) continue;
        auto refused = co_await add(delivery, *envelope, part.recipients[i], message.octets);
        if (refused)
            out[i] = std::move(*refused);
        else
            places.push_back(i);
    }
    if (places.empty()) co_return out;
    auto verdicts = co_await hand_over(delivery, queue, std::move(envelope), std::move(message));
    for (std::size_t i = 0; i < places.size(); ++i)
        out[places[i]] = reached(verdicts ? (*verdicts)[i] : verdicts.error());
    co_return out;
}

}  // namespace poplar::outbound
