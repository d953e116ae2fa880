#include "mailstore/record.h"

#include <algorithm>
#include <optional>

#include "base/encoding.h"
#include "base/random.h"

namespace poplar::mailstore {

namespace {

// Version 3 of a message and of a mailbox speaks of UTF-8 in headers as well; it is written only where there is some,
// and stands for the octets that Downgrader makes (mail/downgrade.h). Version 2 did so when it made others: its counts
// are passed over, and such a message is sent as it is stored.
constexpr std::uint8_t kVersion = 1, kVersionOldUtf8 = 2, kVersionUtf8 = 3;
constexpr std::uint8_t kVersionClosed = 4;  // of a mailbox alone: as the third
constexpr std::uint32_t kInbox = 1;         // the one mailbox so far; its number stands in every key

constexpr std::string_view kMailboxTag = "M", kMessageTag = "m", kRetainedTag = "r", kUniqueIdTag = "u";
constexpr std::size_t kMessageKeySize = 1 + 4 + 8, kRetainedKeySize = 1 + 4 + 8 + 8;

Encoder key_of(std::string_view tag) {
    Encoder key;
    key.raw(tag).u32_key(kInbox);
    return key;
}

std::uint64_t millis(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
Timestamp timestamp(std::uint64_t value) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(value)));
}

std::uint8_t version_of(const Message& message) { return message.ascii_octets != 0 ? kVersionUtf8 : kVersion; }

// Small numbers of either sign are small.
std::uint64_t zigzag(std::int64_t value) {
    return static_cast<std::uint64_t>(value) << 1 ^ static_cast<std::uint64_t>(value >> 63);
}
std::int64_t unzigzag(std::uint64_t value) { return static_cast<std::int64_t>(value >> 1 ^ (~(value & 1) + 1)); }

void encode_body(Encoder& out, const Message& message) {
    out.u8(version_of(message));
    out.varint(message.body.value).varint(message.octets).varint(message.wire_octets);
    out.varint(millis(message.received)).string(message.unique_id);
    if (message.ascii_octets != 0) out.varint(message.ascii_octets);
}

/// Into a fresh message. False: the version is unknown, or says what is not so.
bool decode_body(Decoder& in, Message& message) {
    const auto version = in.u8();
    if (version != kVersion && version != kVersionOldUtf8 && version != kVersionUtf8) return false;
    message.body = engine::BodyId(in.varint());
    message.octets = in.varint();
    message.wire_octets = in.varint();
    message.received = timestamp(in.varint());
    message.unique_id.assign(in.string());
    if (version == kVersion) return true;
    const auto ascii_octets = in.varint();
    if (version == kVersionUtf8) message.ascii_octets = ascii_octets;
    return ascii_octets != 0;
}

}  // namespace

