#pragma once
// The mail store's values (storage-format.md, "Mail store"), and unique-ids. Decoders take any bytes: what can't
// be decoded is answered with corrupt.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "encryption/mail_key.h"
#include "mailstore/message.h"

namespace poplar::mailstore {

/// A mailbox, as it is known without reading its messages.
struct MailboxRecord {
    std::string name;        ///< "" for INBOX
    OrderKey next_order{1};  ///< also its UIDNEXT
    MailboxTotals totals;
    std::uint64_t list_changes = 0;  ///< ListVersion::list_changes
    ModSequence changed{};           ///< the last change that it was part of (HIGHESTMODSEQ)
    std::uint32_t uid_validity = 1;
    bool subscribed = false;
    SpecialUse use = SpecialUse::none;
    bool removed = false;  ///< nobody finds it any more; its messages are on their way to the retained area
};

/// Of the mailboxes beside INBOX.
struct OtherMailboxes {
    MailboxId next{kInbox.value + 1};
    std::uint64_t mailboxes = 0;             ///< that can be found
    std::uint64_t removed = 0;               ///< that still have messages
    std::uint64_t messages = 0, octets = 0;  ///< in all of them
    std::uint32_t last_uid_validity = 0;     ///< no mailbox has a later one
};

/// Of the change log's rows.
struct ChangeLog {
    std::uint64_t rows = 0;
    engine::ChangeNumber forgotten{};  ///< what happened up to this change can't be told any more
    Timestamp oldest{};                ///< no row is older
};

/// Rows that were made of messages because somebody asked for what they say.
struct KeptRows {
    std::uint64_t structures = 0;  ///< bodies whose structure has a row
    std::uint64_t threads = 0;     ///< bodies whose thread has one
    bool operator==(const KeptRows&) const = default;
};

/// How long an account keeps deleted messages, if it ever was another time than Options::retention.
struct Retention {
    std::chrono::seconds keep{};
    bool applied = false;  ///< to the messages that were deleted before, too
    bool operator==(const Retention&) const = default;
};

/// The account's mail is encrypted at rest, or was.
struct AccountEncryption {
    /// The values stand in the records.
    enum class State : std::uint8_t {
        sealing = 1,  ///< new mail is sealed, and what was there before is being sealed
        sealed = 2,   ///< all of it is
        opening = 3,  ///< new mail is in clear, and what was sealed is being opened
    };
    encryption::PublicKey key{};
    State state = State::sealing;
    Timestamp sealed{};  ///< of a sealed one: since when nothing of its mail is in clear on the disk
    bool seals() const { return state != State::opening; }
    bool operator==(const AccountEncryption&) const = default;
};

/// An account, as it is known without reading its mail: all that STAT, a delivery to INBOX and a deletion from it need
/// is this one record.
struct AccountRecord {
    std::string generation;  ///< a part of every unique-id made here; empty before the first write
    MailboxRecord inbox;
    std::uint64_t retained_messages = 0, retained_octets = 0;
    Timestamp earliest_expiry{};  ///< no retained message expires before it; 0 if there is none
    bool closed = false;          ///< for good: its owner is gone, and nothing is appended any more

    std::optional<OtherMailboxes> others;  ///< nothing: none was ever made, not even the default ones
    std::optional<ChangeLog> log;  ///< nothing: all that ever happened were deliveries to INBOX, which need no rows
    KeptRows kept;
    std::uint64_t views = 0;  ///< rows of views, of all mailboxes; a mailbox without any has the classic one alone
    std::optional<Retention> retention;                   ///< nothing: Options::retention
    std::shared_ptr<const AccountEncryption> encryption;  ///< null: its mail is in clear
    bool early = false;  ///< it was read from a record that is older than the change log

    AccountTotals totals() const;
};

/// Counts a live message in, or out. Counters never wrap, even if damage has put them wrong; check() finds that.
void count_in(MailboxTotals& totals, const Message& message);
void count_in(MailboxTotals& totals, const StoredMessage& message);
void count_out(MailboxTotals& totals, const Message& message);
void count_out(MailboxTotals& totals, const StoredMessage& message);
/// Takes the messages that a view hides out of all; adds those of another mailbox.
void take_out(MailboxTotals& totals, const MailboxTotals& hidden);
void put_in(MailboxTotals& totals, const MailboxTotals& others);
void subtract(std::uint64_t& counter, std::uint64_t by);

/// The UIDVALIDITY of a mailbox that is made now, or begins anew (RFC 9051 s2.3.1.1: later ones are greater).
std::uint32_t uid_validity_at(Timestamp now, std::uint32_t last = 0);

/// Where a unique-id's message is.
struct Place {
    enum class Area : std::uint8_t { live = 0, retained = 1 };
    Area area = Area::live;
    MailboxId mailbox = kInbox;
    OrderKey order;
    Timestamp expires{};  ///< of a retained message: part of its key
    bool operator==(const Place&) const = default;
};
Place live_place(const StoredMessage& message);
Place place_of(const RetainedMessage& retained);

inline constexpr std::size_t kGenerationLength = 12;  // 60 random bits

/// 1-70 octets in 0x21-0x7e (RFC 1939 s7).
bool is_unique_id(std::string_view text);
/// The beginning of unique-ids that are made now: the account's generation and that of this start of the server, added
/// digit by digit. If an older copy of an account is put back, its places are given out again: the start's generation
/// tells them apart. Within a start, the account's tells accounts apart, and the lives of one.
std::string generation_now(std::string_view account, std::string_view start);
/// "The generation, then the place": both in base 32, the first of fixed length, so no two are alike.
std::string make_unique_id(std::string_view generation, MailboxId mailbox, OrderKey order);
/// The place in a unique-id that make_unique_id() may have made, in this generation or another; nothing if it can't
/// have.
std::optional<Place> place_in(std::string_view unique_id);
/// Whether its unique-id tells where the message is: then it needs no entry in the index while it is live.
bool is_found_by_place(const StoredMessage& message);

std::string encode(const AccountRecord& record);
std::string encode(const MailboxRecord& record);
std::string encode(const StoredMessage& message);
std::string encode(const RetainedMessage& retained);
std::string encode(const Place& place);
/// A number in a row of its own: a name's mailbox, a UID's order, a body's count of messages.
std::string encode_number(std::uint64_t value);

Result<AccountRecord> decode_account(std::string_view value);
Result<MailboxRecord> decode_mailbox(std::string_view value);
Result<StoredMessage> decode_message(engine::EntryView entry);
/// The same, into a fresh `message`: a list has thousands, and POP needs no more of each.
Result<> decode_message(engine::EntryView entry, Message& message);
Result<RetainedMessage> decode_retained(engine::EntryView entry);
Result<Place> decode_place(std::string_view value);
Result<std::uint64_t> decode_number(std::string_view value);

}  // namespace poplar::mailstore
