#pragma once
// A message, a mailbox, and what is counted of them. One account is one partition; keys are in storage-format.md.
//
// Messages are stored in POP3 wire form: CRLF line ends, byte-stuffed (RFC 1939 s3), without the final ".".
#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/strong.h"
#include "engine/engine.h"

namespace poplar::mailstore {

using AccountId = engine::PartitionId;
/// Names a mailbox in its account for ever, whatever it is called: RFC 8474's MAILBOXID.
using MailboxId = Strong<struct MailboxIdTag, std::uint32_t>;
inline constexpr MailboxId kInbox{1};
/// A message's place in its mailbox: later deliveries are greater, never reused. Not the POP message number.
using OrderKey = Strong<struct OrderKeyTag>;
/// IMAP's number of a message in its mailbox (RFC 9051 s2.3.1.1): its order, unless it came back out of order.
using Uid = Strong<struct UidTag>;
/// The change of the account that a message or a mailbox was last part of (RFC 7162 s3.1).
using ModSequence = engine::ChangeNumber;

/// Names a conversation in its account for ever (RFC 8474 s5.2's THREADID).
struct ThreadId {
    std::array<char, 16> octets{};
    /// 32 hexadecimal digits.
    std::string text() const;
    auto operator<=>(const ThreadId&) const = default;
};

/// One stored message, without its bytes: what a POP session keeps of each.
struct Message {
    OrderKey order;
    std::string unique_id;  ///< 1-70 octets in 0x21-0x7e, for ever this message's (RFC 1939 s7 UIDL)
    engine::BodyId body;
    std::uint64_t octets = 0;       ///< as LIST and STAT report it: CRLF counted as two, unstuffed (RFC 1939 s11)
    std::uint64_t wire_octets = 0;  ///< as sent: with byte-stuffing; equal to `octets` if no line is stuffed
    Timestamp received{};
    /// 0: its header is ASCII, as nearly every one is. Else its octets as a client without UTF-8 gets them
    /// (mail/downgrade.h).
    std::uint64_t ascii_octets = 0;
    /// The codec needs it to read the body; null: the body is stored as it is.
    std::shared_ptr<const std::string> key = nullptr;
};

/// RFC 9051 s2.3.2. The values stand in the records.
enum class Flag : std::uint8_t { seen = 1, answered = 2, flagged = 4, deleted = 8, draft = 16 };
inline constexpr std::uint8_t kAllFlags = 31;

/// A message's flags as they are stored: the keywords as bits, which the mailbox's table gives names to.
struct Flags {
    std::uint8_t system = 0;
    std::string keywords;  ///< bit n % 8 of octet n / 8: the table's keyword n; the last octet is not 0
    bool has(Flag flag) const { return (system & static_cast<std::uint8_t>(flag)) != 0; }
    bool operator==(const Flags&) const = default;
};

/// All that is recorded of a message.
struct StoredMessage : Message {
    MailboxId mailbox = kInbox;
    Uid own_uid{};  ///< 0: its order is its UID
    Flags flags{};
    ModSequence added{};    ///< the change that brought it to its mailbox; 0: before that was recorded
    ModSequence changed{};  ///< the last one of its flags or place; 0: none since it was added
    bool copied = false;    ///< other messages may have the same body: a row counts them
    /// Where the message got another body since, because its account's mail was encrypted, or decrypted for good: the
    /// one that it came with. Else 0.
    engine::BodyId first_body{};

