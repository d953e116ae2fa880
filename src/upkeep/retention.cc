#include "upkeep/retention.h"

#include <fmt/format.h>

#include "base/log.h"
#include "upkeep/views.h"

namespace poplar::upkeep {

namespace {
constexpr auto kLivePeriod = std::chrono::hours(24);
constexpr auto kFuture = std::chrono::hours(24);          // a time further ahead was given by a wrong clock
constexpr auto kBeingRemoved = std::chrono::minutes(10);  // the longest time between a removal's record and its end
}  // namespace

Task<Result<>> Retention::round(jobs::Control& control) {
    RetentionTotals totals;
    auto done = co_await expire(totals, control);
    if (done) done = co_await purge_removed(totals, control);
    if (done) {
        last_ = totals;
        log::info("housekeeping.done", {{"accounts", totals.accounts},
                                        {"aged_messages", totals.aged},
                                        {"expired_messages", totals.expired},
                                        {"crowded_messages", totals.crowded},
                                        {"unwanted_messages", totals.unwanted},
                                        {"purged_accounts", totals.purged},
                                        {"failures", totals.failures},
                                        {"suspended", totals.suspended ? "yes" : "no"}});
    } else if (done.error().code() != Errc::cancelled) {
        log::warning("housekeeping.failed", {{"reason", done.error().detail()}});
    }
    co_return done;
}

Task<> Retention::expire_mail(directory::Account account, RetentionTotals& totals, Timestamp now, bool live) {
    auto failed = [&](const Error& why) {
        ++totals.failures;
        log::warning("housekeeping.expire_failed", {{"account", account.address}, {"reason", why.detail()}});
    };
    auto days = account.settings.expire_days.value_or(expire_days_);
    if (live && days != 0 && days != directory::kNeverExpires) {
        const auto from = begun();
        auto aged = co_await store_.expire_live(account.id, now - std::chrono::days(days));
        if (aged) {
            totals.aged += *aged;
            note_deleted(account.id, "its days were over", *aged, from);
        } else {
            failed(aged.error());
        }
    }
    const auto from = begun();
    auto unwanted = co_await tend_views(directory_, store_, account, now);
    if (unwanted) {
        totals.unwanted += *unwanted;
        note_deleted(account.id, "every view had deleted it", *unwanted, from);
    } else {
        failed(unwanted.error());
    }
    auto keep = co_await directory_.retention_of(account);
    if (!keep)
        failed(keep.error());
    else if (auto kept = co_await store_.set_retention(account.id, *keep); !kept)
        failed(kept.error());
    if (live)
        if (auto mended = co_await store_.mend_times(account.id, now); !mended) failed(mended.error());
    auto expired = co_await store_.expire(account.id, now);
    if (expired)
        totals.expired += *expired;
    else
        failed(expired.error());
    auto crowded = co_await store_.keep_retained_limit(account.id);
    if (!crowded) failed(crowded.error());
    if (!crowded || *crowded == 0) co_return;
    totals.crowded += *crowded;
    log::warning("housekeeping.retained_limit", {{"account", account.address}, {"messages", *crowded}});
}

void Retention::note_deleted(directory::AccountId account, std::string_view why, std::uint64_t messages,
                             Timestamp begun) {
    if (ledger_ != nullptr && messages != 0)
        ledger_->note(account, activity::Kind::deleted, {.protocol = "housekeeping"}, why, messages, begun);
}

Task<Result<>> Retention::expire(RetentionTotals& totals, jobs::Control& control) {
    const auto begun = now_();
    totals.suspended = !begun;
    if (totals.suspended) co_return Result<>();
    const bool live = !live_done_ || *begun < *live_done_ || *begun - *live_done_ >= kLivePeriod;
    std::string after;
    for (;;) {
        auto page = co_await directory_.accounts("", after, pace_.accounts);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            const auto now = now_();
            totals.suspended = !now;
            if (totals.suspended) co_return Result<>();
            ++totals.accounts;
            co_await expire_mail(account, totals, *now, live);
        }
        if (page->size() < pace_.accounts) break;
        control.tell(fmt::format("{} accounts", totals.accounts));
        if (auto paused = co_await control.pause(pace_.pause); !paused) co_return paused;
    }
    directory::Account postmaster;
    postmaster.id = directory::kPostmasterMailbox;
    postmaster.address = "postmaster";
    const auto now = now_();
    totals.suspended = !now;
    if (totals.suspended) co_return Result<>();
    co_await expire_mail(std::move(postmaster), totals, *now, live);
    if (live) live_done_ = begun;
    co_return Result<>();
}

Task<Result<>> Retention::purge_removed(RetentionTotals& totals, jobs::Control& control) {
    directory::AccountId after;
    for (;;) {
        auto page = co_await removed_.list(after, pace_.accounts);
        if (!page) co_return pass_on(page);
        for (const auto& one : *page) {
            after = one.id;
            const auto now = now_();
            totals.suspended = !now;
            if (totals.suspended) co_return Result<>();
            auto done = co_await purge(one, *now, totals);
            if (!done) co_return pass_on(done);
            if (!*done) continue;
            if (auto forgotten = co_await removed_.forget(one); !forgotten) co_return forgotten;
        }
        if (page->size() < pace_.accounts) co_return Result<>();
        control.tell(fmt::format("{} accounts", totals.accounts));
        if (auto paused = co_await control.pause(pace_.pause); !paused) co_return paused;
    }
}

Task<Result<bool>> Retention::purge(directory::RemovedAccount one, Timestamp now, RetentionTotals& totals) {
    auto still_there = co_await directory_.account(one.id);
    // If the account is still there, the server died between noting the removal and removing. Or the removal is under
    // way and still needs its record, so a young one is kept.
    if (still_there) co_return now - one.removed >= kBeingRemoved;
    if (still_there.error().code() != Errc::not_found) co_return pass_on(still_there);
    if (one.removed > now + kFuture) {
        auto again = co_await removed_.add(one.id, one.address,
                                           std::chrono::duration_cast<std::chrono::seconds>(one.expires - one.removed));
        if (!again) co_return pass_on(again);
        co_return false;
    }
    if (one.expires > now) co_return false;
    auto purged = co_await store_.purge(one.id);
    if (!purged) {
        ++totals.failures;
        log::warning("housekeeping.purge_failed", {{"account", one.address}, {"reason", purged.error().detail()}});
        co_return false;
    }
    if (ledger_ != nullptr)
        if (auto forgotten = co_await ledger_->forget(one.id); !forgotten) co_return pass_on(forgotten);
    ++totals.purged;
    log::info("housekeeping.account_purged", {{"account", one.address}, {"account_id", one.id.value}});
    co_return true;
}

}  // namespace poplar::upkeep
