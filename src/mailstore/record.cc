// The octets of the mail store's records. Every older version can still be read; only the newest is written.
#include "mailstore/record.h"

#include <algorithm>
#include <optional>

#include "base/encoding.h"
#include "base/random.h"

namespace poplar::mailstore {

namespace {

// The version of every record that is written now: a mask says which fields it has beside the usual ones.
constexpr std::uint8_t kVersion = 5;
// Older versions, read for ever. The third version of a message and of an account speaks of UTF-8 in headers as well,
// and stands for the octets that Downgrader makes (mail/downgrade.h). The second did so when it made others: its counts
// are passed over, and such a message is sent as it is stored.
constexpr std::uint8_t kPlain = 1, kOldUtf8 = 2, kUtf8 = 3;
constexpr std::uint8_t kClosed = 4;  // of an account alone: as the third

// The mask of a mailbox's or an account's record; up to kHasLog it is one octet.
enum RecordField : std::uint64_t {
    kHasUtf8 = 1,
    kHasFlags = 2,
    kIsSubscribed = 4,
    kHasUse = 8,
    kIsRemoved = 16,  // of a mailbox
    kMailboxFields = 31,
    kIsClosed = 16,  // of an account
    kHasOthers = 32,
    kHasLog = 64,
    kHasKept = 128,
    kHasViews = 256,
    kHasRetention = 4096,
    kRetentionApplied = 8192,
    kHasEncryption = 16384,
    kAccountFields = 511 | kHasRetention | kRetentionApplied | kHasEncryption,
};

enum MessageField : std::uint64_t {
    kHasAscii = 1,
    kHasUid = 2,
    kHasSystemFlags = 4,
    kHasKeywords = 8,
    kHasChanged = 16,
    kIsCopied = 32,
    kHasKey = 64,
    kHasFirstBody = 512,
    kMessageFields = 127 | kHasFirstBody,
    kHasDevices = 128,  // of a retained message
    kIsKeptTwice = 256,
    kRetainedFields = 511 | kHasFirstBody,
};

constexpr std::size_t kMessageKeySize = 1 + 4 + 8, kRetainedKeySize = 1 + 4 + 8 + 8;

template <class Fields>
constexpr std::uint64_t if_so(bool yes, Fields field) {
    return yes ? static_cast<std::uint64_t>(field) : 0;
}

// Messages

std::uint64_t fields_of(const StoredMessage& m) {
    return if_so(m.ascii_octets != 0, kHasAscii) | if_so(m.own_uid.value != 0, kHasUid) |
           if_so(m.flags.system != 0, kHasSystemFlags) | if_so(!m.flags.keywords.empty(), kHasKeywords) |
           if_so(m.changed.value != 0, kHasChanged) | if_so(m.copied, kIsCopied) | if_so(m.key != nullptr, kHasKey) |
           if_so(m.first_body.value != 0, kHasFirstBody);
}

void encode_body(Encoder& out, const StoredMessage& message, std::uint64_t more_fields = 0) {
    const auto fields = fields_of(message) | more_fields;
    out.u8(kVersion).varint(fields);
    out.varint(message.body.value).varint(message.octets).varint(message.wire_octets);
    out.varint(millis(message.received)).string(message.unique_id).varint(message.added.value);
    if (fields == 0) return;
    if (fields & kHasAscii) out.varint(message.ascii_octets);
    if (fields & kHasUid) out.varint(message.own_uid.value);
    if (fields & kHasSystemFlags) out.u8(message.flags.system);
    if (fields & kHasKeywords) out.string(message.flags.keywords);
    if (fields & kHasChanged) out.varint(message.changed.value);
    if (fields & kHasKey) out.string(*message.key);
    if (fields & kHasFirstBody) out.varint(message.first_body.value);
}

// Decodes what POP needs into a fresh message, and the mask of the fields that follow. False: the version is unknown.
bool decode_basics(Decoder& in, Message& message, std::uint64_t& fields, ModSequence& added) {
    const auto version = in.u8();
    fields = version == kVersion ? in.varint() : if_so(version == kOldUtf8 || version == kUtf8, kHasAscii);
    if (version != kVersion && version != kPlain && fields == 0) return false;
    message.body = engine::BodyId(in.varint());
    message.octets = in.varint();
    message.wire_octets = in.varint();
    message.received = timestamp(in.varint());
    message.unique_id.assign(in.string());
    if (version == kVersion) added = ModSequence(in.varint());
    if ((fields & kHasAscii) == 0) return true;
    const auto ascii_octets = in.varint();
    if (version != kOldUtf8) message.ascii_octets = ascii_octets;
    return ascii_octets != 0;
}

std::shared_ptr<const std::string> decode_key(Decoder& in) { return std::make_shared<const std::string>(in.string()); }

// `known`: the fields that it may have. False: it has others, or can't be so.
bool decode_body(Decoder& in, StoredMessage& message, std::uint64_t& fields, std::uint64_t known) {
    bool sound = decode_basics(in, message, fields, message.added) && (fields & ~known) == 0;
    if (fields & kHasUid) {
        message.own_uid = Uid(in.varint());
        sound = sound && message.own_uid.value != 0;
    }
    if (fields & kHasSystemFlags) {
        message.flags.system = in.u8();
        sound = sound && message.flags.system != 0 && (message.flags.system & ~kAllFlags) == 0;
    }
    if (fields & kHasKeywords) {
        message.flags.keywords = in.string();
        sound = sound && !message.flags.keywords.empty() && message.flags.keywords.back() != '\0';
    }
    if (fields & kHasChanged) message.changed = ModSequence(in.varint());
    message.copied = (fields & kIsCopied) != 0;
    if (fields & kHasKey) message.key = decode_key(in);
    if (fields & kHasFirstBody) message.first_body = engine::BodyId(in.varint());
    return sound;
}

// Mailboxes

std::uint64_t fields_of(const MailboxRecord& record) {
    const auto& totals = record.totals;
    return if_so(totals.utf8_messages != 0, kHasUtf8) | if_so(totals.seen != 0 || totals.deleted != 0, kHasFlags) |
           if_so(record.subscribed, kIsSubscribed) | if_so(record.use != SpecialUse::none, kHasUse) |
           if_so(record.removed, kIsRemoved);
}

void encode_mailbox(Encoder& out, const MailboxRecord& record, std::uint64_t fields) {
    const auto& totals = record.totals;
    out.varint(record.next_order.value).varint(totals.messages).varint(totals.octets);
    out.varint(record.list_changes).varint(record.changed.value).varint(record.uid_validity);
    if (fields & kHasUtf8) out.varint(totals.utf8_messages).varint(zigzag(totals.ascii_growth));
    if (fields & kHasFlags) out.varint(totals.seen).varint(totals.deleted);
    if (fields & kHasUse) out.u8(static_cast<std::uint8_t>(record.use));
}

bool decode_mailbox(Decoder& in, MailboxRecord& record, std::uint64_t fields) {
    auto& totals = record.totals;
    record.next_order = OrderKey(in.varint());
    totals.messages = in.varint();
    totals.octets = in.varint();
    record.list_changes = in.varint();
    record.changed = ModSequence(in.varint());
    const auto uid_validity = in.varint();
    record.uid_validity = static_cast<std::uint32_t>(uid_validity);
    bool sound = record.next_order.value > 0 && uid_validity > 0 && uid_validity <= ~0u;
    if (fields & kHasUtf8) {
        totals.utf8_messages = in.varint();
        totals.ascii_growth = unzigzag(in.varint());
        sound = sound && totals.utf8_messages != 0;
    }
    if (fields & kHasFlags) {
        totals.seen = in.varint();
        totals.deleted = in.varint();
    }
    record.subscribed = (fields & kIsSubscribed) != 0;
    if (fields & kHasUse) {
        const auto use = in.u8();
        record.use = static_cast<SpecialUse>(use);
        sound = sound && use != 0 && use <= static_cast<std::uint8_t>(SpecialUse::archive);
    }
    return sound;
}

bool decode_encryption(Decoder& in, AccountRecord& record) {
    const auto key = encryption::public_key(in.raw(sizeof(encryption::PublicKey)));
    const auto state = in.u8();
    if (!key || state < 1 || state > 3) return false;
    AccountEncryption made{*key, static_cast<AccountEncryption::State>(state)};
    if (made.state == AccountEncryption::State::sealed) made.sealed = timestamp(in.u64());
    record.encryption = std::make_shared<const AccountEncryption>(made);
    return true;
}

bool is_generation(std::string_view text) { return text.size() == kGenerationLength && is_unique_id(text); }

// An account when INBOX was the only mailbox.
bool decode_early_account(Decoder& in, std::uint8_t version, AccountRecord& record) {
    auto& inbox = record.inbox;
    record.generation = in.string();
    inbox.next_order = OrderKey(in.varint());
    inbox.totals.messages = in.varint();
    inbox.totals.octets = in.varint();
    record.retained_messages = in.varint();
    record.retained_octets = in.varint();
    record.earliest_expiry = timestamp(in.varint());
    record.closed = version == kClosed;
    record.early = true;
    if (version == kOldUtf8 || version == kUtf8 || record.closed) {
        const auto utf8_messages = in.varint();
        const auto ascii_growth = unzigzag(in.varint());
        if (utf8_messages == 0 && !record.closed) return false;
        if (version != kOldUtf8) {
            inbox.totals.utf8_messages = utf8_messages;
            inbox.totals.ascii_growth = ascii_growth;
        }
    }
    // This difference grew with every message that left or came back, and with no delivery.
    inbox.list_changes = inbox.next_order.value - std::min(inbox.next_order.value, inbox.totals.messages);
    inbox.changed = ModSequence(1);
    return version <= kClosed && inbox.next_order.value > 0;
}

}  // namespace

std::string ThreadId::text() const {
    std::string text;
    for (unsigned char octet : octets)
        for (auto digit : {octet >> 4, octet & 15}) text += "0123456789abcdef"[digit];
    return text;
}

AccountTotals AccountRecord::totals() const {
    AccountTotals all{inbox.totals.messages, inbox.totals.octets, retained_messages, retained_octets};
    if (others) {
        all.messages += others->messages;
        all.octets += others->octets;
    }
    return all;
}

Place live_place(const StoredMessage& message) { return {Place::Area::live, message.mailbox, message.order, {}}; }
Place place_of(const RetainedMessage& retained) {
    return {Place::Area::retained, retained.message.mailbox, retained.message.order, retained.expires};
}

std::uint32_t uid_validity_at(Timestamp now, std::uint32_t last) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    return std::max(static_cast<std::uint32_t>(std::clamp<std::int64_t>(seconds, 1, 0xffff'ffff)), last + 1);
}

bool is_unique_id(std::string_view text) {
    return !text.empty() && text.size() <= 70 && std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

std::string generation_now(std::string_view account, std::string_view start) { return base32_sum(account, start); }

std::string make_unique_id(std::string_view generation, MailboxId mailbox, OrderKey order) {
    auto text = std::string(generation) + base32_text(order.value);
    if (mailbox != kInbox) text += "-" + base32_text(mailbox.value);
    return text;
}

std::optional<Place> place_in(std::string_view unique_id) {
    if (unique_id.size() <= kGenerationLength) return std::nullopt;
    auto text = unique_id.substr(kGenerationLength);
    Place place;
    if (const auto dash = text.find('-'); dash != std::string_view::npos) {
        const auto mailbox = parse_base32(text.substr(dash + 1));
        if (!mailbox || *mailbox <= kInbox.value || *mailbox > ~0u) return std::nullopt;
        place.mailbox = MailboxId(static_cast<std::uint32_t>(*mailbox));
        text = text.substr(0, dash);
    }
    const auto order = parse_base32(text);
    if (!order) return std::nullopt;
    place.order = OrderKey(*order);
    return place;
}

bool is_found_by_place(const StoredMessage& message) { return place_in(message.unique_id) == live_place(message); }

void subtract(std::uint64_t& counter, std::uint64_t by) { counter -= std::min(counter, by); }

void count_in(MailboxTotals& totals, const Message& message) {
    ++totals.messages;
    totals.octets += message.octets;
    if (message.ascii_octets == 0) return;
    ++totals.utf8_messages;
    totals.ascii_growth += static_cast<std::int64_t>(message.ascii_octets - message.octets);
}

void count_in(MailboxTotals& totals, const StoredMessage& message) {
    count_in(totals, static_cast<const Message&>(message));
    if (message.flags.has(Flag::seen)) ++totals.seen;
    if (message.flags.has(Flag::deleted)) ++totals.deleted;
}

void count_out(MailboxTotals& totals, const Message& message) {
    subtract(totals.messages, 1);
    subtract(totals.octets, message.octets);
    if (message.ascii_octets == 0) return;
    subtract(totals.utf8_messages, 1);
    totals.ascii_growth -= static_cast<std::int64_t>(message.ascii_octets - message.octets);
    if (totals.utf8_messages == 0) totals.ascii_growth = 0;
}

void count_out(MailboxTotals& totals, const StoredMessage& message) {
    count_out(totals, static_cast<const Message&>(message));
    if (message.flags.has(Flag::seen)) subtract(totals.seen, 1);
    if (message.flags.has(Flag::deleted)) subtract(totals.deleted, 1);
}

void take_out(MailboxTotals& totals, const MailboxTotals& hidden) {
    subtract(totals.messages, hidden.messages);
    subtract(totals.octets, hidden.octets);
    subtract(totals.utf8_messages, hidden.utf8_messages);
    totals.ascii_growth = totals.utf8_messages == 0 ? 0 : totals.ascii_growth - hidden.ascii_growth;
}

void put_in(MailboxTotals& totals, const MailboxTotals& others) {
    totals.messages += others.messages;
    totals.octets += others.octets;
    totals.utf8_messages += others.utf8_messages;
    totals.ascii_growth += others.ascii_growth;
    totals.seen += others.seen;
    totals.deleted += others.deleted;
}

bool DeletionFilter::fits(const RetainedMessage& retained) const {
    const auto& devices = retained.devices;
    return retained.deleted >= since && retained.deleted <= until && (reason.empty() || retained.reason == reason) &&
           (!device || std::ranges::find(devices, *device) != devices.end()) && (!by_no_device || devices.empty());
}

std::string encode(const AccountRecord& record) {
    const auto fields = fields_of(record.inbox) | if_so(record.closed, kIsClosed) |
                        if_so(record.others.has_value(), kHasOthers) | if_so(record.log.has_value(), kHasLog) |
                        if_so(record.kept != KeptRows(), kHasKept) | if_so(record.views != 0, kHasViews) |
                        if_so(record.retention.has_value(), kHasRetention) |
                        if_so(record.retention && record.retention->applied, kRetentionApplied) |
                        if_so(record.encryption != nullptr, kHasEncryption);
    Encoder out(80);
    out.u8(kVersion).varint(fields).string(record.generation);
    encode_mailbox(out, record.inbox, fields);
    out.varint(record.retained_messages).varint(record.retained_octets).varint(millis(record.earliest_expiry));
    if (record.others) {
        const auto& others = *record.others;
        out.varint(others.next.value).varint(others.mailboxes).varint(others.removed);
        out.varint(others.messages).varint(others.octets).varint(others.last_uid_validity);
    }
    if (record.log) out.varint(record.log->rows).varint(record.log->forgotten.value).varint(millis(record.log->oldest));
    if (record.kept != KeptRows()) out.varint(record.kept.structures).varint(record.kept.threads);
    if (record.views != 0) out.varint(record.views);
    if (record.retention) out.varint(static_cast<std::uint64_t>(record.retention->keep.count()));
    if (const auto& now = record.encryption) {
        out.raw(encryption::view(now->key)).u8(static_cast<std::uint8_t>(now->state));
        if (now->state == AccountEncryption::State::sealed) out.u64(millis(now->sealed));
    }
    return std::move(out).bytes();
}

std::string encode(const MailboxRecord& record) {
    const auto fields = fields_of(record);
    Encoder out(48 + record.name.size());
    out.u8(kVersion).varint(fields).string(record.name);
    encode_mailbox(out, record, fields);
    return std::move(out).bytes();
}

std::string encode(const StoredMessage& message) {
    Encoder out(40 + message.unique_id.size());
    encode_body(out, message);
    return std::move(out).bytes();
}

std::string encode(const RetainedMessage& retained) {
    Encoder out(64 + retained.message.unique_id.size());
    encode_body(out, retained.message,
                if_so(!retained.devices.empty(), kHasDevices) | if_so(retained.kept_twice, kIsKeptTwice));
    out.varint(millis(retained.deleted)).string(retained.reason);
    if (retained.message.mailbox != kInbox) out.string(retained.mailbox);
    if (retained.devices.empty()) return std::move(out).bytes();
    out.varint(retained.devices.size());
    for (auto device : retained.devices) out.varint(device);
    return std::move(out).bytes();
}

std::string encode(const Place& place) {
    Encoder out(24);
    const bool elsewhere = place.mailbox != kInbox;
    out.u8(elsewhere ? kVersion : kPlain).u8(static_cast<std::uint8_t>(place.area)).varint(place.order.value);
    if (place.area == Place::Area::retained) out.varint(millis(place.expires));
    if (elsewhere) out.varint(place.mailbox.value);
    return std::move(out).bytes();
}

std::string encode_number(std::uint64_t value) {
    Encoder out(12);
    out.u8(kVersion).varint(value);
    return std::move(out).bytes();
}

Result<AccountRecord> decode_account(std::string_view value) {
    Decoder in(value);
    AccountRecord record;
    const auto version = in.u8();
    bool known = false;
    if (version == kVersion) {
        const auto fields = in.varint();
        record.generation = in.string();
        known = (fields & ~kAccountFields) == 0 && decode_mailbox(in, record.inbox, fields);
        record.closed = (fields & kIsClosed) != 0;
        record.retained_messages = in.varint();
        record.retained_octets = in.varint();
        record.earliest_expiry = timestamp(in.varint());
        if (fields & kHasOthers) {
            auto& others = record.others.emplace();
            others.next = MailboxId(static_cast<std::uint32_t>(in.varint()));
            others.mailboxes = in.varint();
            others.removed = in.varint();
            others.messages = in.varint();
            others.octets = in.varint();
            others.last_uid_validity = static_cast<std::uint32_t>(in.varint());
            known = known && others.next > kInbox;
        }
        if (fields & kHasLog) {
            auto& log = record.log.emplace();
            log.rows = in.varint();
            log.forgotten = engine::ChangeNumber(in.varint());
            log.oldest = timestamp(in.varint());
        }
        if (fields & kHasKept) {
            record.kept.structures = in.varint();
            record.kept.threads = in.varint();
            known = known && record.kept != KeptRows();
        }
        if (fields & kHasViews) {
            record.views = in.varint();
            known = known && record.views != 0;
        }
        if (fields & kHasRetention) {
            record.retention.emplace().keep = std::chrono::seconds(in.varint());
            record.retention->applied = (fields & kRetentionApplied) != 0;
        }
        known = known && (record.retention || (fields & kRetentionApplied) == 0);
        if (fields & kHasEncryption) known = decode_encryption(in, record) && known;
    } else if (version >= kPlain) {
        known = decode_early_account(in, version, record);
    }
    if (!in.ok() || !in.at_end() || !known || !is_generation(record.generation))
        return fail(Errc::corrupt, "an account's record can't be decoded");
    return record;
}

Result<MailboxRecord> decode_mailbox(std::string_view value) {
    Decoder in(value);
    MailboxRecord record;
    const auto version = in.u8();
    const auto fields = in.varint();
    record.name = in.string();
    const bool known = version == kVersion && (fields & ~kMailboxFields) == 0 && !record.name.empty();
    record.removed = (fields & kIsRemoved) != 0;
    if (!decode_mailbox(in, record, fields) || !known || !in.ok() || !in.at_end())
        return fail(Errc::corrupt, "a mailbox record can't be decoded");
    return record;
}

Result<StoredMessage> decode_message(engine::EntryView entry) {
    Decoder key(entry.key), in(entry.value);
    StoredMessage message;
    std::uint64_t fields = 0;
    bool sound = decode_body(in, message, fields, kMessageFields);
    key.raw(kMessageKeySize - 12);
    message.mailbox = MailboxId(key.u32_key());
    message.order = OrderKey(key.u64_key());
    sound = sound && key.ok() && key.at_end() && in.ok() && in.at_end();
    if (!sound || !is_unique_id(message.unique_id)) return fail(Errc::corrupt, "a message record can't be decoded");
    return message;
}

Result<> decode_message(engine::EntryView entry, Message& message) {
    Decoder key(entry.key), in(entry.value);
    std::uint64_t fields = 0;
    ModSequence added;
    bool sound = decode_basics(in, message, fields, added) && (fields & ~kMessageFields) == 0;
    if (fields & ~static_cast<std::uint64_t>(kHasAscii)) {
        if (fields & kHasUid) in.varint();
        if (fields & kHasSystemFlags) in.u8();
        if (fields & kHasKeywords) in.string();
        if (fields & kHasChanged) in.varint();
        if (fields & kHasKey) message.key = decode_key(in);
        if (fields & kHasFirstBody) in.varint();
    }
    key.raw(kMessageKeySize - 8);
    message.order = OrderKey(key.u64_key());
    sound = sound && key.ok() && key.at_end() && in.ok() && in.at_end();
    if (!sound || !is_unique_id(message.unique_id)) return fail(Errc::corrupt, "a message record can't be decoded");
    return {};
}

Result<RetainedMessage> decode_retained(engine::EntryView entry) {
    Decoder key(entry.key), in(entry.value);
    RetainedMessage retained;
    std::uint64_t fields = 0;
    bool sound = decode_body(in, retained.message, fields, kRetainedFields);
    retained.kept_twice = (fields & kIsKeptTwice) != 0;
    retained.deleted = timestamp(in.varint());
    retained.reason = in.string();
    key.raw(kRetainedKeySize - 16);
    retained.expires = timestamp(key.u64_key());
    retained.message.order = OrderKey(key.u64_key());
    if (!key.at_end()) {
        retained.message.mailbox = MailboxId(key.u32_key());
        retained.mailbox = in.string();
        sound = sound && retained.message.mailbox > kInbox && !retained.mailbox.empty();
    }
    if (fields & kHasDevices) {
        auto left = in.varint();
        sound = sound && left != 0;
        for (; in.ok() && left != 0; --left) retained.devices.push_back(static_cast<std::uint32_t>(in.varint()));
    }
    sound = sound && key.ok() && key.at_end() && in.ok() && in.at_end();
    if (!sound || !is_unique_id(retained.message.unique_id))
        return fail(Errc::corrupt, "a retained message's record can't be decoded");
    return retained;
}

Result<Place> decode_place(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8(), area = in.u8();
    Place place;
    place.order = OrderKey(in.varint());
    place.area = static_cast<Place::Area>(area);
    if (place.area == Place::Area::retained) place.expires = timestamp(in.varint());
    if (version == kVersion) place.mailbox = MailboxId(static_cast<std::uint32_t>(in.varint()));
    const bool known = version == kPlain || (version == kVersion && place.mailbox > kInbox);
    if (!in.ok() || !in.at_end() || !known || area > 1)
        return fail(Errc::corrupt, "an entry of the unique-id index can't be decoded");
    return place;
}

Result<std::uint64_t> decode_number(std::string_view value) {
    Decoder in(value);
    const auto version = in.u8();
    const auto number = in.varint();
    if (version != kVersion || !in.ok() || !in.at_end()) return fail(Errc::corrupt, "a number can't be decoded");
    return number;
}

}  // namespace poplar::mailstore
