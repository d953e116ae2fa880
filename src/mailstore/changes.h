#pragma once
// Every change to an account's mail: each reads what it needs, builds one batch and commits it, expecting that nobody
// else came between; if somebody did, it begins again. Only the account's leader runs them (account_queues.h).
//
// changes.cc has what all of them do; each kind of change has a file of its own.
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_set>
#include <vector>

#include "engine/engine.h"
#include "mailstore/account_queues.h"
#include "mailstore/change_row.h"
#include "mailstore/keyword_table.h"
#include "mailstore/record.h"
#include "mailstore/sealing.h"
#include "mailstore/thread_row.h"

namespace poplar::mailstore {

/// A message to remove, if it is still there: the body tells it from a later one at the same place (after a purge).
struct Victim {
    OrderKey order;
    engine::BodyId body;
    std::string unique_id = {};  ///< to find it at another place of the same maildrop; only expire_live() has none
    /// A message that was sealed or opened meanwhile has another body, and is the same by its unique-id.
    bool is(const StoredMessage& message) const {
        return message.body == body || (!unique_id.empty() && message.unique_id == unique_id);
    }
};

/// By which means messages are deleted ("pop3", "admin", ...), and by which devices of the account.
struct Deleter {
    Deleter(std::string means, std::vector<std::uint32_t> its = {})
        : reason(std::move(means)), devices(std::move(its)) {}
    std::string reason;
    std::vector<std::uint32_t> devices;
};

/// The deletions of a POP session in one mailbox.
struct Deletions {
    MailboxView of;
    std::vector<Victim> victims;  ///< in ascending order of their keys, each once
    engine::Batch::Fence fence;
    std::optional<std::uint32_t> device = {};  ///< that does it; nothing: the account's own password
};

/// Times further ahead than this are of a wrong clock.
inline constexpr auto kFuture = std::chrono::hours(24);

class Changes {
public:
    Changes(engine::Engine& engine, const Clock& clock, const Options& options);

    /// As MailStore::on_totals.
    void on_totals(MailStore::TotalsListener listener) { totals_listener_ = std::move(listener); }
    void tell_totals(AccountId account, const AccountTotals& totals) const {
        if (totals_listener_) totals_listener_(account, totals);
    }

    // append.cc
    Task<> append_all(AccountId account, Hot& hot, std::vector<Append> appends);
    /// As MailStore::append_together.
    Task<Result<std::vector<Message>>> append_together(AccountId account, Hot& hot,
                                                       const std::vector<NewMessage>& messages,
                                                       std::optional<MessageAt> replaced);

    // remove.cc
    /// From INBOX. `victims` in ascending order of their keys, each once.
    Task<Result<>> remove(AccountId account, Hot& hot, std::vector<Victim> victims, std::string reason);
    Task<Result<>> remove_by_id(AccountId account, Hot& hot, std::vector<std::string> unique_ids, std::string reason);

    // restore.cc
    /// As MailStore::restore.
    Task<Result<StoredMessage>> restore(AccountId account, Hot& hot, std::string unique_id,
                                        std::optional<MailboxId> to);

    // flags.cc; UIDs ascending, each once, as many as a commit may have
    Task<Result<FlagOutcome>> change_flags(AccountId account, Hot& hot, MailboxId mailbox, std::vector<Uid> uids,
                                           FlagChange change);

    // transfer.cc; UIDs ascending, each once; as many as a commit may have, transfer() as many as a copy may
    enum class Transfer { copy, move };
    Task<Result<std::vector<Transferred>>> transfer(AccountId account, Hot& hot, Transfer how, MailboxId from,
                                                    std::vector<Uid> uids, MailboxId to);
    Task<Result<std::uint64_t>> expunge(AccountId account, Hot& hot, MailboxId mailbox, std::vector<Uid> uids,
                                        std::string reason);

    // mailboxes.cc; names are canonical
    Task<Result<>> make_default_mailboxes(AccountId account, Hot& hot);
    Task<Result<MailboxId>> add_mailbox(AccountId account, Hot& hot, std::string name, SpecialUse use);
    Task<Result<>> rename_mailbox(AccountId account, Hot& hot, std::string from, std::string to);
    Task<Result<>> set_subscription(AccountId account, Hot& hot, std::string name, Subscription subscription);
    Task<Result<>> set_use(AccountId account, Hot& hot, std::string name, SpecialUse use);
    /// Nobody finds the mailbox any more. Returns 0 if no message is left in it, else its id: drain_mailbox() takes the
    /// others out.
    Task<Result<MailboxId>> remove_mailbox(AccountId account, Hot& hot, std::string name, std::string reason);
    Task<Result<MailboxId>> drain_mailbox(AccountId account, Hot& hot, MailboxId id, std::string reason);

