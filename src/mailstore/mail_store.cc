// MailStore's functions: reads go to the engine, changes wait for the account's turn. Long changes take a turn for each
// commit.
#include "mailstore/mail_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "mailstore/account_queues.h"
#include "mailstore/change_log.h"
#include "mailstore/changes.h"
#include "mailstore/check.h"
#include "mailstore/joined_maildrop.h"
#include "mailstore/keys.h"
#include "mailstore/lookup.h"
#include "mailstore/mailbox_maildrop.h"
#include "mailstore/mailbox_name.h"
#include "mailstore/message_lists.h"
#include "mailstore/record.h"
#include "mailstore/repair.h"
#include "mailstore/uid_lists.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;               // entries a scan
constexpr auto kLogSlack = std::chrono::days(1);  // so that an account's log is trimmed once a day, not once a row

/// Runs a change and sends its result.
template <class T, class Change>
Task<> answer_with(Change change, typename OneShot<T>::Sender answer) {
    answer.send(co_await std::move(change));
}

Mailbox described(MailboxId id, MailboxRecord record) {
    if (id == kInbox) record.name = kInboxName;
    return {id,
            std::move(record.name),
            record.use,
            record.subscribed,
            record.uid_validity,
            Uid(record.next_order.value),
            record.changed,
            record.totals};
}

