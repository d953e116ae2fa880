#include "server/housekeeping.h"

#include "base/log.h"

namespace poplar::server {

Task<Result<>> Housekeeping::rest() {
    asio::steady_timer timer(co_await asio::this_coro::executor, pace_.pause);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (stopping_) co_return fail(Errc::cancelled, "stopping");
    co_return Result<>();
}

Task<Result<HousekeepingTotals>> Housekeeping::round() {
    HousekeepingTotals totals;
    if (auto done = co_await expire_retained(totals); !done) co_return pass_on(done);
    if (auto done = co_await purge_removed(totals); !done) co_return pass_on(done);
    co_return totals;
}

Task<Result<>> Housekeeping::expire_retained(HousekeepingTotals& totals) {
    std::string after;
    for (;;) {
        auto page = co_await directory_.accounts("", after, pace_.accounts);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            ++totals.accounts;
            auto expired = co_await store_.expire(account.id);
            if (expired) {
                totals.expired += *expired;
                continue;
            }
            ++totals.failures;
            log::warning("housekeeping.expire_failed",
                         {{"account", account.address}, {"reason", expired.error().detail()}});
        }
        if (page->size() < pace_.accounts) co_return Result<>();
        if (auto rested = co_await rest(); !rested) co_return rested;
    }
}

Task<Result<>> Housekeeping::purge_removed(HousekeepingTotals& totals) {
    directory::AccountId after;
    for (;;) {
        auto page = co_await removed_.list(after, pace_.accounts);
        if (!page) co_return pass_on(page);
        for (const auto& one : *page) {
            after = one.id;
            auto still_there = co_await directory_.account(one.id);
            if (!still_there && still_there.error().code() != Errc::not_found) co_return pass_on(still_there);
            bool due = one.expires <= clock_.now();
            if (!still_there && !due) continue;
            if (!still_there) {
                auto purged = co_await store_.purge(one.id);
                if (!purged) {
                    ++totals.failures;
                    log::warning("housekeeping.purge_failed",
                                 {{"account", one.address}, {"reason", purged.error().detail()}});
                    continue;
                }
                ++totals.purged;
                log::info("housekeeping.account_purged", {{"account", one.address}, {"account_id", one.id.value}});
            }
            // Still there: the server died between noting the removal and removing.
            if (auto forgotten = co_await removed_.forget(one.id); !forgotten) co_return forgotten;
        }
        if (page->size() < pace_.accounts) co_return Result<>();
        if (auto rested = co_await rest(); !rested) co_return rested;
    }
}

}  // namespace poplar::server
