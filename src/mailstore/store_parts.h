#pragma once
// The state of a MailStore, and the functions that several of its files call. mail_store.cc and the files called
// store_....cc have the rest, by what they do: reads go to the engine, changes wait for the account's turn. Long
// changes take a turn for each commit.
#include <algorithm>

#include "mailstore/account_queues.h"
#include "mailstore/changes.h"
#include "mailstore/keys.h"
#include "mailstore/mail_store.h"
#include "mailstore/mailbox_maildrop.h"
#include "mailstore/message_lists.h"
#include "mailstore/record.h"
#include "mailstore/uid_lists.h"

namespace poplar::mailstore {

inline constexpr std::size_t kPage = 1000;  // entries a scan

/// Runs a change and sends its result.
template <class T, class Change>
Task<> answer_with(Change change, typename OneShot<T>::Sender answer) {
    answer.send(co_await std::move(change));
}

struct MailStore::Impl {
    Impl(engine::Engine& e, const Clock& c, const Options& o)
        : engine(e), clock(c), options(o), changes(engine, clock, options) {
        auto append_all = [this](AccountId account, Hot& hot, std::vector<Append> appends) {
            return changes.append_all(account, hot, std::move(appends));
        };
        queues = std::make_shared<AccountQueues>(options, std::move(append_all));
    }

    /// After a change that changes.commit() did not make, in the account's turn: later its totals would come after
    /// those of the next change.
    template <class T>
    Task<Result<T>> told(AccountId account, Task<Result<T>> change) {
        auto made = co_await std::move(change);
        auto now = co_await record(account);
        if (now) changes.tell_totals(account, now->totals());
        co_return made;
    }

    /// Waits for the account's turn, makes `change(hot)` on the leader's executor and returns its result on the
    /// caller's. `change` returns a Task and is no coroutine itself.
    template <class T, class Change>
    Task<Result<T>> alone(AccountId account, Change change) {
        OneShot<T> answer;
        Exclusive turn = [change = std::move(change), sender = answer.sender()](Hot& hot) mutable {
            return answer_with<T>(change(hot), std::move(sender));
        };
        co_await queues->push(account, std::move(turn));
        co_return co_await answer.receive();
    }

    /// `step(hot, from)` for each commit, so that deliveries come in between. Returns how many messages that was.
    template <class Step>
    Task<Result<std::uint64_t>> step_by_step(AccountId account, Step step) {
        std::uint64_t total = 0;
        std::string from;
        do {
            auto change = [step, from](Hot& hot) { return step(hot, from); };
            auto done = co_await alone<Changes::Expired>(account, std::move(change));
            if (!done) co_return pass_on(done);
            total += done->messages;
            from = std::move(done->next);
        } while (!from.empty());
        co_return total;
    }

    Task<Result<AccountRecord>> record(AccountId account, std::shared_ptr<const engine::Snapshot> snapshot = nullptr) {
        if (auto at_hand = engine.try_get(account, keys::account(), snapshot.get()); at_hand && *at_hand)
            co_return decode_account(**at_hand);
        auto value = co_await engine.get(account, keys::account(), std::move(snapshot));
        if (!value && value.error().code() == Errc::not_found) co_return AccountRecord{};
        if (!value) co_return pass_on(value);
        co_return decode_account(*value);
    }

    /// Of as many messages as a commit may have.
    Task<std::vector<Result<ThreadId>>> join_threads(MailStore& store, AccountId account,
                                                     std::vector<StoredMessage> messages);