/// Of a document or a fact.
Result<> check_name(std::string_view name, std::size_t longest) {
    if (name.empty() || name.size() > longest)
        return fail(Errc::invalid, fmt::format("a name has 1 to {} octets", longest));
    return {};
}

}  // namespace

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
                                                     std::vector<StoredMessage> messages) {
        auto described = co_await store.structures(account, messages);
        std::vector<Changes::Marked> marked;
        for (std::size_t i = 0; i < messages.size(); ++i)
            if (described[i]) {
                auto marks = thread_marks(*described[i], messages[i].unique_id);
                marked.push_back({std::move(messages[i]), std::move(marks)});
            }
        Result<std::vector<ThreadId>> joined;
        if (!marked.empty()) {
            auto change = [this, account, marked = std::move(marked)](Hot& hot) mutable {
                return changes.join_threads(account, hot, std::move(marked));
            };
            joined = co_await alone<std::vector<ThreadId>>(account, std::move(change));
        }
        std::vector<Result<ThreadId>> found;
        std::size_t next = 0;
        for (const auto& structure : described)
            if (!structure)
                found.push_back(std::unexpected(structure.error()));
            else if (!joined)
                found.push_back(std::unexpected(joined.error()));
            else
                found.push_back((*joined)[next++]);
        co_return found;
    }

    /// No login waits for it; if it fails, the next one does it.
    void note_use(AccountId account, MailboxView view, const Executor& executor) {
        auto note = [](std::shared_ptr<AccountQueues> queues, Changes& changes, AccountId account,
                       MailboxView view) -> Task<> {
            Exclusive turn = [&changes, account, view](Hot& hot) { return changes.note_use(account, hot, view); };
            co_await queues->push(account, std::move(turn));
        };
        asio::co_spawn(executor, note(queues, changes, account, view), asio::detached);
    }

    Task<Result<ViewRecord>> read_view(AccountId account, MailboxView view,
                                       std::shared_ptr<const engine::Snapshot> snapshot) {
        auto value = co_await engine.get(account, keys::view(view), std::move(snapshot));
        if (!value) co_return pass_on(value);
        co_return decode_view(*value);
    }

    /// Of a mailbox that is not removed, INBOX too. Errors: not_found.
    Task<Result<MailboxRecord>> read_mailbox(AccountId account, MailboxId id,
                                             std::shared_ptr<const engine::Snapshot> snapshot) {
        auto value = co_await engine.get(account, keys::mailbox(id), std::move(snapshot));
        if (!value) co_return pass_on(value);
        auto mailbox = decode_mailbox(*value);
        if (mailbox && mailbox->removed) co_return fail(Errc::not_found, "the mailbox was removed");
        co_return mailbox;
    }

    MailboxMaildrop::Remove remover(AccountId account, const WantedMaildrop& wanted) {
        return
            [this, account, when = wanted.when_all_deleted, device = wanted.device](std::vector<Deletions> deletions) {
                for (auto& part : deletions) part.device = device;
                auto change = [this, account, when, deletions = std::move(deletions)](Hot& hot) {
                    return changes.delete_in(account, hot, deletions, when);
                };
                return alone<void>(account, std::move(change));
            };
    }

    /// A view of which the session holds the lock. `record` and `snapshot` are of the same moment. Errors: conflict (a
    /// view's row is lost: make_lost_views() makes it anew).
    Task<Result<std::unique_ptr<MailboxMaildrop>>> open_view(ViewOf of, std::unique_ptr<engine::Lease> lease,
                                                             AccountRecord record,
                                                             std::shared_ptr<const engine::Snapshot> snapshot,
                                                             const WantedMaildrop& wanted) {
        const MailboxView view(of.view, of.mailbox);
        if (of.mailbox != kInbox) {
            auto mailbox = co_await read_mailbox(of.account, of.mailbox, snapshot);
            if (!mailbox) co_return pass_on(mailbox);
            record.inbox = std::move(*mailbox);
        }
        std::unique_ptr<const ViewRecord> shown;
        if (of.view != kClassicView || record.views != 0) {
            auto read = co_await read_view(of.account, view, snapshot);
            const bool none = !read && of.view == kClassicView && read.error().code() == Errc::not_found;
            if (!read && !none && is_lost(read.error())) co_return fail(Errc::conflict, "a view's row is lost");
            if (!read && !none) co_return pass_on(read);
            if (read) {
                if (clock.now() - read->used >= kUsedWithin)
                    note_use(of.account, view, co_await asio::this_coro::executor);
                shown = std::make_unique<const ViewRecord>(std::move(*read));
            }
        }
        auto opened = std::make_unique<MailboxMaildrop>(
            engine, lists, of, std::move(lease), std::move(record.generation), record.inbox, std::move(shown),
            std::move(snapshot), options.codec.get(), remover(of.account, wanted));
        if (wanted.when_all_deleted == WhenAllDeleted::keep) opened->only_hide();
        co_return opened;
    }
    static bool is_lost(const Error& why) { return why.code() == Errc::not_found || why.code() == Errc::corrupt; }

    /// Makes a device's views anew that damage took, or made unreadable. They show all: rather twice than never.
    Task<Result<>> make_lost_views(AccountId account, WantedMaildrop wanted) {
        if (wanted.mailboxes.empty()) wanted.mailboxes.push_back(kInbox);
        for (auto id : wanted.mailboxes) {
            const MailboxView view(wanted.view, id);
            auto there = co_await read_view(account, view, nullptr);
            if (there) continue;
            if (!is_lost(there.error())) co_return pass_on(there);
            auto change = [this, account, view](Hot& hot) {
                return changes.make_view(account, hot, view, kFromTheFirst, true);
            };
            auto made = co_await alone<void>(account, std::move(change));
            if (!made && made.error().code() == Errc::not_found) continue;  // its mailbox is gone
            if (!made) co_return made;
            log::warning("mailstore.view_made_anew",
                         {{"account", account.value}, {"view", view.view.value}, {"mailbox", view.mailbox.value}});
        }
        co_return Result<>{};
    }

    /// As MailStore::open_maildrop, of views that are there. Errors: conflict (one is lost).
    Task<Result<std::unique_ptr<Maildrop>>> open_maildrop(AccountId account, WantedMaildrop wanted) {
        if (wanted.mailboxes.size() > 1) co_return co_await open_several(account, std::move(wanted));
        const ViewOf of{account, wanted.view, wanted.mailboxes.empty() ? kInbox : wanted.mailboxes.front()};
        auto lease = co_await engine.lease(account, lease_of({of.view, of.mailbox}));
        if (!lease) co_return pass_on(lease);
        auto snapshot = engine.snapshot(account);
        auto found = co_await record(account, snapshot);
        if (!found) co_return pass_on(found);
        auto opened = co_await open_view(of, std::move(*lease), std::move(*found), std::move(snapshot), wanted);
        if (!opened) co_return pass_on(opened);
        co_return std::move(*opened);
    }

    /// All locks come before the snapshot, so that nobody changes a view behind it. They are taken in one order, though
    /// nobody waits for one.
    Task<Result<std::unique_ptr<Maildrop>>> open_several(AccountId account, WantedMaildrop wanted) {
        std::ranges::sort(wanted.mailboxes);
        const auto same = std::ranges::unique(wanted.mailboxes);
        wanted.mailboxes.erase(same.begin(), same.end());
        std::vector<std::unique_ptr<engine::Lease>> leases;
        for (auto id : wanted.mailboxes) {
            auto lease = co_await engine.lease(account, lease_of({wanted.view, id}));
            if (!lease) co_return pass_on(lease);
            leases.push_back(std::move(*lease));
        }
        auto snapshot = engine.snapshot(account);
        auto found = co_await record(account, snapshot);
        if (!found) co_return pass_on(found);
        std::vector<JoinedMaildrop::Part> parts;
        for (std::size_t n = 0; n < leases.size(); ++n) {
            const ViewOf of{account, wanted.view, wanted.mailboxes[n]};
            auto part = co_await open_view(of, std::move(leases[n]), *found, snapshot, wanted);
            const bool gone = !part && of.mailbox != kInbox && part.error().code() == Errc::not_found;
            if (!part && !gone) co_return pass_on(part);
            if (part) parts.push_back(std::move(*part));
        }
        if (parts.empty()) co_return fail(Errc::not_found, "all mailboxes of the maildrop were removed");
        if (parts.size() == 1) co_return std::move(parts.front());
        co_return std::make_unique<JoinedMaildrop>(std::move(parts), remover(account, wanted));
    }

    /// The account's record, after the default mailboxes were made if it had none beside INBOX.
    Task<Result<AccountRecord>> record_with_mailboxes(AccountId account) {
        auto found = co_await record(account);
        if (!found || found->others || found->closed || options.default_mailboxes.empty()) co_return found;
        auto change = [this, account](Hot& hot) { return changes.make_default_mailboxes(account, hot); };
        auto made = co_await alone<void>(account, std::move(change));
        if (!made) co_return pass_on(made);
        co_return co_await record(account);
    }

    bool is_default_mailbox(std::string_view text) const {
        return std::ranges::any_of(options.default_mailboxes, [text](const std::string& one) {
            const auto parsed = parse_default_mailbox(one);
            return parsed && (is_same_in_any_case(parsed->name, text) ||
                              (parsed->use != SpecialUse::none && is_same_in_any_case(to_string(parsed->use), text)));
        });
    }

    /// By its canonical name. Errors: not_found.
    Task<Result<Mailbox>> mailbox(AccountId account, std::string name, AccountRecord record) {
        if (name == kInboxName) co_return described(kInbox, std::move(record.inbox));
        auto snapshot = engine.snapshot(account);
        auto value = co_await engine.get(account, keys::name(name), snapshot);
        if (!value && value.error().code() == Errc::not_found)
            co_return fail(Errc::not_found, "no mailbox is called so");
        if (!value) co_return pass_on(value);
        auto number = decode_number(*value);
        if (!number) co_return pass_on(number);
        const MailboxId id(static_cast<std::uint32_t>(*number));
        auto row = co_await engine.get(account, keys::mailbox(id), snapshot);
        if (!row && row.error().code() == Errc::not_found)
            co_return fail(Errc::corrupt, "a name leads to a mailbox that is not there");
        if (!row) co_return pass_on(row);
        auto found = decode_mailbox(*row);
        if (!found) co_return pass_on(found);
        co_return described(id, std::move(*found));
    }

    /// INBOX, then the others that were made, by name.
    Task<Result<std::vector<Mailbox>>> mailboxes_there(AccountId account) {
        auto snapshot = engine.snapshot(account);
        auto own = co_await record(account, snapshot);
        if (!own) co_return pass_on(own);
        std::vector<Mailbox> found{described(kInbox, std::move(own->inbox))};
        auto range = keys::mailboxes();
        for (bool more = true; more;) {
            auto page = co_await engine.scan(account, range, kPage, snapshot);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto one = decode_mailbox(entry.value);
                if (!one) co_return pass_on(one);
                if (!one->removed) found.push_back(described(keys::mailbox_of(entry.key), std::move(*one)));
            }
            more = page->size() == kPage;
            if (more) range.begin_behind(page->back().key);
        }
        std::ranges::sort(found.begin() + 1, found.end(), {}, &Mailbox::name);
        co_return found;
    }

    /// Calls `change(hot, part)` with parts of the UIDs, each as large as a commit may be, a turn for each, and joins
    /// the results.
    template <class T, class Change, class Join>
    Task<Result<T>> in_parts(AccountId account, std::vector<Uid> uids, Change change, Join join) {
        std::ranges::sort(uids);
        uids.erase(std::ranges::unique(uids).begin(), uids.end());
        T all{};
        const auto most = static_cast<std::ptrdiff_t>(options.commit_messages);
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
                                                    std::vector<Uid> uids, MailboxId to) {
        auto change = [this, account, how, from, to](Hot& hot, std::vector<Uid> part) {
            return changes.transfer(account, hot, how, from, std::move(part), to);
        };
        auto join = [](auto& all, auto part) { all.insert(all.end(), part.begin(), part.end()); };
        return in_parts<std::vector<Transferred>>(account, std::move(uids), std::move(change), join);
    }

    /// Goes on with removed mailboxes that still have messages.
    Task<Result<>> drain(AccountId account, MailboxId id, std::string reason) {
        while (id != MailboxId()) {
            auto change = [this, account, id, reason](Hot& hot) {
                return changes.drain_mailbox(account, hot, id, reason);
            };
            auto next = co_await alone<MailboxId>(account, std::move(change));
            if (!next) co_return pass_on(next);
            id = *next;
        }
        co_return Result<>{};
    }
    Task<Result<>> drain_removed(AccountId account) {
        auto range = keys::mailboxes();
        for (;;) {
            auto page = co_await engine.scan(account, range, kPage);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto found = decode_mailbox(entry.value);
                if (!found || !found->removed) continue;
                if (auto done = co_await drain(account, keys::mailbox_of(entry.key), "mailbox removed"); !done)
                    co_return done;
            }
            if (page->size() < kPage) co_return Result<>{};
            range.begin_behind(page->back().key);
        }
    }

    Task<Result<mail::Structure>> read_structure(AccountId account, StoredMessage message) {
        auto body = co_await open(account, std::move(message));
        if (!body) co_return pass_on(body);
        mail::StructureReader reader;
        for (;;) {
            auto chunk = co_await (*body)->next();
            if (!chunk) co_return pass_on(chunk);
            if (chunk->empty()) co_return reader.finish();
            reader.feed(*chunk);
        }
    }

    Task<Result<std::unique_ptr<engine::BodyReader>>> open(AccountId account, Message message) {
        auto bodies = engine.read_bodies(account);
        auto stored = co_await bodies->open(message.body);
        if (!stored || !message.key) co_return stored;
        co_return decoded(std::move(*stored), options.codec.get(), message.key, message.wire_octets);
    }

    engine::Engine& engine;
    const Clock& clock;
    const Options options;
    Changes changes;
    MessageLists lists{options.list_cache};
    UidLists uid_lists{options.uid_list_cache};
    std::shared_ptr<AccountQueues> queues;
};

