#pragma once
// The mail store's keys and values (docs/storage-format.md, "Mail store"). Decoders take any bytes: what can't be
// decoded is answered with corrupt.
#include <optional>
#include <string>
#include <string_view>

#include "mailstore/mail_store.h"

namespace poplar::mailstore {

/// A mailbox's counters: all that STAT, a delivery and a deletion need to know of it.
struct MailboxRecord {
    std::string generation;  ///< a part of every unique-id made here; empty before the first write
    OrderKey next_order{1};
    MailboxTotals totals;
    Timestamp earliest_expiry{};  ///< no retained message expires before it; 0 if there is none
    bool closed = false;          ///< for good: its account is gone, and nothing is appended any more
};

/// Counts a live message in, or out. Counters never wrap, even if damage has put them wrong; check() finds that.
void count_in(MailboxTotals& totals, const Message& message);
void count_out(MailboxTotals& totals, const Message& message);

/// Where a unique-id's message is.
struct Place {
    enum class Area : std::uint8_t { live = 0, retained = 1 };
    Area area = Area::live;
    OrderKey order;
    Timestamp expires{};  ///< of a retained message: part of its key
};

inline constexpr std::size_t kGenerationLength = 12;  // 60 random bits

/// 1-70 octets in 0x21-0x7e (RFC 1939 s7).
bool is_unique_id(std::string_view text);
/// What unique-ids begin with that are made now: the mailbox's generation and that of this start of the server, added
/// digit by digit. A mailbox of which an older copy was put back gives its places in the order out again; the start
/// tells them apart. And within a start, mailboxes, and the lives of one, are told apart by their own part.
std::string generation_now(std::string_view mailbox, std::string_view start);
/// "The generation, then the order": both in base 32, the first of fixed length, so no two are alike.
std::string make_unique_id(std::string_view generation, OrderKey order);
/// The order in what make_unique_id() may have made, in this generation or another; nothing if it can't have.
std::optional<OrderKey> order_in(std::string_view unique_id);
/// Whether the order in its unique-id tells where the message is: then it needs no entry in the index while it is live.
bool is_found_by_order(const Message& message);

namespace keys {
std::string mailbox();
std::string message(OrderKey order);
std::string retained(Timestamp expires, OrderKey order);
std::string unique_id(std::string_view unique_id);
Timestamp expiry_of(std::string_view retained_key);
engine::KeyRange messages();                      ///< all live messages
engine::KeyRange messages(OrderKey first);        ///< from this one on
engine::KeyRange retained();                      ///< all retained messages
engine::KeyRange retained_until(Timestamp last);  ///< those that expire at `last` or before
engine::KeyRange unique_ids();                    ///< the whole index
}  // namespace keys

std::string encode(const MailboxRecord& record);
std::string encode(const Message& message);
std::string encode(const RetainedMessage& retained);
std::string encode(const Place& place);

Result<MailboxRecord> decode_mailbox(std::string_view value);
Result<Message> decode_message(engine::EntryView entry);
/// The same, into a fresh `message`: a list has thousands.
Result<> decode_message(engine::EntryView entry, Message& message);
Result<RetainedMessage> decode_retained(engine::EntryView entry);
Result<Place> decode_place(std::string_view value);

}  // namespace poplar::mailstore