    // documents.cc
    Task<Result<ModSequence>> put_document(AccountId account, Hot& hot, std::string name, std::string content,
                                           std::optional<ModSequence> expected);
    Task<Result<>> remove_document(AccountId account, Hot& hot, std::string name, std::optional<ModSequence> expected);
    Task<Result<bool>> remember(AccountId account, Hot& hot, std::string name, std::string value, Timestamp expires);

    // filing.cc
    /// Names are canonical.
    Task<Result<std::vector<Message>>> file(AccountId account, Hot& hot, const Filing& filing);

    // views.cc
    /// A POP session's deletions: one for each mailbox of its maildrop, all of views of one name. Errors: denied (the
    /// view is gone), too_large.
    Task<Result<>> delete_in(AccountId account, Hot& hot, std::vector<Deletions> deletions, WhenAllDeleted when);
    /// As MailStore::make_view.
    Task<Result<>> make_view(AccountId account, Hot& hot, MailboxView view, Timestamp since, bool counts);
    /// Somebody has opened the view.
    Task<> note_use(AccountId account, Hot& hot, MailboxView view);
    /// True: to be called again.
    /// One step on the way of MailStore::drop_view.
    struct Dropped {
        bool more = false;
        std::uint64_t gone = 0;  ///< messages that left the mailbox
    };
    Task<Result<Dropped>> drop_view(AccountId account, Hot& hot, MailboxView view, WhenAllDeleted when);
    /// As MailStore::let_go, Options::forget_messages at most.
    Task<Result<std::uint64_t>> let_go(AccountId account, Hot& hot, std::vector<ViewId> ignored);

    // structures.cc
    /// A message, and its structure as it is stored.
    struct Described {
        StoredMessage message;
        std::string structure;
    };
    /// Of those that are still live.
    Task<Result<>> keep_structures(AccountId account, Hot& hot, std::vector<Described> made);
    /// A commit's worth of them. True: there may be more.
    Task<Result<bool>> drop_structures(AccountId account, Hot& hot);
    struct Marked {
        StoredMessage message;
        ThreadMarks marks;
    };
    /// Their threads, in their order: as many as a commit may have.
    Task<Result<std::vector<ThreadId>>> join_threads(AccountId account, Hot& hot, std::vector<Marked> messages);

    // forget.cc
    struct Expired {
        std::uint64_t messages = 0;
        std::string next;  ///< the key to go on from; "" if that was all
    };
    /// One commit's worth of what has expired, from the key `from` on ("" to start); the first also has rows of the
    /// change log that are older than they need be.
    Task<Result<Expired>> expire(AccountId account, Hot& hot, Timestamp now, std::string from);
    /// One commit's worth of the retained messages that were deleted in the future.
    Task<Result<Expired>> mend_times(AccountId account, Hot& hot, Timestamp now, std::string from);

    // keep.cc
    /// How long deleted messages are kept from now on; keep_by_retention() makes it so for those that are there.
    Task<Result<>> set_retention(AccountId account, Hot& hot, std::chrono::seconds keep);
    Task<Result<Expired>> keep_by_retention(AccountId account, Hot& hot, std::string from);
    /// As MailStore::keep_twice, in steps.
    Task<Result<Expired>> keep_twice(AccountId account, Hot& hot, DeletionFilter which, std::string from);
    /// Forgets those that expire at `last` or before and were not deleted at `newest` or later, in steps.
    Task<Result<Expired>> forget_early(AccountId account, Hot& hot, Timestamp last, Timestamp newest, std::string from);

    // convert.cc; as the functions of MailStore
    Task<Result<>> begin_encryption(AccountId account, Hot& hot, encryption::PublicKey key);
    Task<Result<>> end_encryption(AccountId account, Hot& hot);
    Task<Result<Converted>> convert(AccountId account, Hot& hot, std::string from, encryption::MailKeyPtr key);
    Task<Result<>> finish_conversion(AccountId account, Hot& hot);