MailStore::MailStore(engine::Engine& engine, const Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(engine, clock, options)) {}
MailStore::~MailStore() = default;

void MailStore::on_totals(TotalsListener listener) { impl_->changes.on_totals(std::move(listener)); }

std::unique_ptr<ContentWriter> MailStore::stage(std::uint64_t size_hint) {
    return write_content(impl_->engine, impl_->options.codec.get(), size_hint);
}

Result<std::unique_ptr<engine::BodyReader>> MailStore::read(const Content& content) {
    auto stored = content.staged->read();
    if (!content.key) return stored;
    return decoded(std::move(stored), impl_->options.codec.get(), content.key, content.wire_octets());
}

Task<Result<Message>> MailStore::append(AccountId account, NewMessage message) {
    if (!message.unique_id.empty() && !is_unique_id(message.unique_id))
        co_return fail(Errc::invalid, "a unique-id has 1 to 70 printable ASCII characters");
    if (message.content.key && !impl_->options.codec)
        co_return fail(Errc::denied, "the content is encoded, and nothing here can do that");
    const auto received = message.received.value_or(impl_->clock.now());
    OneShot<Message> answer;
    co_await impl_->queues->push(account, Append{std::move(message), received, answer.sender()});
    co_return co_await answer.receive();
}

Task<Result<std::vector<Message>>> MailStore::file(AccountId account, Filing filing) {
    for (const auto& fact : filing.facts) {
        if (auto sound = check_name(fact.name, kLongestFactName); !sound) co_return pass_on(sound);
        if (fact.value.size() > kLargestFact) co_return fail(Errc::too_large, "a fact has 1 KB at most");
    }
    for (auto& item : filing.items) {
        if (item.message.content.key && !impl_->options.codec)
            co_return fail(Errc::denied, "the content is encoded, and nothing here can do that");
        auto name = canonical_name(item.mailbox);
        item.mailbox = name ? std::move(*name) : std::string(kInboxName);
    }
    auto change = [impl = impl_.get(), account, filing = std::move(filing)](Hot& hot) {
        return impl->changes.file(account, hot, filing);
    };
    co_return co_await impl_->alone<std::vector<Message>>(account, std::move(change));
}

