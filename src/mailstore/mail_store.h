#pragma once
// What a mailbox and a message are, over any engine. One account is one partition; keys are in docs/storage-format.md.
//
// Messages are stored in POP3 wire form: CRLF line ends, byte-stuffed (RFC 1939 s3), without the final ".".
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/strong.h"
#include "engine/engine.h"

namespace poplar::mailstore {

using AccountId = engine::PartitionId;
/// A message's place in its mailbox: later deliveries are greater, never reused. Not the POP message number.
using OrderKey = Strong<struct OrderKeyTag>;

/// One stored message, without its bytes.
struct Message {
    OrderKey order;
    std::string unique_id;  ///< 1-70 octets in 0x21-0x7e, for ever this message's (RFC 1939 s7 UIDL)
    engine::BodyId body;
    std::uint64_t octets = 0;       ///< as LIST and STAT report it: CRLF counted as two, unstuffed (RFC 1939 s11)
    std::uint64_t wire_octets = 0;  ///< as stored: with byte-stuffing; equal to `octets` if no line is stuffed
    Timestamp received{};
    /// 0: its header is ASCII, as nearly every one is. Else its octets as a client without UTF-8 gets them
    /// (mail/downgrade.h).
    std::uint64_t ascii_octets = 0;
};

/// A deleted message in the retained area.
struct RetainedMessage {
    Message message;
    Timestamp deleted{};
    Timestamp expires{};
    std::string reason;  ///< who deleted it: "pop3", "admin", ...
};

struct MailboxTotals {
    std::uint64_t messages = 0;
    std::uint64_t octets = 0;
    std::uint64_t retained_messages = 0;
    std::uint64_t retained_octets = 0;
    std::uint64_t utf8_messages = 0;  ///< those with ascii_octets
    std::int64_t ascii_growth = 0;    ///< the sum of what they have more in ascii_octets than in octets
    std::uint64_t ascii_octets() const { return octets + static_cast<std::uint64_t>(ascii_growth); }
    bool operator==(const MailboxTotals&) const = default;
};

/// Names one state of a mailbox's list of messages: two lists of the same version are the same. All of it stands in the
/// mailbox's record and changes in the same commit as the list, so it means the same to every process and after a
/// restart.
struct ListVersion {
    std::string generation;  ///< of the mailbox; a new one after a purge or a repair
    OrderKey next_order{1};
    std::uint64_t messages = 0, octets = 0;

    /// Counts what happened to the list but for deliveries, which move both numbers by one. A removal takes one
    /// message away; a restore adds one, and passes over two places in the order. So it never goes back.
    std::uint64_t upheavals() const { return next_order.value - messages; }
    /// Whether the list was `older` once and got nothing but deliveries since: its messages come first, in their
    /// order, and those from `older.next_order` on follow.
    bool continues(const ListVersion& older) const {
        return older.upheavals() == upheavals() && older.messages <= messages && older.generation == generation &&
               (older.messages != messages || older.octets == octets);
    }
    /// What it is when this message was removed since, and nothing else happened: each of so many removals left its
    /// mark, so a list that continues the outcome has had these and no others.
    void take_out(const Message& message) {
        --messages;
        octets -= message.octets;
    }
    bool operator==(const ListVersion&) const = default;
};

/// A message's content on its way in: wire form, shared by all its recipients.
struct Content {
    std::shared_ptr<const engine::StagedBody> staged;  ///< wire form
    std::uint64_t octets = 0;                          ///< its size unstuffed
};

/// One message to append: the recipient's own head (trace header fields in wire form, CRLF-ended, no line beginning
/// with ".") in front of the content.
struct NewMessage {
    std::string head;
    Content content;
    std::string unique_id;  ///< empty: a new one is made; else 1-70 octets kept from where it was imported from
    std::uint64_t ascii_octets = 0;  ///< as Message::ascii_octets, of head and content
};

struct Options {
    std::chrono::seconds retention = std::chrono::days(30);  ///< how long deleted mail is kept
    std::size_t commit_messages = 400;                       ///< appends to one account that share a commit, at most
    std::uint64_t commit_octets = 8u << 20;  ///< and how many octets of theirs go through the engine's log
    std::uint64_t inline_octets = 1u << 20;  ///< a larger body does not: the engine keeps it beside the log
    std::size_t forget_messages = 1000;      ///< expired or purged messages a commit, at most
    std::size_t list_cache = 16u << 20;      ///< octets of lists of messages kept for the next session
    std::size_t hot_mailboxes = 16'384;      ///< mailbox records kept in memory between changes, about 300 octets each
};

/// What becomes of a purged account.
enum class Afterwards { closed, open };

/// One POP session's exclusive hold on an account's maildrop (RFC 1939 s4) and its view of it as of login: what
/// arrives or goes later changes nothing in it. Used by one session, on one thread.
class Maildrop {
public:
    virtual ~Maildrop() = default;                    ///< gives the lock back
    virtual std::uint64_t message_count() const = 0;  ///< as of login
    virtual std::uint64_t octets() const = 0;         ///< as of login
    virtual std::uint64_t ascii_octets() const = 0;   ///< as of login, for a client without UTF-8
    virtual bool has_utf8() const = 0;                ///< as of login: whether any message has ascii_octets
    /// Of the list as of login. Null once that turned out not to be what the mailbox's counters say.
    virtual const ListVersion* version() const = 0;
    /// All messages as of login, oldest first: message number n is element n-1. Loaded at the first call. When that
    /// comes late, and somebody else removed messages before it, this and the next two fail with conflict. Should they
    /// not be what the mailbox's counters said (check() would answer corrupt), the counts above follow them from now
    /// on.
    virtual Task<Result<const std::vector<Message>*>> messages() = 0;
    /// The messages from number `older.messages` + 1 on: what came since the list was `older`, which version()
    /// continues. Reads no others. Valid until the next call of this or of messages(). Errors: corrupt (they do not
    /// add up: messages() has what there is).
    virtual Task<Result<std::span<const Message>>> messages_since(ListVersion older) = 0;
    /// The message with this number, for a caller who knows its unique-id: reads no others. Valid as long as the
    /// maildrop.
    virtual Task<Result<const Message*>> message(std::uint32_t number, std::string unique_id) = 0;
    /// Opens a message's bytes in wire form. Works even if another party deleted it meanwhile. Errors: corrupt,
    /// not_found (its days in the retained area are over).
    virtual Task<Result<std::unique_ptr<engine::BodyReader>>> open(const Message& message) = 0;
    /// As BodySeries::try_open_whole.
    virtual std::unique_ptr<engine::BodyReader> try_open_whole(const Message& message) = 0;
    /// As BodySeries::rest; also lets go of a snapshot that has grown old.
    virtual void rest() {}
    /// Moves the messages with these numbers (1-based, ascending) to the retained area: all or none, durable when it
    /// returns. Those that somebody else removed meanwhile count as removed. Errors: invalid (not such numbers), denied
    /// (the lock was lost).
    virtual Task<Result<>> remove(std::vector<std::uint32_t> numbers) = 0;
};

/// All functions may be called from any thread with an executor and resume on it. Beside those named, any call may fail
/// with io, no_space, corrupt or cancelled; a change, in a cluster, with conflict or outcome_unknown when repeating it
/// did not help. A change that has begun comes to its end even if its caller is cancelled. Every caller's execution
/// context must outlive all changes under way.
class MailStore {
public:
    MailStore(engine::Engine& engine, const Clock& clock, Options options);
    ~MailStore();