    // purge.cc
    Task<Result<>> purge(AccountId account, Hot& hot, Afterwards afterwards);
    Task<Result<>> close(AccountId account, Hot& hot);

private:
    /// A change on its way: the records as they are going to be, and the batch that makes them so.
    struct Draft {
        AccountState state;
        std::map<MailboxId, MailboxRecord> mailboxes = {};           // beside INBOX: those that were read or made
        std::map<std::string, std::optional<MailboxId>> names = {};  // those that change: whose they are going to be
        struct View {
            ViewRecord record = {};
            bool changed = false;
        };
        std::map<MailboxView, View> views = {};  // of all mailboxes, if they were read: begin_with_views()
        engine::Batch batch = {};
        ChangeRow row = {};
        AccountRecord& record() { return state.record; }
        /// The number that this change is going to have: if another change gets it, this one begins again.
        engine::ChangeNumber number() const { return engine::ChangeNumber(state.number.value + 1); }
    };

    // changes.cc
    Task<Result<AccountState>> load(AccountId account, Hot& hot);
    Task<Result<Draft>> begin(AccountId account, Hot& hot);
    /// For a change that may take messages out of a mailbox or bring them back to their places.
    Task<Result<Draft>> begin_with_views(AccountId account, Hot& hot);
    Task<Result<>> load_views(AccountId account, Hot& hot, Draft& draft);
    /// A mailbox's record, to be changed. Errors: not_found (there is none, or it was removed).
    Task<Result<MailboxRecord*>> mailbox(AccountId account, Draft& draft, MailboxId id);
    Task<Result<>> commit(AccountId account, Hot& hot, Draft draft);
    /// Begins the change log's counts, or counts a row; has the oldest rows erased when there are too many.
    Task<Result<>> log_row(AccountId account, Draft& draft);
    Task<Result<>> forget_rows(AccountId account, Draft& draft, std::uint64_t rows);
    /// Runs `attempt` until its outcome is known, or it lost to others too often.
    template <class Attempt>
    auto repeated(Attempt attempt) -> decltype(attempt()) {
        for (int n = 1;; ++n) {
            auto result = co_await attempt();
            if (result || n == kAttempts || !worth_repeating(result.error().code())) co_return result;
        }
    }
    static bool worth_repeating(Errc code) { return code == Errc::conflict || code == Errc::outcome_unknown; }
    static void report_damage(AccountId account, const Error& error);

    // Put a message into its mailbox, out of it, or into the retained area: in all records, the index and the change
    // log.
    static void add(Draft& draft, MailboxRecord& to, const StoredMessage& message);
    static void take_out(Draft& draft, MailboxRecord& from, const StoredMessage& message);
    void retain(Draft& draft, MailboxRecord& from, StoredMessage message, const Deleter& by);
    /// When it is to be forgotten, by how long the account's messages are kept.
    Timestamp expiry_of(const AccountRecord& record, const RetainedMessage& retained) const;
    /// Gives a retained message the expiry that it should have. False: it has it.
    bool keep_until_due(Draft& draft, RetainedMessage retained, engine::EntryView entry);
    /// Retained messages go for good; those that can't be decoded are left, and told of: true.
    Task<Result<bool>> forget_retained(AccountId account, Draft& draft, const engine::Entries& entries,
                                       std::optional<Timestamp> newest, std::uint64_t& messages);

    Task<Result<KeywordTable>> keywords(AccountId account, MailboxId mailbox);
    Task<Result<FlagOutcome>> try_change_flags(AccountId account, Hot& hot, MailboxId id, const std::vector<Uid>& uids,
                                               const FlagChange& change);
    Task<Result<std::vector<Transferred>>> try_transfer(AccountId account, Hot& hot, Transfer how, MailboxId from_id,
                                                        const std::vector<Uid>& uids, MailboxId to_id);
    Task<Result<std::vector<std::string>>> translate_keywords(AccountId account, Draft& draft, MailboxId from,
                                                              MailboxId to, const std::vector<StoredMessage>& messages);
    Task<Result<>> count_copies(AccountId account, Draft& draft, std::vector<StoredMessage>& messages);
    Task<Result<std::uint64_t>> try_expunge(AccountId account, Hot& hot, MailboxId id, const std::vector<Uid>& uids,
                                            std::string_view reason);