Task<Result<std::unique_ptr<Maildrop>>> MailStore::open_maildrop(AccountId account, WantedMaildrop wanted) {
    auto opened = co_await impl_->open_maildrop(account, wanted);
    if (opened || opened.error().code() != Errc::conflict) co_return opened;
    if (auto made = co_await impl_->make_lost_views(account, wanted); !made) co_return pass_on(made);
    co_return co_await impl_->open_maildrop(account, std::move(wanted));
}

// Views

Task<Result<>> MailStore::make_view(AccountId account, MailboxView view, Timestamp since, bool counts) {
    auto change = [impl = impl_.get(), account, view, since, counts](Hot& hot) {
        return impl->changes.make_view(account, hot, view, since, counts);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<std::uint64_t>> MailStore::drop_view(AccountId account, MailboxView view, WhenAllDeleted when) {
    std::uint64_t gone = 0;
    for (;;) {
        auto change = [impl = impl_.get(), account, view, when](Hot& hot) {
            return impl->changes.drop_view(account, hot, view, when);
        };
        auto dropped = co_await impl_->alone<Changes::Dropped>(account, std::move(change));
        if (!dropped) co_return pass_on(dropped);
        gone += dropped->gone;
        if (!dropped->more) co_return gone;
    }
}

Task<Result<std::vector<UsedView>>> MailStore::views(AccountId account) {
    std::vector<UsedView> found;
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (record->views == 0) co_return found;
    auto entries = co_await impl_->engine.scan(account, keys::views(), record->views + 1);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        const auto view = decode_view(entry.value);
        // A damaged one is there still, and counts as used.
        found.push_back({keys::view_of(entry.key), view ? view->used : impl_->clock.now()});
    }
    co_return found;
}

Task<Result<std::uint64_t>> MailStore::let_go(AccountId account, std::vector<ViewId> ignored) {
    std::uint64_t all = 0;
    for (;;) {
        auto change = [impl = impl_.get(), account, ignored](Hot& hot) {
            return impl->changes.let_go(account, hot, ignored);
        };
        auto gone = co_await impl_->alone<std::uint64_t>(account, std::move(change));
        if (!gone) co_return pass_on(gone);
        all += *gone;
        if (*gone == 0) co_return all;
    }
}

Task<Result<AccountTotals>> MailStore::totals(AccountId account) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    co_return record->totals();
}

Task<Result<std::vector<StoredMessage>>> MailStore::list(AccountId account, OrderKey after, std::size_t limit) {
    return list(account, kInbox, after, limit);
}

Task<Result<std::vector<StoredMessage>>> MailStore::list(AccountId account, MailboxId mailbox, OrderKey after,
                                                         std::size_t limit) {
    std::vector<StoredMessage> messages;
    if (limit == 0 || after == OrderKey(~0ull)) co_return messages;
    auto entries = co_await impl_->engine.scan(account, keys::messages(mailbox, OrderKey(after.value + 1)), limit);
    if (!entries) co_return pass_on(entries);
    messages.reserve(entries->size());
    for (const auto entry : *entries) {
        auto message = decode_message(entry);
        if (!message) co_return pass_on(message);
        messages.push_back(std::move(*message));
    }
    co_return messages;
}

Task<Result<std::shared_ptr<const MessageList>>> MailStore::list_uids(AccountId account, MailboxId mailbox) {
    return impl_->uid_lists.read(impl_->engine, account, mailbox);
}

Task<Result<std::vector<std::string>>> MailStore::keywords(AccountId account, MailboxId mailbox) {
    auto value = co_await impl_->engine.get(account, keys::keywords(mailbox));
    if (!value && value.error().code() == Errc::not_found) co_return std::vector<std::string>();
    if (!value) co_return pass_on(value);
    auto table = decode_keywords(*value);
    if (!table) co_return pass_on(table);
    co_return table->names();
}

