#include "mailstore/mail_store.h"

#include "mailstore/account_queues.h"
#include "mailstore/changes.h"
#include "mailstore/check.h"
#include "mailstore/lookup.h"
#include "mailstore/maildrop.h"
#include "mailstore/message_lists.h"
#include "mailstore/record.h"
#include "mailstore/repair.h"

namespace poplar::mailstore {

namespace {

constexpr std::size_t kPage = 1000;  // entries a scan

/// Runs a change and sends its result.
template <class T, class Change>
Task<> answer_with(Change change, typename OneShot<T>::Sender answer) {
    answer.send(co_await std::move(change));
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

    /// A turn for each commit, so that deliveries come in between. Returns how many messages that was.
    Task<Result<std::uint64_t>> step_by_step(AccountId account, Timestamp now,
                                             Task<Result<Changes::Expired>> (Changes::*step)(AccountId, Hot&, Timestamp,
                                                                                             std::string)) {
        std::uint64_t total = 0;
        std::string from;
        do {
            auto change = [this, account, now, step, from](Hot& hot) {
                return (changes.*step)(account, hot, now, from);
            };
            auto done = co_await alone<Changes::Expired>(account, std::move(change));
            if (!done) co_return pass_on(done);
            total += done->messages;
            from = std::move(done->next);
        } while (!from.empty());
        co_return total;
    }

    Task<Result<MailboxRecord>> record(AccountId account, std::shared_ptr<const engine::Snapshot> snapshot = nullptr) {
        auto value = co_await engine.get(account, keys::mailbox(), std::move(snapshot));
        if (!value && value.error().code() == Errc::not_found) co_return MailboxRecord{};
        if (!value) co_return pass_on(value);
        co_return decode_mailbox(*value);
    }

    engine::Engine& engine;
    const Clock& clock;
    const Options options;
    Changes changes;
    MessageLists lists{options.list_cache};
    std::shared_ptr<AccountQueues> queues;
};

MailStore::MailStore(engine::Engine& engine, const Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(engine, clock, options)) {}
MailStore::~MailStore() = default;

Task<Result<Message>> MailStore::append(AccountId account, NewMessage message) {
    if (!message.unique_id.empty() && !is_unique_id(message.unique_id))
        co_return fail(Errc::invalid, "a unique-id has 1 to 70 printable ASCII characters");
    OneShot<Message> answer;
    co_await impl_->queues->push(account, Append{std::move(message), impl_->clock.now(), answer.sender()});
    co_return co_await answer.receive();
}

Task<Result<std::unique_ptr<Maildrop>>> MailStore::open_maildrop(AccountId account) {
    auto lease = co_await impl_->engine.lease(account, kMaildropLease);
    if (!lease) co_return pass_on(lease);
    auto snapshot = impl_->engine.snapshot(account);
    auto record = co_await impl_->record(account, snapshot);
    if (!record) co_return pass_on(record);
    if (record->totals.messages == 0) snapshot.reset();
    auto remove = [impl = impl_.get(), account](std::vector<Victim> victims, engine::Batch::Fence fence) {
        auto change = [impl, account, victims = std::move(victims), fence = std::move(fence)](Hot& hot) {
            return impl->changes.remove(account, hot, victims, "pop3", fence);
        };
        return impl->alone<void>(account, std::move(change));
    };
    co_return std::make_unique<InboxMaildrop>(impl_->engine, impl_->lists, account, std::move(*lease), *record,
                                              std::move(snapshot), std::move(remove));
}

Task<Result<MailboxTotals>> MailStore::totals(AccountId account) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    co_return record->totals;
}

Task<Result<std::vector<Message>>> MailStore::list(AccountId account, OrderKey after, std::size_t limit) {
    std::vector<Message> messages;
    if (limit == 0 || after == OrderKey(~0ull)) co_return messages;
    auto entries = co_await impl_->engine.scan(account, keys::messages(OrderKey(after.value + 1)), limit);
    if (!entries) co_return pass_on(entries);
    messages.reserve(entries->size());
    for (const auto entry : *entries) {
        auto message = decode_message(entry);
        if (!message) co_return pass_on(message);
        messages.push_back(std::move(*message));
    }
    co_return messages;
}

Task<Result<Message>> MailStore::find(AccountId account, std::string unique_id) {
    auto snapshot = impl_->engine.snapshot(account);  // index and record as of one moment
    auto found = co_await look_up(impl_->engine, account, std::move(unique_id), std::move(snapshot));
    if (!found) co_return pass_on(found);
    co_return std::move(found->retained.message);
}

Task<Result<std::unique_ptr<engine::BodyReader>>> MailStore::open(AccountId account, Message message) {
    auto bodies = impl_->engine.read_bodies(account);
    co_return co_await bodies->open(message.body);
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

Task<Result<Message>> MailStore::restore(AccountId account, std::string unique_id) {
    auto change = [impl = impl_.get(), account, unique_id = std::move(unique_id)](Hot& hot) {
        return impl->changes.restore(account, hot, unique_id);
    };
    co_return co_await impl_->alone<Message>(account, std::move(change));
}

Task<Result<std::uint64_t>> MailStore::expire(AccountId account, Timestamp now) {
    // One get for an account that has nothing to expire, as nearly all have.
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (record->earliest_expiry == Timestamp{} || record->earliest_expiry > now) co_return 0;
    co_return co_await impl_->step_by_step(account, now, &Changes::expire);
}

Task<Result<std::uint64_t>> MailStore::mend_times(AccountId account, Timestamp now) {
    auto record = co_await impl_->record(account);
    if (!record) co_return pass_on(record);
    if (record->totals.retained_messages == 0) co_return 0;
    co_return co_await impl_->step_by_step(account, now, &Changes::mend_times);
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
                return impl->changes.remove(account, hot, victims, "expire", std::nullopt);
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
        return impl->changes.purge(account, hot, afterwards);
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
        return repair_account(impl->engine, account);
    };
    co_return co_await impl_->alone<bool>(account, std::move(change));
}

Task<Result<>> MailStore::check(AccountId account) { co_return co_await check_account(impl_->engine, account); }

}  // namespace poplar::mailstore
