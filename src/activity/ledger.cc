// Notes in memory, their way into rows, and reading and forgetting those.
#include "activity/ledger.h"

#include <algorithm>
#include <map>
#include <span>
#include <tuple>
#include <utility>

#include "base/log.h"

namespace poplar::activity {

namespace {

constexpr std::size_t kDetail = 100;                  // octets of an entry's detail
constexpr auto kLoginsEvery = std::chrono::hours(1);  // a count of further logins is written
constexpr auto kIdle = std::chrono::hours(1);         // then an entry that was written leaves the memory
constexpr std::size_t kForgottenAtOnce = 1000;        // entries a commit
constexpr std::size_t kAllRows = 100'000;             // of an account and a day: more than any `activity.entries` makes

std::size_t number_of(Kind kind) { return static_cast<std::size_t>(kind); }

Entry as_sum(Entry entry) {
    entry.origin = {};
    entry.detail.clear();
    entry.is_sum = true;
    return entry;
}

}  // namespace

Ledger::Ledger(engine::Engine& engine, const Clock& clock, Options options)
    : engine_(engine), clock_(clock), options_(options) {}

void Ledger::note(AccountId account, Kind kind, const Origin& origin, std::string_view detail, std::uint64_t messages,
                  std::optional<Timestamp> begun) {
    if (options_.keep.count() == 0) return;
    const auto now = clock_.now(), first = std::min(begun.value_or(now), now);
    detail = detail.substr(0, kDetail);
    auto& here = shard(account);
    std::lock_guard hold(here.mutex);
    auto& opens = here.accounts[account];
    Open* fits = nullptr;
    Open* sum = nullptr;
    std::size_t of_kind = 0;
    for (const auto& open : opens) {
        auto& entry = open->entry;
        if (entry.kind != kind || open->over) continue;
        ++of_kind;
        const bool same = !entry.is_sum && entry.origin.is_same(origin) && entry.detail == detail;
        if (!same && !entry.is_sum) continue;
        if (share_entry(kind, entry.first, first))
            (same ? fits : sum) = open.get();
        else
            open->over = true;
    }
    if (fits == nullptr && of_kind >= options_.entries) fits = sum;
    if (fits != nullptr) {
        fits->entry.add({.kind = kind, .first = first, .last = now, .messages = messages, .origin = origin});
        if (fits->entry.is_sum) fits->entry.origin = {};
        fits->changed = true;
        fits->waits = fits->waits && kind == Kind::login;
        return;
    }
    if (here.counts[number_of(kind)] >= kOpen) {
        ++here.left_out;
        if (opens.empty()) here.accounts.erase(account);
        return;
    }
    Entry entry{.kind = kind,
                .first = first,
                .last = now,
                .messages = messages,
                .origin = origin,
                .detail = std::string(detail)};
    if (of_kind >= options_.entries) entry = as_sum(std::move(entry));
    ++here.counts[number_of(kind)];
    opens.push_back(std::make_shared<Open>(Open{.account = account, .entry = std::move(entry)}));
}

void Ledger::remove(Shard& shard, const Open& open) {
    auto found = shard.accounts.find(open.account);
    if (found == shard.accounts.end()) return;
    auto gone = std::erase_if(found->second, [&](const OpenPtr& one) { return one.get() == &open; });
    shard.counts[number_of(open.entry.kind)] -= gone;
    if (found->second.empty()) shard.accounts.erase(found);
}

std::vector<Ledger::OpenPtr> Ledger::take_due(Shard& shard, Due due, std::optional<AccountId> account) {
    const auto now = clock_.now();
    std::vector<OpenPtr> out;
    auto take = [&](const std::vector<OpenPtr>& opens) {
        for (const auto& open : opens) {
            const bool crowded = shard.counts[number_of(open->entry.kind)] > kOpen / 2;
            const bool has_time = open->waits && !crowded && now >= open->written && now - open->written < kLoginsEvery;
            if (!open->changed || (due == Due::now_and_then && has_time)) continue;
            open->changed = false;
            open->waits = true;
            open->written = now;
            out.push_back(open);
        }
    };
    std::lock_guard hold(shard.mutex);
    if (!account) {
        for (const auto& [id, opens] : shard.accounts) take(opens);
    } else if (auto found = shard.accounts.find(*account); found != shard.accounts.end()) {
        take(found->second);
    }
    return out;
}

/// The rows of one account, kind and day, with those that the commit under way adds.
struct Ledger::Rows {
    std::vector<Row> each;
    std::optional<Entry> sum;
    RowNumber next = 0;