    Task<Result<Draft>> begin_mailboxes(AccountId account, Hot& hot);
    Task<Result<MailboxId>> find_name(AccountId account, Draft& draft, std::string name);
    Task<Result<>> expect_free(AccountId account, Draft& draft, std::string name);
    Task<Result<MailboxId>> make_mailbox(AccountId account, Draft& draft, std::string name, SpecialUse use,
                                         Subscription subscription);
    Task<Result<>> try_rename(AccountId account, Hot& hot, const std::string& from, const std::string& to);
    Task<Result<>> alter_mailbox(AccountId account, Hot& hot, std::string name,
                                 std::function<void(MailboxRecord&)> change);
    Task<Result<bool>> drain(AccountId account, Draft& draft, MailboxId id, std::string_view reason);
    /// The name stays subscribed without its mailbox, if the account has room for it.
    Task<Result<>> lose_subscription(AccountId account, Draft& draft, const std::string& name);
    /// Whether the name was subscribed without a mailbox; it is not any more then.
    Task<Result<bool>> find_subscription(AccountId account, Draft& draft, const std::string& name);
    Task<Result<MailboxId>> home_of(AccountId account, Draft& draft, const StoredMessage& message, std::string name);

    Task<Result<std::optional<DocumentInfo>>> document_info(AccountId account, std::string name);

