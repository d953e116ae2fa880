// Keys and values of the queue's partition.
#include "queue/record.h"

#include <algorithm>

#include "base/encoding.h"
#include "mail/address.h"

namespace poplar::queue {

namespace {

constexpr std::uint8_t kVersion = 1;
// Of a message that requires TLS: a program that does not know of that must not send it.
constexpr std::uint8_t kVersionWithTls = 2;
constexpr std::uint64_t kMostRecipients = 1'000'000;  // of a part: more is damage

// Bits of a message's and of a recipient's record.
constexpr std::uint8_t kUtf8 = 1, kEightBit = 2, kHasEnded = 4, kTlsOptional = 8;
constexpr std::uint8_t kHeld = 1, kTried = 2, kHasPlace = 4, kReleased = 8;
constexpr std::uint8_t kGiven = 1, kNever = 2, kSuccess = 4, kFailure = 8, kDelay = 16, kReportDue = 32,
                       kDelayTold = 64;

std::uint64_t millis(Timestamp time) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.time_since_epoch().count()));
}
Timestamp timestamp(std::uint64_t value) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(value & ~(std::uint64_t(1) << 63))));
}

std::unexpected<Error> damaged(std::string_view what) {
    return fail(Errc::corrupt, "queue: damaged or newer record: " + std::string(what));
}

std::uint8_t bits_of(const Recipient& recipient) {
    const auto& notify = recipient.notify;
    std::uint8_t bits = 0;
    auto add = [&](bool set, std::uint8_t bit) { bits = static_cast<std::uint8_t>(bits | (set ? bit : 0)); };
    add(notify.given, kGiven), add(notify.never, kNever), add(notify.success, kSuccess);
    add(notify.failure, kFailure), add(notify.delay, kDelay);
    add(recipient.report_due, kReportDue), add(recipient.delay_told, kDelayTold);
    return bits;
}

Result<Place> parse_place(std::string_view key, bool has_number) {
    Decoder in(key);
    in.raw(1);
    Place place;
    place.time = timestamp(in.u64_key());
    place.message = std::string(in.raw(kIdLength));
    if (has_number) place.number = in.u32_key();
    if (!in.ok() || !in.at_end()) return damaged("place");
    return place;
}

}  // namespace

bool Part::open() const {
    return std::ranges::any_of(
        recipients, [](const auto& one) { return one.state == Recipient::State::waiting || one.report_due; });
}

bool Part::waiting() const {
    return std::ranges::any_of(recipients, [](const auto& one) { return one.state == Recipient::State::waiting; });
}

std::string message_key(std::string_view id) { return std::string(kMessages).append(id); }
std::string parts_prefix(std::string_view id) { return std::string("p").append(id); }
std::string part_key(std::string_view id, std::uint32_t number) {
    return Encoder().raw(parts_prefix(id)).u32_key(number).bytes();
}
std::string due_key(Timestamp due, std::string_view id, std::uint32_t number) {
    return Encoder().raw(kDue).u64_key(millis(due)).raw(id).u32_key(number).bytes();
}
std::string finished_key(Timestamp forget, std::string_view id) {
    return Encoder().raw(kFinished).u64_key(millis(forget)).raw(id).bytes();
}

Result<Place> parse_due_key(std::string_view key) { return parse_place(key, true); }
Result<Place> parse_finished_key(std::string_view key) { return parse_place(key, false); }

std::string encode(const Message& message) {
    Encoder out;
    std::uint8_t bits = message.utf8 ? kUtf8 : 0;
    if (message.eight_bit) bits |= kEightBit;
    if (message.finished) bits |= kHasEnded;
    if (message.tls == TlsWish::optional) bits |= kTlsOptional;
    out.u8(message.tls == TlsWish::required ? kVersionWithTls : kVersion)
        .u8(bits)
        .u8(static_cast<std::uint8_t>(message.ret));
    out.string(message.sender).string(message.account).string(message.envelope_id);
    out.u64(message.body.value).varint(message.octets).varint(message.parts).u64(millis(message.arrived));
    if (message.finished) out.u64(millis(*message.finished));
    return std::move(out).bytes();
}

