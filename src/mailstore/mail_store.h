#pragma once
// The mail of all accounts, over any engine: mailboxes with messages, what was deleted and is still kept, and POP's
// views of them.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"
#include "mail/structure.h"
#include "mailstore/change_row.h"
#include "mailstore/content.h"
#include "mailstore/document.h"
#include "mailstore/maildrop.h"
#include "mailstore/message.h"
#include "mailstore/view.h"

namespace poplar::mailstore {

/// One message to append: the recipient's own head (trace header fields in wire form, CRLF-ended, no line beginning
/// with ".") in front of the content.
struct NewMessage {
    std::string head;
    Content content;
    std::string unique_id;  ///< empty: a new one is made; else 1-70 octets kept from where it was imported from
    std::uint64_t ascii_octets = 0;  ///< as Message::ascii_octets, of head and content
    MailboxId mailbox = kInbox;
    std::uint8_t flags = 0;                  ///< Flags::system
    std::vector<std::string> keywords = {};  ///< as FlagChange::keywords
    std::optional<Timestamp> received = {};  ///< nothing: now. Another time changes nothing about its place
};

/// A fact that is to be remembered.
struct NewFact {
    std::string name, value;
    Timestamp expires{};
    bool renew = false;  ///< it replaces one that is remembered still
};

/// The work of one delivery in an account: one commit, all or nothing.
struct Filing {
    struct Item {
        NewMessage message;                 ///< its own `mailbox` is not read
        std::string mailbox;                ///< as somebody typed it
        bool create = false;                ///< the mailbox is made if it is not there; else the message goes to INBOX
        SpecialUse use = SpecialUse::none;  ///< of a mailbox that is made
    };
    std::vector<Item> items;
    std::vector<NewFact> facts;
};

struct Options {
    std::chrono::seconds retention = std::chrono::days(30);  ///< how long deleted mail is kept
    std::uint64_t retained_limit = 0;                        ///< octets of an account's deleted mail; 0: no limit
    std::size_t commit_messages = 400;                       ///< appends to one account that share a commit, at most
    std::uint64_t commit_octets = 8u << 20;  ///< and how many octets of theirs go through the engine's log
    std::uint64_t inline_octets = 1u << 20;  ///< a larger body does not: the engine keeps it beside the log
    std::size_t copied_messages = 10'000;    ///< that one copy() takes, which is one commit
    std::size_t forget_messages = 1000;      ///< expired or purged messages a commit, at most
    std::size_t list_cache = 16u << 20;      ///< octets of lists of messages kept for the next session
    std::size_t uid_list_cache = 32u << 20;  ///< octets of lists of UIDs and flags kept for the next who asks
    std::size_t hot_accounts = 16'384;  ///< accounts' records kept in memory between changes, about 500 octets each
    std::uint64_t change_log_rows = 10'000;  ///< an account's, about; a reader that comes later reads all anew
    std::chrono::seconds change_log_age = std::chrono::days(30);  ///< and how long they are kept
    std::size_t mailboxes = 10'000;                               ///< of an account, at most
    std::vector<std::string> default_mailboxes = {};              ///< as parse_default_mailbox() has them
    std::chrono::seconds view_unused = std::chrono::days(90);     ///< then a view holds back nothing any more
    std::size_t documents = 1000;                                 ///< of an account, at most
    std::shared_ptr<const Codec> codec = nullptr;                 ///< null: bodies are stored as they are
};

enum class Subscription { no, yes };
/// Names of an account that stay subscribed when their mailboxes go, at most.
inline constexpr std::size_t kMostLostSubscriptions = 1000;

/// A message by its UID.
struct MessageAt {
    MailboxId mailbox;
    Uid uid;
};

/// The answer to what happened since a change.
struct ChangeList {
    ModSequence number;      ///< it has all up to this change: the next question begins here
    bool forgotten = false;  ///< it is too long ago: the reader has to read everything anew, as it is at `number`
    std::vector<Change> changes{};  ///< in their order
};

/// A message in a list that IMAP wants: 16 octets.
struct ListedMessage {
    std::uint32_t uid = 0;
    std::uint32_t flags = 0;  ///< system flags in the low octet; above, which of keyword_sets
    ModSequence changed{};
};
struct MessageList {
    std::vector<ListedMessage> messages;        ///< by UID
    std::vector<std::string> keyword_sets{""};  ///< bits, which keywords() names
};

struct UsedView {
    MailboxView id;
    Timestamp used{};  ///< when it was last opened, to a day
};

/// The maildrop that a POP session asks for.
struct WantedMaildrop {
    WantedMaildrop(ViewId view_id = kClassicView, std::vector<MailboxId> ids = {},
                   WhenAllDeleted when = WhenAllDeleted::remove)
        : view(view_id), mailboxes(std::move(ids)), when_all_deleted(when) {}
    ViewId view;
    std::vector<MailboxId> mailboxes;          ///< none: INBOX; several: one maildrop with the messages of all
    WhenAllDeleted when_all_deleted;           ///< ... if it is the only view: then its deletions are all there are
    std::optional<std::uint32_t> device = {};  ///< whose session it is; nothing: the account's own password
    encryption::MailKeyPtr key = {};           ///< reads encrypted mail; null: that can't be read
};

struct Document {
    DocumentInfo info;
    std::string content;
};

/// How far an account's mail is encrypted.
struct EncryptionStatus {
    /// `on`: all of it is. `ending`: new mail is in clear again, and what was encrypted is being decrypted.
    enum class State { off, beginning, on, ending };
    State state = State::off;
    encryption::PublicKey key{};           ///< unless it is off
    std::optional<Timestamp> sealed = {};  ///< if it is on: since when nothing is in clear on the disk
};

/// An account's messages, live and retained.
struct SealedCount {
    std::uint64_t sealed = 0, in_clear = 0;
};

/// One step of encrypting what was there before, or of decrypting it.
struct Converted {
    std::uint64_t messages = 0, octets = 0;
    std::uint64_t unreadable = 0;  ///< they stay as they are
    std::string next;              ///< to go on from; "": that was the last step
};

/// The state of an account after a purge.
enum class Afterwards { closed, open };

/// All functions may be called from any thread with an executor and resume on it. Beside those named, any call may fail
/// with io, no_space, corrupt or cancelled; a change, in a cluster, with conflict or outcome_unknown when repeating it
/// did not help. A change that has begun comes to its end even if its caller is cancelled. Every caller's execution
/// context must outlive all changes under way.
class MailStore {
public:
    MailStore(engine::Engine& engine, const Clock& clock, Options options);
    ~MailStore();