    /// Shared by messages that arrive in one commit.
    struct Arrivals {
        explicit Arrivals(std::string now) : generation(std::move(now)) {}
        std::string generation;
        std::unordered_set<std::string> given = {};  // unique-ids that came with their messages
        std::map<MailboxId, KeywordTable> tables = {};
    };
    Task<Result<Message>> put_in(AccountId account, Draft& draft, Arrivals& arrivals, const NewMessage& incoming,
                                 Timestamp received, engine::BodyId body);
    static void put_keywords(Draft& draft, const Arrivals& arrivals);
    /// The messages of a filing, each with its mailbox.
    using Filed = std::vector<std::pair<MailboxId, Message>>;
    /// Fills `filed` before it commits.
    Task<Result<>> try_file(AccountId account, Hot& hot, const Filing& filing,
                            const std::vector<engine::BodyId>& bodies, Filed& filed);
    /// Erases some facts that have expired, but none of those with these names.
    Task<Result<>> sweep_facts(AccountId account, Draft& draft, const std::set<std::string>& but);
    /// False: it is remembered already, and `renew` is not wanted.
    Task<Result<bool>> put_fact(AccountId account, Draft& draft, const NewFact& fact);
    Task<Result<>> try_append(AccountId account, Hot& hot, const std::vector<Append>& appends,
                              std::vector<Result<Message>>& results);
    Task<Result<std::vector<Message>>> try_append_together(AccountId account, Hot& hot,
                                                           const std::vector<NewMessage>& messages,
                                                           std::optional<MessageAt> replaced,
                                                           const std::vector<engine::BodyId>& bodies);
    /// Whether a batch whose outcome is not known has happened, by the first body that it was to bring.
    Task<bool> has_body(AccountId account, engine::BodyId body);
    Task<Result<std::string>> keyword_bits(AccountId account, std::map<MailboxId, KeywordTable>& tables,
                                           const NewMessage& message);
    Task<Result<>> admit(AccountId account, std::string_view generation, const std::string& unique_id);
    Task<Result<bool>> is_stored(AccountId account, MailboxId mailbox, Message message);
    Task<Result<>> try_remove(AccountId account, Hot& hot, const std::vector<Victim>& victims, std::string_view reason);
    Task<Result<std::vector<StoredMessage>>> still_there(AccountId account, MailboxId mailbox,
                                                         const std::vector<Victim>& victims);
    Task<Result<>> try_remove_by_id(AccountId account, Hot& hot, const std::vector<std::string>& unique_ids,
                                    std::string_view reason);
    Task<Result<StoredMessage>> try_restore(AccountId account, Hot& hot, const std::string& unique_id,
                                            std::optional<MailboxId> to);
    Task<Result<Expired>> try_expire(AccountId account, Hot& hot, Timestamp now, const std::string& from);
    Task<Result<Expired>> try_mend_times(AccountId account, Hot& hot, Timestamp now, const std::string& from);
    /// A page of retained messages, `entries` of `range`, was gone through: commits the draft if it changes anything,
    /// and adds to `done` where the next page begins.
    Task<Result<Expired>> end_page(AccountId account, Hot& hot, Draft draft, engine::KeyRange range,
                                   const engine::Entries& entries, Expired done);
    Task<Result<>> trim_log(AccountId account, Draft& draft, Timestamp now);
    /// Messages are gone for good: their bodies go with the last message that has them.
    Task<Result<>> release_bodies(AccountId account, Draft& draft, std::span<const StoredMessage> messages);
    /// With what was kept of the message that had it.
    Task<Result<>> release_body(AccountId account, Draft& draft, engine::BodyId body);
    Task<Result<>> read_views(AccountId account, Draft& draft, std::size_t most);
    /// A view that hides nothing.
    ViewRecord begun_now(Draft& draft) const;
    static bool has_views(const Draft& draft, MailboxId mailbox);
    struct Hiding {
        ViewId view;
        DeletedIn in;
    };
    /// Those that hide the message, which is in the mailbox still.
    static std::vector<Hiding> hiding(const Draft& draft, const StoredMessage& message);
    /// A message came to its mailbox from this one, where these had deleted it: for them it stays deleted.
    static void hide_in(Draft& draft, const std::vector<Hiding>& views, MailboxId from, const StoredMessage& message);
    static std::vector<std::uint32_t> devices_that_deleted(const Draft& draft, const std::vector<ViewId>& views,
                                                           const StoredMessage& message);
    static void erase_view(Draft& draft, MailboxView view);
    Task<Result<>> try_delete_in(AccountId account, Hot& hot, const std::vector<Deletions>& deletions,
                                 WhenAllDeleted when);
    Task<Result<>> find_moved(AccountId account, const std::vector<Deletions>& deletions,
                              std::map<MailboxId, std::vector<StoredMessage>>& found);
    Task<Result<bool>> delete_from(AccountId account, Draft& draft, MailboxView view,
                                   std::vector<StoredMessage> messages, std::optional<std::uint32_t> device,
                                   WhenAllDeleted when);
    Task<Result<>> join_ranges(AccountId account, MailboxId mailbox, ViewRecord& view,
                               const std::vector<StoredMessage>& messages);
    Task<Result<>> try_make_view(AccountId account, Hot& hot, MailboxView view, Timestamp since, bool counts);
    Task<Result<ViewRecord>> hidden_before(AccountId account, MailboxId id, MailboxRecord mailbox, Timestamp since,
                                           ViewRecord view);
    Task<Result<Dropped>> try_drop_view(AccountId account, Hot& hot, MailboxView view, WhenAllDeleted when);
    Task<Result<std::uint64_t>> try_let_go(AccountId account, Hot& hot, const std::vector<ViewId>& ignored);
    Task<Result<std::uint64_t>> hand_over(AccountId account, Draft& draft, MailboxId id, std::vector<ViewId> views,
                                          std::uint64_t most);
    Task<Result<>> try_keep_structures(AccountId account, Hot& hot, const std::vector<Described>& made);
    Task<Result<bool>> try_drop_structures(AccountId account, Hot& hot);
    Task<Result<std::vector<ThreadId>>> try_join_threads(AccountId account, Hot& hot,
                                                         const std::vector<Marked>& messages);
    /// Nothing: it stays as it is.
    using NewEncryption = std::optional<std::shared_ptr<const AccountEncryption>>;
    Task<Result<>> alter_encryption(AccountId account, Hot& hot,
                                    std::function<NewEncryption(const AccountEncryption*)> change);
    Task<Result<Converted>> try_convert(AccountId account, Hot& hot, const std::string& from,
                                        const encryption::MailKeyPtr& key);
    Task<Result<Content>> converted(AccountId account, const AccountEncryption& how, StoredMessage message,
                                    encryption::MailKeyPtr key);
    Task<Result<>> try_purge(AccountId account, Hot& hot, Afterwards afterwards);
    Task<Result<>> drop_views(AccountId account, Draft& draft);
    Task<Result<>> try_close(AccountId account, Hot& hot);
    Task<Result<>> purge_area(AccountId account, Hot& hot, Place::Area area);
    Task<Result<>> purge_remains(AccountId account, Hot& hot, AccountRecord last);

    static constexpr int kAttempts = 8;  // before a change that others keep overtaking is given up

    engine::Engine& engine_;
    const Clock& clock_;
    const Options& options_;
    MailStore::TotalsListener totals_listener_;
    Sealers sealers_;
    /// Of this start of the server. 60 random bits, drawn anew each time. They are never stored, so no copy of the data
    /// that is put back can bring old ones back.
    const std::string generation_;
};

}  // namespace poplar::mailstore