    void add(Row row) {
        if (row.entry.is_sum) {
            sum = std::move(row.entry);
        } else {
            next = std::max(next, row.number + 1);
            each.push_back(std::move(row));
        }
    }
};

/// One commit on its way.
class Ledger::Draft {
public:
    Draft(Ledger& ledger, Shard& shard) : ledger_(ledger), shard_(shard) {}

    Task<Result<>> add(OpenPtr open) {
        AccountId account = open->account;
        Kind kind{};
        std::uint32_t day = 0;
        bool has_row = false;
        {
            std::lock_guard hold(shard_.mutex);
            kind = open->entry.kind;
            day = day_of(open->entry.first);
            has_row = open->number.has_value();
        }
        Rows* rows = nullptr;
        if (!has_row) {
            auto read = co_await rows_of(day, account, kind);
            if (!read) co_return pass_on(read);
            rows = *read;
        }
        std::lock_guard hold(shard_.mutex);
        if (!has_row && !find_row(open, *rows)) {
            const auto part = as_sum(open->entry);
            if (rows->sum)
                rows->sum->add(part);
            else
                rows->sum = part;
            remove(shard_, *open);
            puts_[key_of(day, account, kind, kSum)] = encode(*rows->sum);
            summed_.push_back(std::move(open));
            co_return Result<>();
        }
        puts_[key_of(day, account, kind, *open->number)] = encode(open->entry);
        kept_.push_back(std::move(open));
        co_return Result<>();
    }

    Task<Result<>> commit() {
        engine::Batch batch;
        for (auto& [key, value] : puts_) batch.put(key, std::move(value));
        if (batch.empty()) co_return Result<>();
        auto done = co_await ledger_.engine_.commit(kLedgerPartition, std::move(batch));
        if (!done) co_return pass_on(done);
        co_return Result<>();
    }

    /// Nothing was written: the next flush begins anew.
    void undo() {
        std::lock_guard hold(shard_.mutex);
        for (const auto& open : kept_) open->changed = true;
        for (const auto& open : fresh_) open->number.reset();
        for (const auto& open : summed_) {
            open->changed = true;
            open->over = true;
            shard_.accounts[open->account].push_back(open);
            ++shard_.counts[number_of(open->entry.kind)];
        }
    }

private:
    Task<Result<Rows*>> rows_of(std::uint32_t day, AccountId account, Kind kind) {
        auto [at, missing] = rows_.try_emplace({day, account.value, kind});
        if (!missing) co_return &at->second;
        auto range = engine::KeyRange::prefix(prefix_of(day, account, kind));
        auto found = co_await ledger_.engine_.scan(kLedgerPartition, std::move(range), kAllRows);
        if (!found) co_return pass_on(found);
        for (const auto [key, value] : *found)
            if (auto row = decode(key, value)) at->second.add(std::move(*row));  // a damaged one stays as it is
        if (!found->empty() && at->second.next < found->size()) at->second.next = static_cast<RowNumber>(found->size());
        co_return &at->second;
    }

    /// False: it belongs into the sum. The caller holds the shard's mutex.
    bool find_row(const OpenPtr& open, Rows& rows) {
        auto& entry = open->entry;
        if (entry.is_sum) return false;
        for (const auto& row : rows.each) {
            if (!row.entry.is_same(entry) || !share_entry(entry.kind, row.entry.first, entry.first)) continue;
            entry.add(row.entry);
            open->number = row.number;
            return true;
        }
        if (rows.each.size() >= ledger_.options_.entries) return false;
        open->number = rows.next;
        rows.add({rows.next, entry});
        fresh_.push_back(open);
        return true;
    }

