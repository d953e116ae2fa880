// Opening maildrops for POP3: the locks, the views, and what happens when a view's row is lost.
#include "base/log.h"
#include "mailstore/joined_maildrop.h"
#include "mailstore/store_parts.h"

namespace poplar::mailstore {

void MailStore::Impl::note_use(AccountId account, MailboxView view, const Executor& executor) {
    auto note = [](std::shared_ptr<AccountQueues> queues, Changes& changes, AccountId account,
                   MailboxView view) -> Task<> {
        Exclusive turn = [&changes, account, view](Hot& hot) { return changes.note_use(account, hot, view); };
        co_await queues->push(account, std::move(turn));
    };
    asio::co_spawn(executor, note(queues, changes, account, view), asio::detached);
}

Task<Result<ViewRecord>> MailStore::Impl::read_view(AccountId account, MailboxView view,
                                                    std::shared_ptr<const engine::Snapshot> snapshot) {
    auto value = co_await engine.get(account, keys::view(view), std::move(snapshot));
    if (!value) co_return pass_on(value);
    co_return decode_view(*value);
}

Task<Result<MailboxRecord>> MailStore::Impl::read_mailbox(AccountId account, MailboxId id,
                                                          std::shared_ptr<const engine::Snapshot> snapshot) {
    auto value = co_await engine.get(account, keys::mailbox(id), std::move(snapshot));
    if (!value) co_return pass_on(value);
    auto mailbox = decode_mailbox(*value);
    if (mailbox && mailbox->removed) co_return fail(Errc::not_found, "the mailbox was removed");
    co_return mailbox;
}

MailboxMaildrop::Remove MailStore::Impl::remover(AccountId account, const WantedMaildrop& wanted) {
    return [this, account, when = wanted.when_all_deleted, device = wanted.device](std::vector<Deletions> deletions) {
        for (auto& part : deletions) part.device = device;
        auto change = [this, account, when, deletions = std::move(deletions)](Hot& hot) {
            return changes.delete_in(account, hot, deletions, when);
        };
        return alone<void>(account, std::move(change));
    };
}

Task<Result<std::unique_ptr<MailboxMaildrop>>> MailStore::Impl::open_view(
    ViewOf of, std::unique_ptr<engine::Lease> lease, AccountRecord record,
    std::shared_ptr<const engine::Snapshot> snapshot, const WantedMaildrop& wanted) {
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
            if (clock.now() - read->used >= kUsedWithin) note_use(of.account, view, co_await asio::this_coro::executor);
            shown = std::make_unique<const ViewRecord>(std::move(*read));
        }
    }
    auto opened = std::make_unique<MailboxMaildrop>(
        engine, lists, of, std::move(lease), std::move(record.generation), record.inbox, std::move(shown),
        std::move(snapshot), Decoders{options.codec.get(), wanted.key}, remover(of.account, wanted));
    if (wanted.when_all_deleted == WhenAllDeleted::keep) opened->only_hide();
    co_return opened;
}

Task<Result<>> MailStore::Impl::make_lost_views(AccountId account, WantedMaildrop wanted) {
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

Task<Result<std::unique_ptr<Maildrop>>> MailStore::Impl::open_maildrop(AccountId account, WantedMaildrop wanted) {
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

Task<Result<std::unique_ptr<Maildrop>>> MailStore::Impl::open_several(AccountId account, WantedMaildrop wanted) {
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

Task<Result<std::unique_ptr<Maildrop>>> MailStore::open_maildrop(AccountId account, WantedMaildrop wanted) {
    auto opened = co_await impl_->open_maildrop(account, wanted);
    if (opened || opened.error().code() != Errc::conflict) co_return opened;
    if (auto made = co_await impl_->make_lost_views(account, wanted); !made) co_return pass_on(made);
    co_return co_await impl_->open_maildrop(account, std::move(wanted));
}

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

}  // namespace poplar::mailstore