Result<Message> decode_message(std::string_view id, std::string_view value) {
    Decoder in(value);
    const auto version = in.u8(), bits = in.u8(), ret = in.u8();
    Message message;
    message.id = std::string(id);
    message.utf8 = (bits & kUtf8) != 0;
    message.eight_bit = (bits & kEightBit) != 0;
    if ((bits & kTlsOptional) != 0) message.tls = TlsWish::optional;
    if (version == kVersionWithTls) message.tls = TlsWish::required;
    message.ret = static_cast<mail::ReturnContent>(ret);
    message.sender = std::string(in.string());
    message.account = std::string(in.string());
    message.envelope_id = std::string(in.string());
    message.body = engine::BodyId(in.u64());
    message.octets = in.varint();
    message.parts = static_cast<std::uint32_t>(in.varint());
    message.arrived = timestamp(in.u64());
    if ((bits & kHasEnded) != 0) message.finished = timestamp(in.u64());
    if ((version != kVersion && version != kVersionWithTls) ||
        ret > static_cast<std::uint8_t>(mail::ReturnContent::headers) || !in.ok() || !in.at_end())
        return damaged("message");
    return message;
}

std::string encode(const Part& part) {
    Encoder out;
    std::uint8_t bits = part.held ? kHeld : 0;
    if (part.attempted) bits |= kTried;
    if (part.stored_due) bits |= kHasPlace;
    if (part.released) bits |= kReleased;
    out.u8(kVersion).u8(bits).string(part.domain).varint(part.attempts).u64(millis(part.due));
    if (part.attempted) out.u64(millis(*part.attempted));
    if (part.stored_due) out.u64(millis(*part.stored_due));
    if (part.released) out.u64(millis(*part.released));
    out.varint(part.recipients.size());
    for (const auto& one : part.recipients) {
        out.string(one.address).u8(static_cast<std::uint8_t>(one.state)).u8(bits_of(one));
        out.string(one.orcpt).string(one.reply).string(one.status).string(one.host);
    }
    return std::move(out).bytes();
}

Result<Part> decode_part(std::string_view key, std::string_view value) {
    Decoder where(key);
    where.raw(1);
    Part part;
    part.message = std::string(where.raw(kIdLength));
    part.number = where.u32_key();
    Decoder in(value);
    const auto version = in.u8(), bits = in.u8();
    part.held = (bits & kHeld) != 0;
    part.domain = std::string(in.string());
    part.attempts = static_cast<std::uint32_t>(in.varint());
    part.due = timestamp(in.u64());
    if ((bits & kTried) != 0) part.attempted = timestamp(in.u64());
    if ((bits & kHasPlace) != 0) part.stored_due = timestamp(in.u64());
    if ((bits & kReleased) != 0) part.released = timestamp(in.u64());
    const auto count = in.varint();
    if (count > kMostRecipients) return damaged("part");
    for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
        Recipient one;
        one.address = std::string(in.string());
        const auto state = in.u8(), marks = in.u8();
        if (state < 1 || state > static_cast<std::uint8_t>(Recipient::State::removed)) return damaged("recipient");
        one.state = static_cast<Recipient::State>(state);
        one.notify = {(marks & kGiven) != 0, (marks & kNever) != 0, (marks & kSuccess) != 0, (marks & kFailure) != 0,
                      (marks & kDelay) != 0};
        one.report_due = (marks & kReportDue) != 0;
        one.delay_told = (marks & kDelayTold) != 0;
        one.orcpt = std::string(in.string());
        one.reply = std::string(in.string());
        one.status = std::string(in.string());
        one.host = std::string(in.string());
        part.recipients.push_back(std::move(one));
    }
    if (version != kVersion || !where.ok() || !where.at_end() || !in.ok() || !in.at_end()) return damaged("part");
    return part;
}

std::string kept_reply(std::string_view text) {
    std::string out(text.substr(0, kReplyLimit));
    while (!out.empty() && !mail::is_utf8(out) && out.size() + 4 > kReplyLimit && text.size() > out.size())
        out.pop_back();  // a character that the limit cut in two
    const bool sound = mail::is_utf8(out);
    for (char& c : out) {
        const auto octet = static_cast<unsigned char>(c);
        if (octet < ' ' || octet == 0x7f) c = ' ';
        if (octet > 0x7f && !sound) c = '?';
    }
    return out;
}

std::string_view to_string(Recipient::State state) {
    switch (state) {
        case Recipient::State::waiting: return "queued";
        case Recipient::State::delivered: return "delivered";
        case Recipient::State::failed: return "failed";
        case Recipient::State::removed: return "removed";
    }
    return "";
}

}  // namespace poplar::queue