Task<Result<FlagOutcome>> MailStore::change_flags(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                                  FlagChange change) {
    auto one = [impl = impl_.get(), account, mailbox, change = std::move(change)](Hot& hot, std::vector<Uid> part) {
        return impl->changes.change_flags(account, hot, mailbox, std::move(part), change);
    };
    auto join = [](FlagOutcome& all, FlagOutcome part) {
        all.number = std::max(all.number, part.number);
        all.refused.insert(all.refused.end(), part.refused.begin(), part.refused.end());
    };
    return impl_->in_parts<FlagOutcome>(account, std::move(uids), std::move(one), join);
}

Task<Result<std::vector<StoredMessage>>> MailStore::messages(AccountId account, MailboxId mailbox,
                                                             std::vector<Uid> uids) {
    std::ranges::sort(uids);
    uids.erase(std::ranges::unique(uids).begin(), uids.end());
    return look_up(impl_->engine, account, mailbox, std::move(uids));
}

Task<Result<MailboxTotals>> MailStore::measure(AccountId account, MailboxId mailbox, std::vector<Uid> uids) {
    auto found = co_await messages(account, mailbox, std::move(uids));
    if (!found) co_return pass_on(found);
    MailboxTotals totals;
    for (const auto& message : *found) count_in(totals, message);
    co_return totals;
}

Task<Result<std::vector<Transferred>>> MailStore::copy(AccountId account, MailboxId from, std::vector<Uid> uids,
                                                       MailboxId to) {
    return impl_->transfer(account, Changes::Transfer::copy, from, std::move(uids), to);
}

Task<Result<std::vector<Transferred>>> MailStore::move(AccountId account, MailboxId from, std::vector<Uid> uids,
                                                       MailboxId to) {
    return impl_->transfer(account, Changes::Transfer::move, from, std::move(uids), to);
}

Task<Result<std::uint64_t>> MailStore::expunge(AccountId account, MailboxId mailbox, std::vector<Uid> uids,
                                               std::string reason) {
    auto change = [impl = impl_.get(), account, mailbox, reason = std::move(reason)](Hot& hot, std::vector<Uid> part) {
        return impl->changes.expunge(account, hot, mailbox, std::move(part), reason);
    };
    auto join = [](std::uint64_t& all, std::uint64_t part) { all += part; };
    return impl_->in_parts<std::uint64_t>(account, std::move(uids), std::move(change), join);
}

// A full disk, or whatever else keeps a structure from being kept, keeps nobody from reading.
Task<std::vector<Result<mail::Structure>>> MailStore::structures(AccountId account,
                                                                 std::vector<StoredMessage> messages) {
    std::vector<Result<mail::Structure>> found;
    std::vector<Changes::Described> made;
    std::uint64_t octets = 0;
    for (auto& message : messages) {
        const bool last = found.size() + 1 == messages.size();
        auto row = co_await impl_->engine.get(account, keys::structure(message.body));
        auto structure = row ? mail::decode_structure(*row) : Result<mail::Structure>(std::unexpected(row.error()));
        if (!structure) {
            structure = co_await impl_->read_structure(account, message);
            if (structure) {
                made.push_back({std::move(message), mail::encode(*structure)});
                octets += made.back().structure.size();
            }
        }
        found.push_back(std::move(structure));
        const auto& options = impl_->options;
        if (made.empty() || (!last && made.size() < options.commit_messages && octets < options.commit_octets))
            continue;
        auto change = [impl = impl_.get(), account, made = std::exchange(made, {})](Hot& hot) mutable {
            return impl->changes.keep_structures(account, hot, std::move(made));
        };
        co_await impl_->alone<void>(account, std::move(change));
        octets = 0;
    }
    co_return found;
}

Task<Result<>> MailStore::drop_structures(AccountId account) {
    for (;;) {
        auto change = [impl = impl_.get(), account](Hot& hot) { return impl->changes.drop_structures(account, hot); };
        auto more = co_await impl_->alone<bool>(account, std::move(change));
        if (!more) co_return pass_on(more);
        if (!*more) co_return Result<>{};
    }
}

Task<std::vector<Result<ThreadId>>> MailStore::threads(AccountId account, std::vector<StoredMessage> messages) {
    std::vector<Result<ThreadId>> found;
    std::vector<StoredMessage> without;  // those that have no thread yet, and their places in `found`
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        auto row = co_await impl_->engine.get(account, keys::thread(messages[i].body));
        auto decoded = row ? decode_thread(*row) : Result<ThreadRow>(std::unexpected(row.error()));
        if (decoded)
            found.push_back(decoded->thread);
        else
            found.push_back(std::unexpected(decoded.error()));
        if (!row && row.error().code() == Errc::not_found) {
            places.push_back(i);
            without.push_back(std::move(messages[i]));
        }
        const bool last = i + 1 == messages.size();
        if (without.empty() || (!last && without.size() < impl_->options.commit_messages)) continue;
        auto joined = co_await impl_->join_threads(*this, account, std::exchange(without, {}));
        for (std::size_t n = 0; n < places.size(); ++n) found[places[n]] = std::move(joined[n]);
        places.clear();
    }
    co_return found;
}

Task<Result<ChangeList>> MailStore::changes_since(AccountId account, ModSequence since, std::size_t limit) {
    return read_changes(impl_->engine, account, since, limit, impl_->engine.snapshot(account));
}

std::unique_ptr<engine::Watch> MailStore::watch(AccountId account, std::function<void()> hint) {
    return impl_->engine.watch(account, std::move(hint));
}

// Mailboxes