    /// `listener` is called after each commit of an account, in their order, with what the account holds then, and
    /// before whoever made it knows that it is done. It must not wait. To be called before anything else is.
    using TotalsListener = std::function<void(AccountId account, const AccountTotals& totals)>;
    void on_totals(TotalsListener listener);

    /// Takes a message's content as it comes, holding no more than a bounded part in memory. Errors of its functions
    /// are those of BodyWriter's.
    std::unique_ptr<ContentWriter> stage(std::uint64_t size_hint = 0);
    /// Reads content back before anybody has it.
    Result<std::unique_ptr<engine::BodyReader>> read(const Content& content);
    /// Appends to a mailbox. When it succeeds the message survives loss of power: 250 may be answered (RFC 5321 s6.1).
    /// Messages that arrive together for one account share a commit. Errors: invalid (a given unique-id or keyword is
    /// malformed), exists (the account has a message with the given unique-id, live or retained, or the given one
    /// begins like those that the account makes itself), not_found (the account was closed, or there is no such
    /// mailbox), too_large (its keywords are more than the mailbox may have).
    Task<Result<Message>> append(AccountId account, NewMessage message);
    /// Appends several in one commit: all or none. With `replaced`, that message goes to the retained area in the same
    /// commit (RFC 8508). Errors: as append()'s; not_found (also: `replaced` is not there), too_large (more than
    /// Options::commit_messages).
    Task<Result<std::vector<Message>>> append_together(AccountId account, std::vector<NewMessage> messages,
                                                       std::optional<MessageAt> replaced = std::nullopt);
    /// Appends several, with what has to be remembered of them. Each goes once into a mailbox that is named twice.
    /// Errors: as append()'s; invalid (a fact's name), too_large (a fact's value), and then nothing is done.
    Task<Result<std::vector<Message>>> file(AccountId account, Filing filing);