bool is_unique_id(std::string_view text) {
    return !text.empty() && text.size() <= 70 && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::string generation_now(std::string_view mailbox, std::string_view start) { return base32_sum(mailbox, start); }

std::string make_unique_id(std::string_view generation, OrderKey order) {
    return std::string(generation) + base32_text(order.value);
}

std::optional<OrderKey> order_in(std::string_view unique_id) {
    if (unique_id.size() <= kGenerationLength) return std::nullopt;
    auto value = parse_base32(unique_id.substr(kGenerationLength));
    if (!value) return std::nullopt;
    return OrderKey(*value);
}

bool is_found_by_order(const Message& message) { return order_in(message.unique_id) == message.order; }

namespace keys {

std::string mailbox() { return key_of(kMailboxTag).bytes(); }
std::string message(OrderKey order) { return key_of(kMessageTag).u64_key(order.value).bytes(); }
std::string retained(Timestamp expires, OrderKey order) {
    return key_of(kRetainedTag).u64_key(millis(expires)).u64_key(order.value).bytes();
}
std::string unique_id(std::string_view unique_id) { return key_of(kUniqueIdTag).raw(unique_id).bytes(); }

Timestamp expiry_of(std::string_view retained_key) {
    Decoder in(retained_key);
    in.raw(kRetainedKeySize - 16);
    return timestamp(in.u64_key());
}

engine::KeyRange messages() { return engine::KeyRange::prefix(key_of(kMessageTag).bytes()); }
engine::KeyRange messages(OrderKey first) { return {message(first), messages().end}; }
engine::KeyRange retained() { return engine::KeyRange::prefix(key_of(kRetainedTag).bytes()); }
engine::KeyRange retained_until(Timestamp last) {
    return {retained().begin, retained(last + std::chrono::milliseconds(1), OrderKey(0))};
}
engine::KeyRange unique_ids() { return engine::KeyRange::prefix(key_of(kUniqueIdTag).bytes()); }

}  // namespace keys

void count_in(MailboxTotals& totals, const Message& message) {
    ++totals.messages;
    totals.octets += message.octets;
    if (message.ascii_octets == 0) return;
    ++totals.utf8_messages;
    totals.ascii_growth += static_cast<std::int64_t>(message.ascii_octets - message.octets);
}

void count_out(MailboxTotals& totals, const Message& message) {
    auto subtract = [](std::uint64_t& counter, std::uint64_t by) { counter -= std::min(counter, by); };
    subtract(totals.messages, 1);
    subtract(totals.octets, message.octets);
    if (message.ascii_octets == 0) return;
    subtract(totals.utf8_messages, 1);
    totals.ascii_growth -= static_cast<std::int64_t>(message.ascii_octets - message.octets);
    if (totals.utf8_messages == 0) totals.ascii_growth = 0;
}

std::string encode(const MailboxRecord& record) {
    const bool utf8 = record.totals.utf8_messages != 0;
    Encoder out(64);
    out.u8(record.closed ? kVersionClosed : utf8 ? kVersionUtf8 : kVersion);
    out.string(record.generation).varint(record.next_order.value);
    out.varint(record.totals.messages).varint(record.totals.octets);
    out.varint(record.totals.retained_messages).varint(record.totals.retained_octets);
    out.varint(millis(record.earliest_expiry));
    if (utf8 || record.closed) out.varint(record.totals.utf8_messages).varint(zigzag(record.totals.ascii_growth));
    return std::move(out).bytes();
}

std::string encode(const Message& message) {
    Encoder out(32 + message.unique_id.size());
    encode_body(out, message);
    return std::move(out).bytes();
}

std::string encode(const RetainedMessage& retained) {
    Encoder out;
    encode_body(out, retained.message);
    out.varint(millis(retained.deleted)).string(retained.reason);
    return std::move(out).bytes();
}

std::string encode(const Place& place) {
    Encoder out;
    out.u8(kVersion).u8(static_cast<std::uint8_t>(place.area)).varint(place.order.value);
    if (place.area == Place::Area::retained) out.varint(millis(place.expires));
    return std::move(out).bytes();
}

Result<MailboxRecord> decode_mailbox(std::string_view value) {
    Decoder in(value);
    MailboxRecord record;
    auto version = in.u8();
    record.generation = in.string();
    record.next_order = OrderKey(in.varint());
    record.totals.messages = in.varint();
    record.totals.octets = in.varint();
    record.totals.retained_messages = in.varint();
    record.totals.retained_octets = in.varint();
    record.earliest_expiry = timestamp(in.varint());
    record.closed = version == kVersionClosed;
    bool known = version == kVersion;
    if (version == kVersionOldUtf8 || version == kVersionUtf8 || record.closed) {
        const auto utf8_messages = in.varint();
        const auto ascii_growth = unzigzag(in.varint());
        known = utf8_messages != 0 || record.closed;
        if (version != kVersionOldUtf8) {
            record.totals.utf8_messages = utf8_messages;
            record.totals.ascii_growth = ascii_growth;
        }
    }
    bool sound = in.ok() && in.at_end() && known && record.generation.size() == kGenerationLength &&
                 is_unique_id(record.generation) && record.next_order.value > 0;
    if (!sound) return fail(Errc::corrupt, "a mailbox record can't be decoded");
    return record;
}

Result<Message> decode_message(engine::EntryView entry) {
    Message message;
    if (auto decoded = decode_message(entry, message); !decoded) return pass_on(decoded);
    return message;
}

Result<> decode_message(engine::EntryView entry, Message& message) {
    Decoder key(entry.key), in(entry.value);
    bool sound = decode_body(in, message);
    key.raw(kMessageKeySize - 8);
    message.order = OrderKey(key.u64_key());
    sound = sound && key.ok() && key.at_end() && in.ok() && in.at_end();
    if (!sound || !is_unique_id(message.unique_id)) return fail(Errc::corrupt, "a message record can't be decoded");
    return {};
}

Result<RetainedMessage> decode_retained(engine::EntryView entry) {
    Decoder key(entry.key), in(entry.value);
    RetainedMessage retained;
    bool sound = decode_body(in, retained.message);
    retained.deleted = timestamp(in.varint());
    retained.reason = in.string();
    key.raw(kRetainedKeySize - 16);
    retained.expires = timestamp(key.u64_key());
    retained.message.order = OrderKey(key.u64_key());
    sound = sound && key.ok() && key.at_end() && in.ok() && in.at_end();
    if (!sound || !is_unique_id(retained.message.unique_id))
        return fail(Errc::corrupt, "a retained message's record can't be decoded");
    return retained;
}

Result<Place> decode_place(std::string_view value) {
    Decoder in(value);
    auto version = in.u8(), area = in.u8();
    Place place;
    place.order = OrderKey(in.varint());
    place.area = static_cast<Place::Area>(area);
    if (place.area == Place::Area::retained) place.expires = timestamp(in.varint());
    if (!in.ok() || !in.at_end() || version != kVersion || area > 1)
        return fail(Errc::corrupt, "an entry of the unique-id index can't be decoded");
    return place;
}

}  // namespace poplar::mailstore