Task<Result<std::vector<Mailbox>>> MailStore::mailboxes(AccountId account) {
    if (auto record = co_await impl_->record_with_mailboxes(account); !record) co_return pass_on(record);
    co_return co_await impl_->mailboxes_there(account);
}

Task<Result<Mailbox>> MailStore::mailbox(AccountId account, std::string name) {
    auto canonical = canonical_name(name);
    if (!canonical) co_return pass_on(canonical);
    auto record = co_await impl_->record_with_mailboxes(account);
    if (!record) co_return pass_on(record);
    co_return co_await impl_->mailbox(account, std::move(*canonical), std::move(*record));
}

Task<Result<Mailbox>> MailStore::find_mailbox(AccountId account, std::string text) {
    const auto none = fail(Errc::not_found, "no mailbox is called so");
    auto canonical = canonical_name(text);
    if (!canonical) co_return none;
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (!record->others && *canonical != kInboxName && impl_->is_default_mailbox(text)) {
        record = co_await impl_->record_with_mailboxes(account);
        if (!record) co_return pass_on(record);
    }
    auto exact = co_await impl_->mailbox(account, std::move(*canonical), std::move(*record));
    if (exact || exact.error().code() != Errc::not_found) co_return exact;
    auto all = co_await impl_->mailboxes_there(account);
    if (!all) co_return pass_on(all);
    auto found = std::ranges::find_if(*all, [&](const Mailbox& one) { return is_same_in_any_case(one.name, text); });
    auto has_use = [&](const Mailbox& one) {
        return one.use != SpecialUse::none && is_same_in_any_case(to_string(one.use), text);
    };
    if (found == all->end()) found = std::ranges::find_if(*all, has_use);
    if (found == all->end()) co_return none;
    co_return std::move(*found);
}

Task<Result<Mailbox>> MailStore::add_mailbox(AccountId account, std::string name, SpecialUse use) {
    auto canonical = canonical_name(name);
    if (!canonical) co_return pass_on(canonical);
    auto change = [impl = impl_.get(), account, name = *canonical, use](Hot& hot) {
        return impl->changes.add_mailbox(account, hot, name, use);
    };
    auto made = co_await impl_->alone<MailboxId>(account, std::move(change));
    if (!made) co_return pass_on(made);
    co_return co_await mailbox(account, *canonical);
}