    /// Opens views of mailboxes for POP3. Of several mailboxes, those that are gone are passed over. A view beside the
    /// classic one whose row is not there, or can't be read, is made anew and shows all: damage took it. Errors: busy
    /// (another session holds one of the views), not_found (no such mailbox).
    Task<Result<std::unique_ptr<Maildrop>>> open_maildrop(AccountId account, WantedMaildrop wanted = {});
    /// Makes a view that shows what was received at `since` or later, if there is none. `counts`: as
    /// ViewRecord::counts, which is set in any case. Errors: not_found (no such mailbox).
    Task<Result<>> make_view(AccountId account, MailboxView view, Timestamp since, bool counts = true);
    /// With the last one of a mailbox beside the classic one, what was deleted in that leaves the mailbox, if it is
    /// wanted so. Returns how many messages left.
    Task<Result<std::uint64_t>> drop_view(AccountId account, MailboxView view,
                                          WhenAllDeleted when = WhenAllDeleted::remove);
    /// The account's views. A mailbox of which there is none has the classic one alone.
    Task<Result<std::vector<UsedView>>> views(AccountId account);
    /// Moves what all views of a mailbox that count have deleted to the retained area: those that can delete, were used
    /// within Options::view_unused, and are not among `ignored`. Returns how many messages.
    Task<Result<std::uint64_t>> let_go(AccountId account, std::vector<ViewId> ignored = {});

    /// Zeros for an account that never got mail.
    Task<Result<AccountTotals>> totals(AccountId account);
    /// INBOX's live messages in order, at most `limit`, beginning after `after`.
    Task<Result<std::vector<StoredMessage>>> list(AccountId account, OrderKey after, std::size_t limit);
    /// By unique-id, live or retained, in whatever mailbox. Errors: not_found.
    Task<Result<StoredMessage>> find(AccountId account, std::string unique_id);
    /// By its body, in whatever mailbox, live or retained: reads all the account's entries until it is found. Passes
    /// over what is damaged. Errors: not_found.
    Task<Result<StoredMessage>> find(AccountId account, engine::BodyId body);
    /// As Maildrop::open. `key`: of an account whose mail is encrypted. Errors: denied (the message is encrypted, and
    /// the key is not given).
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(AccountId account, Message message,
                                                           encryption::MailKeyPtr key = nullptr);
    /// Moves messages to the retained area: all or none. Those that are not there count as removed.
    Task<Result<>> remove(AccountId account, std::vector<std::string> unique_ids, std::string reason);

    // Mailboxes. Names are as somebody typed them. Errors of all of them: invalid (no name can be so), not_found (no
    // mailbox is called so; the account was closed).

    /// INBOX, then the others by name.
    Task<Result<std::vector<Mailbox>>> mailboxes(AccountId account);
    Task<Result<Mailbox>> mailbox(AccountId account, std::string name);
    /// The one that somebody means who types a name for POP: by its name, in any case if none is called exactly so, or
    /// by its special use. One of the default mailboxes that the account has not got yet is made; for any other name
    /// nothing is. Errors: not_found, but no others of the above.
    Task<Result<Mailbox>> find_mailbox(AccountId account, std::string text);
    /// Adds those above it, too, that are not there. Errors: exists, too_large (it has Options::mailboxes).
    Task<Result<Mailbox>> add_mailbox(AccountId account, std::string name, SpecialUse use = SpecialUse::none);
    /// Renames what is below it, too, in one commit. Errors: exists, denied (INBOX), too_large.
    Task<Result<>> rename_mailbox(AccountId account, std::string from, std::string to);
    /// A subscription outlives its mailbox (RFC 9051 s6.3.5): such a name can be set to `no`, or to `yes` without
    /// effect.
    Task<Result<>> set_subscription(AccountId account, std::string name, Subscription subscription);
    /// Subscribed names whose mailboxes were removed, in order: kMostLostSubscriptions at most. A subscription to a
    /// mailbox that goes when there are so many goes with it.
    Task<Result<std::vector<std::string>>> lost_subscriptions(AccountId account);
    /// Errors: denied (INBOX).
    Task<Result<>> set_use(AccountId account, std::string name, SpecialUse use);
    /// One commit removes it; its messages may take several to get to the retained area. Mailboxes below it stay.
    /// Errors: denied (INBOX).
    Task<Result<>> remove_mailbox(AccountId account, std::string name, std::string reason);