    /// No login waits for it; if it fails, the next one does it.
    void note_use(AccountId account, MailboxView view, const Executor& executor);
    Task<Result<ViewRecord>> read_view(AccountId account, MailboxView view,
                                       std::shared_ptr<const engine::Snapshot> snapshot);
    /// Of a mailbox that is not removed, INBOX too. Errors: not_found.
    Task<Result<MailboxRecord>> read_mailbox(AccountId account, MailboxId id,
                                             std::shared_ptr<const engine::Snapshot> snapshot);
    MailboxMaildrop::Remove remover(AccountId account, const WantedMaildrop& wanted);
    /// A view of which the session holds the lock. `record` and `snapshot` are of the same moment. Errors: conflict (a
    /// view's row is lost: make_lost_views() makes it anew).
    Task<Result<std::unique_ptr<MailboxMaildrop>>> open_view(ViewOf of, std::unique_ptr<engine::Lease> lease,
                                                             AccountRecord record,
                                                             std::shared_ptr<const engine::Snapshot> snapshot,
                                                             const WantedMaildrop& wanted);
    static bool is_lost(const Error& why) { return why.code() == Errc::not_found || why.code() == Errc::corrupt; }

    /// Makes a device's views anew that damage took, or made unreadable. They show all: rather twice than never.
    Task<Result<>> make_lost_views(AccountId account, WantedMaildrop wanted);
    /// As MailStore::open_maildrop, of views that are there. Errors: conflict (one is lost).
    Task<Result<std::unique_ptr<Maildrop>>> open_maildrop(AccountId account, WantedMaildrop wanted);
    /// All locks come before the snapshot, so that nobody changes a view behind it. They are taken in one order, though
    /// nobody waits for one.
    Task<Result<std::unique_ptr<Maildrop>>> open_several(AccountId account, WantedMaildrop wanted);

    /// The account's record, after the default mailboxes were made if it had none beside INBOX.
    Task<Result<AccountRecord>> record_with_mailboxes(AccountId account);
    bool is_default_mailbox(std::string_view text) const;
    /// By its canonical name. Errors: not_found.
    Task<Result<Mailbox>> mailbox(AccountId account, std::string name, AccountRecord record);
    /// INBOX, then the others that were made, by name.
    Task<Result<std::vector<Mailbox>>> mailboxes_there(AccountId account);

    /// Calls `change(hot, part)` with parts of the UIDs, each of `most` at most (0: as large as a commit may be), a
    /// turn for each, and joins the results.
    template <class T, class Change, class Join>
    Task<Result<T>> in_parts(AccountId account, std::vector<Uid> uids, Change change, Join join,
                             std::size_t most_of_part = 0) {
        std::ranges::sort(uids);
        uids.erase(std::ranges::unique(uids).begin(), uids.end());
        T all{};
        const auto most = static_cast<std::ptrdiff_t>(most_of_part == 0 ? options.commit_messages : most_of_part);
        for (auto at = uids.begin(); at != uids.end();) {
            const auto end = at + std::min(most, uids.end() - at);
            std::vector<Uid> part(at, end);
            at = end;
            auto turn = [change, part = std::move(part)](Hot& hot) { return change(hot, part); };
            auto done = co_await alone<T>(account, std::move(turn));
            if (!done) co_return pass_on(done);
            join(all, std::move(*done));
        }
        co_return all;
    }

    Task<Result<std::vector<Transferred>>> transfer(AccountId account, Changes::Transfer how, MailboxId from,
                                                    std::vector<Uid> uids, MailboxId to);

    /// Goes on with removed mailboxes that still have messages.
    Task<Result<>> drain(AccountId account, MailboxId id, std::string reason);
    Task<Result<>> drain_removed(AccountId account);

    Task<Result<mail::Structure>> read_structure(AccountId account, StoredMessage message, encryption::MailKeyPtr key);
    Task<Result<std::unique_ptr<engine::BodyReader>>> open(AccountId account, Message message,
                                                           encryption::MailKeyPtr key);

    engine::Engine& engine;
    const Clock& clock;
    const Options options;
    Changes changes;
    MessageLists lists{options.list_cache};
    UidLists uid_lists{options.uid_list_cache};
    std::shared_ptr<AccountQueues> queues;
};

}  // namespace poplar::mailstore
