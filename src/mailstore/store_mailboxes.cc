// The mailboxes of an account: found by name, made, renamed, removed.
#include "mailstore/mailbox_name.h"
#include "mailstore/store_parts.h"

namespace poplar::mailstore {

namespace {

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

}  // namespace

Task<Result<AccountRecord>> MailStore::Impl::record_with_mailboxes(AccountId account) {
    auto found = co_await record(account);
    if (!found || found->others || found->closed || options.default_mailboxes.empty()) co_return found;
    auto change = [this, account](Hot& hot) { return changes.make_default_mailboxes(account, hot); };
    auto made = co_await alone<void>(account, std::move(change));
    if (!made) co_return pass_on(made);
    co_return co_await record(account);
}

bool MailStore::Impl::is_default_mailbox(std::string_view text) const {
    return std::ranges::any_of(options.default_mailboxes, [text](const std::string& one) {
        const auto parsed = parse_default_mailbox(one);
        return parsed && (is_same_in_any_case(parsed->name, text) ||
                          (parsed->use != SpecialUse::none && is_same_in_any_case(to_string(parsed->use), text)));
    });
}

Task<Result<Mailbox>> MailStore::Impl::mailbox(AccountId account, std::string name, AccountRecord record) {
    if (name == kInboxName) co_return described(kInbox, std::move(record.inbox));
    auto snapshot = engine.snapshot(account);
    auto value = co_await engine.get(account, keys::name(name), snapshot);
    if (!value && value.error().code() == Errc::not_found) co_return fail(Errc::not_found, "no mailbox is called so");
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

Task<Result<std::vector<Mailbox>>> MailStore::Impl::mailboxes_there(AccountId account) {
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

Task<Result<>> MailStore::Impl::drain(AccountId account, MailboxId id, std::string reason) {
    while (id != MailboxId()) {
        auto change = [this, account, id, reason](Hot& hot) { return changes.drain_mailbox(account, hot, id, reason); };
        auto next = co_await alone<MailboxId>(account, std::move(change));
        if (!next) co_return pass_on(next);
        id = *next;
    }
    co_return Result<>{};
}

Task<Result<>> MailStore::Impl::drain_removed(AccountId account) {
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

Task<Result<std::vector<std::string>>> MailStore::lost_subscriptions(AccountId account) {
    auto entries = co_await impl_->engine.scan(account, keys::lost_subscriptions(), kMostLostSubscriptions);
    if (!entries) co_return pass_on(entries);
    std::vector<std::string> names;
    for (const auto entry : *entries) names.emplace_back(keys::name_of(entry.key));
    co_return names;
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

}  // namespace poplar::mailstore