    // Messages of any mailbox, by UIDs. UIDs may come in any order; those that no message has are passed over. Each
    // commit takes at most Options::commit_messages of them, and makes its part as a whole or not at all; copy() and
    // move() take Options::copied_messages. Errors: not_found (no mailbox).

    /// In order, at most `limit`, beginning after `after`.
    Task<Result<std::vector<StoredMessage>>> list(AccountId account, MailboxId mailbox, OrderKey after,
                                                  std::size_t limit);
    /// Those with these UIDs, by UID. No error says that there is no such mailbox.
    Task<Result<std::vector<StoredMessage>>> messages(AccountId account, MailboxId mailbox, std::vector<Uid> uids);
    /// All of them, in little memory.
    Task<Result<std::shared_ptr<const MessageList>>> list_uids(AccountId account, MailboxId mailbox);
    /// The names of the bits in Flags::keywords.
    Task<Result<std::vector<std::string>>> keywords(AccountId account, MailboxId mailbox);
    /// Errors: invalid (no keyword), too_large (more keywords than a mailbox may have).
    Task<Result<FlagOutcome>> change_flags(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                           FlagChange change);
    /// How much their copies would hold. Costs as much as reading their entries.
    Task<Result<MailboxTotals>> measure(AccountId account, MailboxId mailbox, std::vector<Uid> uids);
    /// The copies have the same bodies: no octet of them is copied. All or nothing (RFC 9051 s6.4.7). Errors: too_large
    /// (more than Options::copied_messages).
    Task<Result<std::vector<Transferred>>> copy(AccountId account, MailboxId from, std::vector<Uid> uids, MailboxId to);
    /// They keep their unique-ids.
    Task<Result<std::vector<Transferred>>> move(AccountId account, MailboxId from, std::vector<Uid> uids, MailboxId to);
    /// Moves them to the retained area. Returns how many.
    Task<Result<std::uint64_t>> expunge(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                        std::string reason);

    // Knowledge of messages that needs no reading of them again. Each is of the message at the same place; one that
    // can't be read has its error there. Of live messages it is kept: many are asked for together, so that they share a
    // commit.

    /// That of an encrypted message is never kept. Errors: not_found (it was forgotten), denied (as open()).
    Task<std::vector<Result<mail::Structure>>> structures(AccountId account, std::vector<StoredMessage> messages,
                                                          encryption::MailKeyPtr key = nullptr);
    /// Forgets the structures that are kept, for the space: they are made anew when somebody asks.
    Task<Result<>> drop_structures(AccountId account);
    /// An encrypted message is in a thread of its own, because what leads to others would tell whose mail it answers.
    /// Errors: not_found (it was forgotten).
    Task<std::vector<Result<ThreadId>>> threads(AccountId account, std::vector<StoredMessage> messages);

    /// The changes after `since`: about `limit`, but always all that one commit made.
    Task<Result<ChangeList>> changes_since(AccountId account, ModSequence since, std::size_t limit = 1000);
    /// As Engine::watch: a hint that changes_since() may have something.
    std::unique_ptr<engine::Watch> watch(AccountId account, std::function<void()> hint);

    // Documents: named octets of an account, 1 MB at most, that are replaced as a whole. `expected` is the version that
    // a caller has seen, 0 for none: if there is another, the answer is exists. Errors: invalid (the name has no octets
    // or more than 640), not_found, too_large.

    Task<Result<std::vector<DocumentInfo>>> documents(AccountId account);
    Task<Result<Document>> document(AccountId account, std::string name);
    /// Returns its version.
    Task<Result<ModSequence>> put_document(AccountId account, std::string name, std::string content,
                                           std::optional<ModSequence> expected = std::nullopt);
    Task<Result<>> remove_document(AccountId account, std::string name,
                                   std::optional<ModSequence> expected = std::nullopt);

