// Notes in memory, and their way into rows. Reading and forgetting those: old_entries.cc.
#include "activity/ledger.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include "base/log.h"

namespace poplar::activity {

namespace {

constexpr std::size_t kDetail = 100;                  // octets of an entry's detail
constexpr auto kLoginsEvery = std::chrono::hours(1);  // a count of further logins is written
constexpr auto kIdle = std::chrono::hours(1);         // then an entry that was written leaves the memory

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

/// The rows of one account, kind and day, as the commit under way leaves them.
struct Ledger::Rows {
    std::map<RowNumber, Entry> each;
    std::optional<Entry> sum;
    RowNumber next = 0;

    void set(RowNumber number, std::string_view key, std::string_view value) {
        if (number != kSum) next = std::max(next, number + 1);
        auto row = decode(key, value);
        if (!row) return;  // a damaged one stays as it is
        if (number == kSum)
            sum = std::move(row->entry);
        else
            each[number] = std::move(row->entry);
    }
};

/// One commit on its way.
class Ledger::Draft {
public:
    Draft(Ledger& ledger, Shard& shard) : ledger_(ledger), shard_(shard) {}

    Task<Result<>> add(OpenPtr open) {
        Place place;
        bool has_row = false;
        {
            std::lock_guard hold(shard_.mutex);
            if (open->absorbed) co_return Result<>();
            place = {day_of(open->entry.first), open->account, open->entry.kind};
            has_row = open->number.has_value();
        }
        Rows* rows = nullptr;
        if (!has_row) {
            auto read = co_await rows_of(place);
            if (!read) co_return pass_on(read);
            rows = *read;
        }
        std::lock_guard hold(shard_.mutex);
        if (open->absorbed) co_return Result<>();
        if (!has_row && !find_row(open, place, *rows)) {
            const auto part = as_sum(open->entry);
            if (rows->sum)
                rows->sum->add(part);
            else
                rows->sum = part;
            remove(shard_, *open);
            values_[place.key(kSum)] = encode(*rows->sum);
            summed_.push_back(std::move(open));
            co_return Result<>();
        }
        put(place, *open->number, open->entry);
        kept_.push_back(std::move(open));
        co_return Result<>();
    }

    Task<Result<>> commit() {
        engine::Batch batch;
        for (auto& [key, value] : values_) {
            if (value)
                batch.put(key, std::move(*value));
            else
                batch.erase(key);
        }
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
    /// Rows are numbered within one of these.
    struct Place {
        std::uint32_t day = 0;
        AccountId account;
        Kind kind{};
        std::string prefix() const { return prefix_of(day, account, kind); }
        std::string key(RowNumber number) const { return key_of(day, account, kind, number); }
    };

    Task<Result<Rows*>> rows_of(Place place) {
        auto [at, missing] = rows_.try_emplace(place.prefix());
        auto& rows = at->second;
        if (!missing) co_return &rows;
        auto range = engine::KeyRange::prefix(at->first);
        auto found = co_await ledger_.engine_.scan(kLedgerPartition, std::move(range), kAllRows);
        if (!found) co_return pass_on(found);
        for (const auto [key, value] : *found) rows.set(row_number(key), key, value);
        // The engine does not have yet what this commit will write.
        for (auto value = values_.lower_bound(at->first); value != values_.end(); ++value) {
            if (!value->first.starts_with(at->first)) break;
            if (value->second) rows.set(row_number(value->first), value->first, *value->second);
        }
        co_return &rows;
    }

    void put(const Place& place, RowNumber number, const Entry& entry) {
        values_[place.key(number)] = encode(entry);
        if (auto rows = rows_.find(place.prefix()); rows != rows_.end()) rows->second.each[number] = entry;
    }

    /// False: it belongs into the sum. The caller holds the shard's mutex.
    bool find_row(const OpenPtr& open, const Place& place, Rows& rows) {
        auto& entry = open->entry;
        if (entry.is_sum) return false;
        for (const auto& [number, row] : rows.each) {
            if (!row.is_same(entry) || !share_entry(entry.kind, row.first, entry.first)) continue;
            go_on_with(open, place, number, row);
            return true;
        }
        if (rows.each.size() >= ledger_.options_.entries && !make_room(place, rows)) {
            // Its place has one entry already, which takes this in whatever the hour.
            for (const auto& [number, row] : rows.each) {
                if (!row.is_same(entry) || owner_of(place, number) != nullptr) continue;
                go_on_with(open, place, number, row);
                return true;
            }
            return false;
        }
        open->number = rows.next++;
        fresh_.push_back(open);
        return true;
    }

    /// Writes on in a row. Another entry in memory may have been the one that did so, when the clock was set back or a
    /// commit has failed: it has at least what the row has, and this one takes its place.
    void go_on_with(const OpenPtr& open, const Place& place, RowNumber number, const Entry& row) {
        auto owner = owner_of(place, number);
        open->entry.add(owner ? owner->entry : row);
        open->number = number;
        if (!owner) return;
        if (std::ranges::find(fresh_, owner) != fresh_.end()) fresh_.push_back(open);
        owner->absorbed = true;
        remove(shard_, *owner);
    }

    /// The entry in memory that is written to this row.
    OpenPtr owner_of(const Place& place, RowNumber number) const {
        auto found = shard_.accounts.find(place.account);
        if (found == shard_.accounts.end()) return nullptr;
        auto is_its = [&](const OpenPtr& open) {
            return open->number == number && open->entry.kind == place.kind && day_of(open->entry.first) == place.day;
        };
        auto its = std::ranges::find_if(found->second, is_its);
        return its == found->second.end() ? nullptr : *its;
    }

    /// Joins two hours of the place that has the most of them, the earliest two, so that a place that was not there
    /// that day has an entry of its own. False: no place has two that are complete.
    bool make_room(const Place& place, Rows& rows) {
        std::vector<std::pair<Entry, std::vector<RowNumber>>> origins;  // an entry of each, and its rows
        for (const auto& [number, row] : rows.each) {
            if (owner_of(place, number) != nullptr) continue;
            auto its = std::ranges::find_if(origins, [&](const auto& one) { return one.first.is_same(row); });
            if (its == origins.end())
                origins.push_back({row, {number}});
            else
                its->second.push_back(number);
        }
        auto most = std::ranges::max_element(origins, {}, [](const auto& one) { return one.second.size(); });
        if (most == origins.end() || most->second.size() < 2) return false;
        auto& numbers = most->second;
        std::ranges::sort(numbers, {}, [&](RowNumber number) { return rows.each.at(number).first; });
        auto& joined = rows.each.at(numbers[0]);
        joined.add(rows.each.at(numbers[1]));
        values_[place.key(numbers[0])] = encode(joined);
        values_[place.key(numbers[1])] = std::nullopt;
        rows.each.erase(numbers[1]);
        return true;
    }

    Ledger& ledger_;
    Shard& shard_;
    std::map<std::string, Rows> rows_;                          ///< by the prefix of their keys
    std::map<std::string, std::optional<std::string>> values_;  ///< to be written; nothing: to be erased
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
    drop_idle(shard);  // so that rows which nobody writes on any more can be joined
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

}  // namespace poplar::activity
