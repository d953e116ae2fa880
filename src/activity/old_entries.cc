// Reads and forgets the entries that the ledger has written.
#include <algorithm>

#include "activity/ledger.h"
#include "base/log.h"

namespace poplar::activity {

namespace {
constexpr std::size_t kForgottenAtOnce = 1000;  // entries a commit
}

Task<Result<Ledger::Listing>> Ledger::list(AccountId account, Wanted wanted) {
    {
        auto turn = co_await flushing_.lock();
        co_await flush(shard(account), Due::all, account);
    }
    const auto now = clock_.now();
    const auto since = std::max(wanted.since, now - options_.keep);
    Listing listing;
    std::vector<Entry> entries;
    // An entry lies in the day in which it began, and may have ended in the next.
    for (auto day = day_of(since - std::chrono::days(1)); day <= day_of(now); ++day) {
        auto range = engine::KeyRange::prefix(prefix_of(day, account));
        auto found = co_await engine_.scan(kLedgerPartition, std::move(range), kAllRows);
        if (!found) co_return pass_on(found);
        for (const auto [key, value] : *found) {
            auto row = decode(key, value);
            if (!row) {
                ++listing.damaged;
                continue;
            }
            auto& entry = row->entry;
            const bool is_wanted =
                wanted.kinds.empty() || std::ranges::find(wanted.kinds, entry.kind) != wanted.kinds.end();
            if (is_wanted && entry.last > since) entries.push_back(std::move(entry));
        }
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.last, entry.first); });
    std::array<std::size_t, kKinds.size() + 1> counts{};
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
        if (counts[static_cast<std::size_t>(entry->kind)]++ < wanted.limit)
            listing.entries.push_back(std::move(*entry));
    std::ranges::reverse(listing.entries);
    if (listing.damaged != 0)
        log::warning("activity.unreadable", {{"account_id", account.value}, {"entries", listing.damaged}});
    co_return listing;
}

Task<Result<bool>> Ledger::forget_some(Timestamp now) {
    const engine::KeyRange range{std::string(1, '\0'), prefix_of(day_of(now - options_.keep - std::chrono::days(1)))};
    auto found = co_await engine_.scan(kLedgerPartition, range, kForgottenAtOnce);
    if (!found) co_return pass_on(found);
    if (found->empty()) co_return false;
    engine::Batch batch;
    for (const auto [key, value] : *found) batch.erase(std::string(key));
    auto done = co_await engine_.commit(kLedgerPartition, std::move(batch));
    if (!done) co_return pass_on(done);
    co_return found->size() == kForgottenAtOnce;
}

Task<Result<>> Ledger::forget(AccountId account) {
    auto turn = co_await flushing_.lock();
    {
        auto& here = shard(account);
        std::lock_guard hold(here.mutex);
        if (auto found = here.accounts.find(account); found != here.accounts.end()) {
            for (const auto& open : found->second) --here.counts[static_cast<std::size_t>(open->entry.kind)];
            here.accounts.erase(found);
        }
    }
    const auto now = clock_.now();
    for (auto day = day_of(now - options_.keep - std::chrono::days(1)); day <= day_of(now); ++day) {
        auto range = engine::KeyRange::prefix(prefix_of(day, account));
        auto found = co_await engine_.scan(kLedgerPartition, std::move(range), kAllRows);
        if (!found) co_return pass_on(found);
        if (found->empty()) continue;
        engine::Batch batch;
        for (const auto [key, value] : *found) batch.erase(std::string(key));
        auto done = co_await engine_.commit(kLedgerPartition, std::move(batch));
        if (!done) co_return pass_on(done);
    }
    co_return Result<>();
}

}  // namespace poplar::activity