    // Facts: small things that are remembered until they expire, such as to whom a vacation notice was sent.

    /// Nothing: it is not remembered, or not any more.
    Task<Result<std::optional<std::string>>> fact(AccountId account, std::string name);
    /// False, and nothing is changed: it is remembered already. Errors: invalid (the name), too_large (a value over 1
    /// KB).
    Task<Result<bool>> remember(AccountId account, std::string name, std::string value, Timestamp expires);

    // Encryption at rest. Sizes, times, unique-ids, flags, the names of mailboxes and documents stay in clear.

    Task<Result<EncryptionStatus>> encryption(AccountId account);
    /// Mail is sealed with this public key from the next commit on; one that waits for it is sealed, too. Nothing
    /// changes if it is so already.
    Task<Result<>> begin_encryption(AccountId account, encryption::PublicKey key);
    /// Mail that comes from now on is stored in clear.
    Task<Result<>> end_encryption(AccountId account);
    /// Seals some messages that are in clear, or, after end_encryption(), decrypts some with `key`; live and retained
    /// ones. `from`: "" to begin. A crash loses no step that was made.
    Task<Result<Converted>> convert(AccountId account, std::string from, encryption::MailKeyPtr key = nullptr);
    /// A whole round of convert() found nothing more to do: the account is encrypted, or not any more. Before an
    /// account is called encrypted, what the disk still had of its messages in clear has to be gone.
    Task<Result<>> finish_conversion(AccountId account);
    /// Reads all the account's entries.
    Task<Result<SealedCount>> count_sealed(AccountId account);

    /// Messages that were deleted and are still kept, first to expire first: at most `limit`, after skipping `offset`.
    Task<Result<std::vector<RetainedMessage>>> list_retained(AccountId account, std::size_t offset, std::size_t limit);
    /// Puts a retained message back where it was: same unique-id, same place in the order, same flags; with a new UID.
    /// A mailbox that was removed meanwhile is made again. `to`: another mailbox to put it into. One that is live
    /// already comes back as it is. Errors: not_found (also: no such mailbox).
    Task<Result<StoredMessage>> restore(AccountId account, std::string unique_id,
                                        std::optional<MailboxId> to = std::nullopt);
    /// How long the account's deleted messages are kept, those of before too; nothing: Options::retention. One read if
    /// it is so already. A change is durable when it returns, and holds for new deletions at once.
    Task<Result<>> set_retention(AccountId account, std::optional<std::chrono::seconds> keep);
    /// Keeps these deleted messages twice as long as others. Returns how many were not yet.
    Task<Result<std::uint64_t>> keep_twice(AccountId account, DeletionFilter which);
    /// Forgets deleted messages of an account that has more octets of them than Options::retained_limit: those of the
    /// day (UTC) that ends first go first, those of the latest day on which any was deleted never. Returns how many
    /// messages. One read for an account within the limit.
    Task<Result<std::uint64_t>> keep_retained_limit(AccountId account);

    /// Forgets retained messages whose days are over at `now`, and the change log's rows of long ago. Returns how many
    /// messages.
    Task<Result<std::uint64_t>> expire(AccountId account, Timestamp now);
    /// Moves live messages that were received at `last` or before to the retained area, reason "expire". Returns how
    /// many. Costs one read of one entry for an account that has none, so it may be called for every account. A message
    /// that a wrong clock received in the future goes with the first behind it that goes.
    Task<Result<std::uint64_t>> expire_live(AccountId account, Timestamp last);
    /// Keeps retained messages that a wrong clock deleted in the future as if they had been deleted now, and not for
    /// years. Returns how many. One read for an account that has no retained messages, two for nearly any other.
    Task<Result<std::uint64_t>> mend_times(AccountId account, Timestamp now);
    /// For an account that is gone: nothing is appended to it any more, for good, because nobody would ever find mail
    /// that was accepted before and is still on its way. Its messages stay as they are.
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
