#pragma once
// Records as programs wrote them when INBOX was an account's only mailbox: versions 1 to 4.
#include <string>

#include "base/encoding.h"
#include "mailstore/record.h"

namespace poplar::mailstore {

inline std::uint64_t early_time(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }

/// Of version 1, or of 2 or 3 if it has octets in ASCII.
inline std::string early_message(const Message& message, std::uint8_t version) {
    Encoder out;
    out.u8(version).varint(message.body.value).varint(message.octets).varint(message.wire_octets);
    out.varint(early_time(message.received)).string(message.unique_id);
    if (version != 1) out.varint(message.ascii_octets);
    return std::move(out).bytes();
}

inline std::string early_retained(const RetainedMessage& retained, std::uint8_t version) {
    Encoder out;
    out.raw(early_message(retained.message, version)).varint(early_time(retained.deleted)).string(retained.reason);
    return std::move(out).bytes();
}

/// Of version 1; of 2 or 3 if messages have UTF-8 in headers; of 4 if it is closed.
inline std::string early_account(const AccountRecord& record, std::uint8_t version) {
    const auto& totals = record.inbox.totals;
    Encoder out;
    out.u8(version).string(record.generation).varint(record.inbox.next_order.value);
    out.varint(totals.messages).varint(totals.octets).varint(record.retained_messages).varint(record.retained_octets);
    out.varint(early_time(record.earliest_expiry));
    const auto growth = static_cast<std::uint64_t>(totals.ascii_growth);
    if (version != 1) out.varint(totals.utf8_messages).varint(growth << 1 ^ (totals.ascii_growth < 0 ? ~0ull : 0));
    return std::move(out).bytes();
}

}  // namespace poplar::mailstore