    /// Appends to INBOX. When it succeeds the message survives loss of power: 250 may be answered (RFC 5321 s6.1).
    /// Messages that arrive together for one account share a commit. Errors: invalid (a given unique-id is malformed),
    /// exists (the account has a message with the given unique-id, live or retained, or the given one begins like those
    /// that the mailbox makes itself), not_found (the account was closed).
    Task<Result<Message>> append(AccountId account, NewMessage message);

    /// Opens the classic view of INBOX for POP3. Errors: busy (another session holds it).
    Task<Result<std::unique_ptr<Maildrop>>> open_maildrop(AccountId account);

    /// Zeros for an account that never got mail.
    Task<Result<MailboxTotals>> totals(AccountId account);
    /// Live messages in order, at most `limit`, beginning after `after`.
    Task<Result<std::vector<Message>>> list(AccountId account, OrderKey after, std::size_t limit);
    /// By unique-id, live or retained. Errors: not_found.
    Task<Result<Message>> find(AccountId account, std::string unique_id);
    /// As Maildrop::open.
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(AccountId account, Message message);
    /// Moves messages to the retained area: all or none. Those that are not there count as removed.
    Task<Result<>> remove(AccountId account, std::vector<std::string> unique_ids, std::string reason);

    /// What was deleted and is still kept, first to expire first: at most `limit`, after skipping `offset`.
    Task<Result<std::vector<RetainedMessage>>> list_retained(AccountId account, std::size_t offset, std::size_t limit);
    /// Puts a retained message back where it was: same unique-id, same place in the order. Errors: not_found.
    Task<Result<Message>> restore(AccountId account, std::string unique_id);

    /// Forgets retained messages whose days are over at `now`. Returns how many.
    Task<Result<std::uint64_t>> expire(AccountId account, Timestamp now);
    /// Moves live messages that were received at `last` or before to the retained area, reason "expire". Returns how
    /// many. One read of one entry for an account that has none, so that it may be asked of every account. A message
    /// that a wrong clock has received in the future goes with the first behind it that goes.
    Task<Result<std::uint64_t>> expire_live(AccountId account, Timestamp last);
    /// Retained messages that a wrong clock has deleted in the future: they are kept as if they had been deleted now,
    /// and not for years. Returns how many. One read for an account that has no retained messages, two for nearly any
    /// other.
    Task<Result<std::uint64_t>> mend_times(AccountId account, Timestamp now);
    /// The account is gone: nothing is appended any more, for good. Mail may be on its way to it that was accepted
    /// before, and nobody would ever find it. Its messages stay as they are.
    Task<Result<>> close(AccountId account);
    /// Forgets everything of an account at once (its address was removed and its days are over), and closes it in the
    /// commit that ends this. One that was closed before stays so.
    Task<Result<>> purge(AccountId account, Afterwards afterwards = Afterwards::closed);
    /// Counts the account's messages anew and compares with its counters and its index. Errors: corrupt (they differ;
    /// says how).
    Task<Result<>> check(AccountId account);
    /// Makes counters and index fit the messages that are there, and begins a new generation of unique-ids: for after a
    /// rebuild that could not read the whole log. True if anything did not fit.
    Task<Result<bool>> repair(AccountId account);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::mailstore