    Ledger& ledger_;
    Shard& shard_;
    std::map<std::tuple<std::uint32_t, std::uint64_t, Kind>, Rows> rows_;
    std::map<std::string, std::string> puts_;
    std::vector<OpenPtr> kept_, fresh_, summed_;
};

Task<Result<>> Ledger::write(Shard& shard, std::span<const OpenPtr> some) {
    Draft draft(*this, shard);
    Result<> done;
    for (const auto& open : some) {
        done = co_await draft.add(open);
        if (!done) break;
    }
    if (done) done = co_await draft.commit();
    if (!done) draft.undo();
    co_return done;
}

Task<> Ledger::flush(Shard& shard, Due due, std::optional<AccountId> account) {
    const auto taken = take_due(shard, due, account);
    for (std::span<const OpenPtr> left = taken; !left.empty();) {
        const auto some = left.first(std::min(left.size(), kAtOnce));
        if (auto written = co_await write(shard, some); !written) {
            std::uint64_t entries = 0;
            {
                std::lock_guard hold(shard.mutex);
                for (const auto& open : left) {  // the next flush tries again
                    open->changed = true;
                    open->waits = false;
                }
                entries = left.size();
            }
            log::warning("activity.not_kept", {{"entries", entries}, {"reason", to_string(written.error().code())}});
            co_return;
        }
        left = left.subspan(some.size());
    }
}

void Ledger::drop_idle(Shard& shard) {
    const auto now = clock_.now();
    std::lock_guard hold(shard.mutex);
    const auto counts = shard.counts;
    for (auto account = shard.accounts.begin(); account != shard.accounts.end();) {
        auto& opens = account->second;
        std::erase_if(opens, [&](const OpenPtr& open) {
            const auto kind = number_of(open->entry.kind);
            const bool idle = open->over || counts[kind] > kOpen / 2 || now - open->entry.last >= kIdle;
            if (open->changed || !idle) return false;
            --shard.counts[kind];
            return true;
        });
        account = opens.empty() ? shard.accounts.erase(account) : std::next(account);
    }
}

Task<> Ledger::flush(Due due) {
    auto turn = co_await flushing_.lock();
    std::uint64_t left_out = 0;
    for (auto& shard : shards_) {
        co_await flush(shard, due, std::nullopt);
        drop_idle(shard);
        std::lock_guard hold(shard.mutex);
        left_out += std::exchange(shard.left_out, 0);
    }
    if (left_out != 0) log::warning("activity.left_out", {{"notes", left_out}});
}

Task<> Ledger::flush() { return flush(Due::now_and_then); }
Task<> Ledger::flush_all() { return flush(Due::all); }

Task<Result<std::vector<Entry>>> Ledger::list(AccountId account, Wanted wanted) {
    {
        auto turn = co_await flushing_.lock();
        co_await flush(shard(account), Due::all, account);
    }
    const auto now = clock_.now();
    const auto since = std::max(wanted.since, now - options_.keep);
    std::vector<Entry> entries;
    // An entry lies in the day in which it began, and may have ended in the next.
    for (auto day = day_of(since - std::chrono::days(1)); day <= day_of(now); ++day) {
        auto range = engine::KeyRange::prefix(prefix_of(day, account));
        auto found = co_await engine_.scan(kLedgerPartition, std::move(range), kAllRows);
        if (!found) co_return pass_on(found);
        for (const auto [key, value] : *found) {
            auto row = decode(key, value);
            if (!row) co_return pass_on(row);
            auto& entry = row->entry;
            const bool is_wanted =
                wanted.kinds.empty() || std::ranges::find(wanted.kinds, entry.kind) != wanted.kinds.end();
            if (is_wanted && entry.last > since) entries.push_back(std::move(entry));
        }
    }
    std::ranges::sort(entries, {}, [](const Entry& entry) { return std::pair(entry.last, entry.first); });
    std::array<std::size_t, kKinds.size() + 1> counts{};
    std::vector<Entry> latest;
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry)
        if (counts[number_of(entry->kind)]++ < wanted.limit) latest.push_back(std::move(*entry));
    std::ranges::reverse(latest);
    co_return latest;
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
            for (const auto& open : found->second) --here.counts[number_of(open->entry.kind)];
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
