// What was deleted and is still kept: listing, restoring and forgetting it; closing, checking and repairing an account.
#include <map>

#include "mailstore/check.h"
#include "mailstore/repair.h"
#include "mailstore/store_parts.h"

namespace poplar::mailstore {

namespace {

constexpr auto kLogSlack = std::chrono::days(1);  // so that an account's log is trimmed once a day, not once a row

}  // namespace

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
