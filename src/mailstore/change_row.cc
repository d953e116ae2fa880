#include "mailstore/change_row.h"

#include <algorithm>

#include "base/encoding.h"
#include "mailstore/keys.h"

namespace poplar::mailstore {

namespace {

constexpr std::uint8_t kVersion = 1;

void append(std::vector<UidRange>& ranges, Uid uid) {
    if (!ranges.empty() && ranges.back().last.value + 1 == uid.value)
        ranges.back().last = uid;
    else
        ranges.push_back({uid, uid});
}

void encode_uids(Encoder& out, const std::vector<UidRange>& ranges) {
    out.varint(ranges.size());
    for (const auto& range : ranges) out.varint(range.first.value).varint(range.last.value - range.first.value);
}

// A damaged count can't ask for much memory, because every range takes at least two octets of what is there.
std::vector<UidRange> decode_ranges(Decoder& in) {
    std::vector<UidRange> ranges;
    for (auto n = in.varint(); n > 0 && in.ok(); --n) {
        const Uid first(in.varint());
        ranges.push_back({first, Uid(first.value + in.varint())});
    }
    return ranges;
}

bool has_uids(Change::Kind kind) { return kind <= Change::Kind::moved; }

}  // namespace

Change& ChangeRow::change_of(Change::Kind kind, MailboxId mailbox, MailboxId to) {
    auto same = [&](const Change& c) { return c.kind == kind && c.mailbox == mailbox && c.to == to; };
    auto found = std::ranges::find_if(changes_, same);
    if (found != changes_.end()) return *found;
    Change change;
    change.kind = kind;
    change.mailbox = mailbox;
    change.to = to;
    return changes_.emplace_back(std::move(change));
}

void ChangeRow::add(Change::Kind kind, MailboxId mailbox, Uid uid) {
    append(change_of(kind, mailbox, MailboxId()).uids, uid);
}

void ChangeRow::add_move(MailboxId from, Uid uid, MailboxId to, Uid to_uid) {
    auto& change = change_of(Change::Kind::moved, from, to);
    append(change.uids, uid);
    append(change.to_uids, to_uid);
}

void ChangeRow::add(Change::Kind kind, MailboxId mailbox) { change_of(kind, mailbox, MailboxId()); }

std::string ChangeRow::encode(Timestamp time) const {
    Encoder out(32);
    out.u8(kVersion).varint(static_cast<std::uint64_t>(time.time_since_epoch().count()));
    for (const auto& change : changes_) {
        out.u8(static_cast<std::uint8_t>(change.kind)).varint(change.mailbox.value);
        if (has_uids(change.kind)) encode_uids(out, change.uids);
        if (change.kind != Change::Kind::moved) continue;
        out.varint(change.to.value);
        encode_uids(out, change.to_uids);
    }
    return std::move(out).bytes();
}

Result<std::vector<Change>> decode_changes(engine::EntryView row) {
    Decoder in(row.value);
    bool sound = in.u8() == kVersion;
    in.varint();
    std::vector<Change> changes;
    while (sound && in.ok() && !in.at_end()) {
        auto& change = changes.emplace_back();
        const auto kind = in.u8();
        sound = kind >= static_cast<std::uint8_t>(Change::Kind::added) &&
                kind <= static_cast<std::uint8_t>(Change::Kind::document);
        change.number = keys::change_of(row.key);
        change.kind = static_cast<Change::Kind>(kind);
        change.mailbox = MailboxId(static_cast<std::uint32_t>(in.varint()));
        if (has_uids(change.kind)) change.uids = decode_ranges(in);
        if (change.kind != Change::Kind::moved) continue;
        change.to = MailboxId(static_cast<std::uint32_t>(in.varint()));
        change.to_uids = decode_ranges(in);
    }
    if (!sound || !in.ok()) return fail(Errc::corrupt, "a row of the change log can't be decoded");
    return changes;
}

Result<Timestamp> decode_change_time(std::string_view value) {
    Decoder in(value);
    const bool known = in.u8() == kVersion;
    const auto millis = in.varint();
    if (!known || !in.ok()) return fail(Errc::corrupt, "a row of the change log can't be decoded");
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(millis)));
}

}  // namespace poplar::mailstore