    /// The same for ever, and for copies (EMAILID).
    engine::BodyId lasting_id() const { return first_body.value != 0 ? first_body : body; }
    Uid uid() const { return own_uid.value != 0 ? own_uid : Uid(order.value); }
    ModSequence mod_sequence() const { return std::max({added, changed, ModSequence(1)}); }
};

/// A deleted message in the retained area.
struct RetainedMessage {
    StoredMessage message;
    Timestamp deleted{};
    Timestamp expires{};
    std::string reason;   ///< by which means it was deleted: "pop3", "admin", ...
    std::string mailbox;  ///< what its mailbox was called; "" for INBOX
    std::vector<std::uint32_t> devices =
        {};                   ///< that deleted it by POP; none: the account's own password, or not by POP
    bool kept_twice = false;  ///< as long as others are kept
};

/// Deleted messages of some time, all of whose conditions hold.
struct DeletionFilter {
    Timestamp since = Timestamp::min(), until = Timestamp::max();  ///< both are within
    std::string reason = {};                                       ///< "": any
    std::optional<std::uint32_t> device = {};                      ///< one of RetainedMessage::devices
    bool by_no_device = false;                                     ///< only those that no device deleted
    bool fits(const RetainedMessage& retained) const;
};

/// Of the live messages of one mailbox.
struct MailboxTotals {
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
    std::uint64_t utf8_messages = 0;  ///< those with ascii_octets
    std::int64_t ascii_growth = 0;    ///< the sum of what they have more in ascii_octets than in octets
    std::uint64_t seen = 0;           ///< those with this flag, so that mail which only POP reads changes no counter
    std::uint64_t deleted = 0;        ///< those with this flag
    std::uint64_t unseen() const { return messages - seen; }
    std::uint64_t ascii_octets() const { return octets + static_cast<std::uint64_t>(ascii_growth); }
    bool operator==(const MailboxTotals&) const = default;
};

/// Of a whole account.
struct AccountTotals {
    std::uint64_t messages = 0;  ///< live ones, in all mailboxes
    std::uint64_t octets = 0;
    std::uint64_t retained_messages = 0;
    std::uint64_t retained_octets = 0;
    bool operator==(const AccountTotals&) const = default;
};

/// RFC 6154 s2. The values stand in the records.
enum class SpecialUse : std::uint8_t { none = 0, drafts = 1, sent = 2, junk = 3, trash = 4, archive = 5 };

/// A mailbox as others see it.
struct Mailbox {
    MailboxId id;
    std::string name;  ///< "INBOX", or what canonical_name() gives
    SpecialUse use = SpecialUse::none;
    bool subscribed = false;
    std::uint32_t uid_validity = 1;
    Uid uid_next;
    ModSequence changed;  ///< the last change that it was part of (HIGHESTMODSEQ)
    MailboxTotals totals;
};

/// How messages' flags are to change.
struct FlagChange {
    enum class How : std::uint8_t { set, add, remove };
    How how = How::set;
    std::uint8_t system = 0;
    std::vector<std::string> keywords = {};
    std::optional<ModSequence> unchanged_since = {};  ///< a message with a later one is refused (RFC 7162 s3.1.3)
};
struct FlagOutcome {
    ModSequence number;        ///< the last change that was made; 0: all flags were as wanted
    std::vector<Uid> refused;  ///< changed since
};

/// A message that was copied or moved: what it was called, and what the copy is called where it went.
struct Transferred {
    Uid from, to;
    bool operator==(const Transferred&) const = default;
};

/// Names one state of a mailbox's list of messages: two lists of the same version are the same. All of it stands in the
/// mailbox's record and changes in the same commit as the list, so it means the same to every process and after a
/// restart.
struct ListVersion {
    std::string generation;  ///< of the account; a new one after a purge or a repair
    OrderKey next_order{1};
    std::uint64_t messages = 0, octets = 0;
    std::uint64_t list_changes = 0;  ///< messages that left the list or came back to an earlier place; never goes back

    /// Whether the list was `older` once and has only got messages at its end since: those of `older` come first, in
    /// their order, and those from `older.next_order` on follow.
    bool continues(const ListVersion& older) const {
        return older.list_changes == list_changes && older.messages <= messages && older.generation == generation &&
               (older.messages != messages || older.octets == octets);
    }
    /// Makes it the version after this message was removed, if nothing else happened. Each removal adds to
    /// list_changes, so a list that continues the outcome has had these removals and no others.
    void take_out(const Message& message) {
        --messages;
        octets -= message.octets;
        ++list_changes;
    }
    bool operator==(const ListVersion&) const = default;
};

}  // namespace poplar::mailstore