Task<Result<>> MailStore::rename_mailbox(AccountId account, std::string from, std::string to) {
    auto old_name = canonical_name(from), new_name = canonical_name(to);
    if (!old_name) co_return pass_on(old_name);
    if (!new_name) co_return pass_on(new_name);
    auto change = [impl = impl_.get(), account, from = *old_name, to = *new_name](Hot& hot) {
        return impl->changes.rename_mailbox(account, hot, from, to);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<>> MailStore::set_subscription(AccountId account, std::string name, Subscription subscription) {
    auto canonical = canonical_name(name);
    if (!canonical) co_return pass_on(canonical);
    auto change = [impl = impl_.get(), account, name = *canonical, subscription](Hot& hot) {
        return impl->changes.set_subscription(account, hot, name, subscription);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<>> MailStore::set_use(AccountId account, std::string name, SpecialUse use) {
    auto canonical = canonical_name(name);
    if (!canonical) co_return pass_on(canonical);
    auto change = [impl = impl_.get(), account, name = *canonical, use](Hot& hot) {
        return impl->changes.set_use(account, hot, name, use);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<>> MailStore::remove_mailbox(AccountId account, std::string name, std::string reason) {
    auto canonical = canonical_name(name);
    if (!canonical) co_return pass_on(canonical);
    auto change = [impl = impl_.get(), account, name = *canonical, reason](Hot& hot) {
        return impl->changes.remove_mailbox(account, hot, name, reason);
    };
    auto left = co_await impl_->alone<MailboxId>(account, std::move(change));
    if (!left) co_return pass_on(left);
    co_return co_await impl_->drain(account, *left, std::move(reason));
}

// Documents and facts

Task<Result<std::vector<DocumentInfo>>> MailStore::documents(AccountId account) {
    std::vector<DocumentInfo> found;
    auto entries = co_await impl_->engine.scan(account, keys::documents(), impl_->options.documents);
    if (!entries) co_return pass_on(entries);
    for (const auto entry : *entries) {
        auto info = decode_document_info(entry);
        if (!info) co_return pass_on(info);
        found.push_back(std::move(*info));
    }
    co_return found;
}

Task<Result<Document>> MailStore::document(AccountId account, std::string name) {
    auto snapshot = impl_->engine.snapshot(account);
    const auto key = keys::document(name);
    auto row = co_await impl_->engine.get(account, key, snapshot);
    if (!row && row.error().code() == Errc::not_found) co_return fail(Errc::not_found, "no such document");
    if (!row) co_return pass_on(row);
    auto info = decode_document_info({key, *row});
    if (!info) co_return pass_on(info);
    auto content = co_await impl_->engine.get(account, keys::document_content(name), snapshot);
    if (!content && content.error().code() == Errc::not_found)
        co_return fail(Errc::corrupt, "a document's content is not there");
    if (!content) co_return pass_on(content);
    co_return Document{std::move(*info), std::move(*content)};
}

Task<Result<ModSequence>> MailStore::put_document(AccountId account, std::string name, std::string content,
                                                  std::optional<ModSequence> expected) {
    if (auto sound = check_name(name, kLongestDocumentName); !sound) co_return pass_on(sound);
    if (content.size() > kLargestDocument) co_return fail(Errc::too_large, "a document has 1 MB at most");
    auto change = [impl = impl_.get(), account, name = std::move(name), content = std::move(content),
                   expected](Hot& hot) { return impl->changes.put_document(account, hot, name, content, expected); };
    co_return co_await impl_->alone<ModSequence>(account, std::move(change));
}

Task<Result<>> MailStore::remove_document(AccountId account, std::string name, std::optional<ModSequence> expected) {
    auto change = [impl = impl_.get(), account, name = std::move(name), expected](Hot& hot) {
        return impl->changes.remove_document(account, hot, name, expected);
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<std::optional<std::string>>> MailStore::fact(AccountId account, std::string name) {
    auto value = co_await impl_->engine.get(account, keys::fact(name));
    if (!value && value.error().code() == Errc::not_found) co_return std::optional<std::string>();
    if (!value) co_return pass_on(value);
    auto fact = decode_fact(*value);
    if (!fact) co_return pass_on(fact);
    if (fact->expires <= impl_->clock.now()) co_return std::optional<std::string>();
    co_return std::move(fact->value);
}

Task<Result<bool>> MailStore::remember(AccountId account, std::string name, std::string value, Timestamp expires) {
    if (auto sound = check_name(name, kLongestFactName); !sound) co_return pass_on(sound);
    if (value.size() > kLargestFact) co_return fail(Errc::too_large, "a fact has 1 KB at most");
    auto change = [impl = impl_.get(), account, name = std::move(name), value = std::move(value), expires](Hot& hot) {
        return impl->changes.remember(account, hot, name, value, expires);
    };
    co_return co_await impl_->alone<bool>(account, std::move(change));
}

Task<Result<StoredMessage>> MailStore::find(AccountId account, std::string unique_id) {
    auto snapshot = impl_->engine.snapshot(account);  // index and record as of one moment
    auto found = co_await look_up(impl_->engine, account, std::move(unique_id), std::move(snapshot));
    if (!found) co_return pass_on(found);
    co_return std::move(found->message);
}

Task<Result<StoredMessage>> MailStore::find(AccountId account, engine::BodyId body) {
    auto snapshot = impl_->engine.snapshot(account);
    for (bool live : {true, false}) {
        auto range = live ? keys::messages() : keys::retained();
        for (bool more = true; more;) {
            auto page = co_await impl_->engine.scan(account, range, kPage, snapshot);
            if (!page) co_return pass_on(page);
            for (const auto entry : *page) {
                auto found = decode_found(live ? Place::Area::live : Place::Area::retained, entry);
                if (found && found->message.body == body) co_return std::move(found->message);
            }
            more = page->size() == kPage;
            if (more) range.begin_behind(page->back().key);
        }
    }
    co_return fail(Errc::not_found, "no message has this body");
}

Task<Result<std::unique_ptr<engine::BodyReader>>> MailStore::open(AccountId account, Message message) {
    return impl_->open(account, std::move(message));
}

Task<Result<>> MailStore::remove(AccountId account, std::vector<std::string> unique_ids, std::string reason) {
    if (unique_ids.empty()) co_return Result<>{};
    auto change = [impl = impl_.get(), account, unique_ids = std::move(unique_ids), reason = std::move(reason)](
                      Hot& hot) { return impl->changes.remove_by_id(account, hot, unique_ids, reason); };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<std::vector<RetainedMessage>>> MailStore::list_retained(AccountId account, std::size_t offset,
                                                                    std::size_t limit) {
    std::vector<RetainedMessage> found;
    auto snapshot = impl_->engine.snapshot(account);
    auto range = keys::retained();
    while (found.size() < limit) {
        const std::size_t want = std::min(kPage, std::min(offset, kPage) + std::min(limit - found.size(), kPage));
        auto page = co_await impl_->engine.scan(account, range, want, snapshot);
        if (!page) co_return pass_on(page);
        for (std::size_t i = std::min(offset, page->size()); i < page->size() && found.size() < limit; ++i) {
            auto retained = decode_retained((*page)[i]);
            if (!retained) co_return pass_on(retained);
            found.push_back(std::move(*retained));
        }
        offset -= std::min(offset, page->size());
        if (page->size() < want) break;
        range.begin_behind(page->back().key);
    }
    co_return found;
}

Task<Result<StoredMessage>> MailStore::restore(AccountId account, std::string unique_id, std::optional<MailboxId> to) {
    auto change = [impl = impl_.get(), account, unique_id = std::move(unique_id), to](Hot& hot) {
        return impl->changes.restore(account, hot, unique_id, to);
    };
    co_return co_await impl_->alone<StoredMessage>(account, std::move(change));
}

Task<Result<>> MailStore::set_retention(AccountId account, std::optional<std::chrono::seconds> keep) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    const auto& now = record->retention;
    const auto wanted = keep.value_or(impl_->options.retention);
    if ((!now && !keep) || record->closed || (now && now->keep == wanted && now->applied)) co_return Result<>{};
    auto set = [impl = impl_.get(), account, wanted](Hot& hot) {
        return impl->changes.set_retention(account, hot, wanted);
    };
    if (auto done = co_await impl_->alone<void>(account, std::move(set)); !done) co_return done;
    auto step = [impl = impl_.get(), account](Hot& hot, std::string from) {
        return impl->changes.keep_by_retention(account, hot, std::move(from));
    };
    auto done = co_await impl_->step_by_step(account, std::move(step));
    if (!done) co_return pass_on(done);
    co_return Result<>{};
}

Task<Result<std::uint64_t>> MailStore::keep_twice(AccountId account, DeletionFilter which) {
    auto step = [impl = impl_.get(), account, which = std::move(which)](Hot& hot, std::string from) {
        return impl->changes.keep_twice(account, hot, which, std::move(from));
    };
    co_return co_await impl_->step_by_step(account, std::move(step));
}

Task<Result<std::uint64_t>> MailStore::keep_retained_limit(AccountId account) {
    const auto limit = impl_->options.retained_limit;
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (limit == 0 || record->retained_octets <= limit) co_return 0;
    // Octets by the day on which they end, then by that on which they were deleted.
    std::map<std::chrono::sys_days, std::map<std::chrono::sys_days, std::uint64_t>> days;
    std::chrono::sys_days newest{};
    auto range = keys::retained();
    for (bool more = true; more;) {
        auto page = co_await impl_->engine.scan(account, range, kPage);
        if (!page) co_return pass_on(page);
        for (const auto entry : *page) {
            auto retained = decode_retained(entry);
            if (!retained) continue;  // damaged: expire() tells of it
            const auto deleted = std::chrono::floor<std::chrono::days>(retained->deleted);
            newest = std::max(newest, deleted);
            days[std::chrono::floor<std::chrono::days>(retained->expires)][deleted] += retained->message.octets;
        }
        more = page->size() == kPage;
        if (more) range.begin_behind(page->back().key);
    }
    auto left = record->retained_octets;
    std::optional<std::chrono::sys_days> last;
    for (auto& [ends, deleted] : days) {
        if (left <= limit) break;
        deleted.erase(newest);
        for (const auto& [day, octets] : deleted) subtract(left, octets);
        last = ends;
    }
    if (!last) co_return 0;
    const Timestamp end = *last + std::chrono::days(1) - std::chrono::milliseconds(1);
    auto step = [impl = impl_.get(), account, end, newest = Timestamp(newest)](Hot& hot, std::string from) {
        return impl->changes.forget_early(account, hot, end, newest, std::move(from));
    };
    co_return co_await impl_->step_by_step(account, std::move(step));
}

Task<Result<std::uint64_t>> MailStore::expire(AccountId account, Timestamp now) {
    // One get for an account that has nothing to expire, as nearly all have.
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    const bool expires = record->earliest_expiry != Timestamp{} && record->earliest_expiry <= now;
    const bool trims =
        record->log && record->log->rows != 0 && record->log->oldest <= now - impl_->options.change_log_age - kLogSlack;
    if (record->others && record->others->removed != 0)
        if (auto done = co_await impl_->drain_removed(account); !done) co_return pass_on(done);
    if (!expires && !trims) co_return 0;
    auto step = [impl = impl_.get(), account, now](Hot& hot, std::string from) {
        return impl->changes.expire(account, hot, now, std::move(from));
    };
    co_return co_await impl_->step_by_step(account, std::move(step));
}

Task<Result<std::uint64_t>> MailStore::mend_times(AccountId account, Timestamp now) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (record->retained_messages == 0) co_return 0;
    auto step = [impl = impl_.get(), account, now](Hot& hot, std::string from) {
        return impl->changes.mend_times(account, hot, now, std::move(from));
    };
    co_return co_await impl_->step_by_step(account, std::move(step));
}

// Messages are in the order of their arrival; should a later one seem older (the clock was set back), it waits until
// those before it are due. One from the future came before those behind it all the same.
Task<Result<std::uint64_t>> MailStore::expire_live(AccountId account, Timestamp last) {
    std::uint64_t total = 0;
    for (std::size_t limit = 1;; limit = impl_->options.forget_messages) {
        auto messages = co_await list(account, OrderKey(0), limit);
        if (!messages) co_return pass_on(messages);
        std::vector<Victim> victims;
        std::size_t due = 0;
        for (const auto& message : *messages) {
            const bool future = message.received > impl_->clock.now() + kFuture;
            if (message.received > last && !future) break;
            victims.push_back({message.order, message.body});
            if (!future) due = victims.size();
        }
        const bool all_future = due == 0 && victims.size() == limit;
        victims.resize(due);
        if (due != 0) {
            auto change = [impl = impl_.get(), account, victims = std::move(victims)](Hot& hot) {
                return impl->changes.remove(account, hot, victims, "expire");
            };
            auto removed = co_await impl_->alone<void>(account, std::move(change));
            if (!removed) co_return pass_on(removed);
            total += due;
        }
        if (due < limit && !(all_future && limit == 1)) co_return total;
    }
}

Task<Result<>> MailStore::purge(AccountId account, Afterwards afterwards) {
    auto change = [impl = impl_.get(), account, afterwards](Hot& hot) {
        return impl->told(account, impl->changes.purge(account, hot, afterwards));
    };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<>> MailStore::close(AccountId account) {
    auto change = [impl = impl_.get(), account](Hot& hot) { return impl->changes.close(account, hot); };
    co_return co_await impl_->alone<void>(account, std::move(change));
}

Task<Result<bool>> MailStore::repair(AccountId account) {
    auto change = [impl = impl_.get(), account](Hot& hot) {
        hot.reset();
        return impl->told(account, repair_account(impl->engine, account, impl->clock.now()));
    };
    co_return co_await impl_->alone<bool>(account, std::move(change));
}

Task<Result<>> MailStore::check(AccountId account) { co_return co_await check_account(impl_->engine, account); }

}  // namespace poplar::mailstore
