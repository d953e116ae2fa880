// Runs the engine's check on a thread and hands its findings to a coroutine; then checks every account's counters.
#include "upkeep/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/background.h"
#include "base/steady.h"
#include "directory/removed.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

namespace {

using engine::Damage;
using engine::VerifyTotals;

constexpr std::size_t kWaiting = 1000;  // findings that the listener has not taken yet; at most
constexpr std::size_t kPage = 1000;

// Thrown through the engine's callback, on our own thread, to end the engine's run when the listener has gone.
struct Abandoned {};

// The findings of the reading thread, on their way to the coroutine that tells the listener.
class Findings {
public:
    void add(Damage damage) {
        std::unique_lock lock(mutex_);
        room_.wait(lock, [this] { return damage_.size() < kWaiting || abandoned_; });
        if (abandoned_) throw Abandoned();
        damage_.push_back(std::move(damage));
    }
    void progress(const VerifyTotals& totals) {
        std::lock_guard lock(mutex_);
        if (abandoned_) throw Abandoned();
        totals_ = totals;
    }
    void finish(Result<VerifyTotals> result) {
        std::lock_guard lock(mutex_);
        result_ = std::move(result);
    }
    void abandon() {
        std::lock_guard lock(mutex_);
        abandoned_ = true;
        room_.notify_all();
    }

    struct News {
        std::deque<Damage> damage;
        VerifyTotals totals;
        std::optional<Result<VerifyTotals>> result;
    };
    News take() {
        std::lock_guard lock(mutex_);
        News news{std::move(damage_), totals_, result_};
        damage_.clear();
        room_.notify_all();
        return news;
    }

private:
    std::mutex mutex_;
    std::condition_variable room_;
    std::deque<Damage> damage_;
    VerifyTotals totals_;
    std::optional<Result<VerifyTotals>> result_;
    bool abandoned_ = false;
};

// The reading thread. Joined on every way out.
class Reader {
public:
    Reader(engine::Inspection& engine, Findings& findings) : findings_(findings) {
        thread_ = std::thread([&engine, &findings] {
            become_background_thread("verify");
            try {
                auto result = engine.verify([&](const Damage& damage) { findings.add(damage); },
                                            [&](const VerifyTotals& totals) { findings.progress(totals); });
                findings.finish(std::move(result));
            } catch (const Abandoned&) {
                findings.finish(fail(Errc::cancelled, "abandoned"));
            }
        });
    }
    ~Reader() {
        findings_.abandon();
        thread_.join();
    }

private:
    Findings& findings_;
    std::thread thread_;
};

}  // namespace

Task<NamedDamage> name_damage(Damage damage, directory::Directory& directory, mailstore::MailStore& store) {
    NamedDamage named;
    named.damage = std::move(damage);
    const auto& partition = named.damage.partition;
    if (!partition) co_return named;
    if (*partition == directory::kPostmasterMailbox) named.account = "postmaster";
    if (partition->value >= directory::kFirstAccount.value) {
        auto account = co_await directory.account(*partition);
        if (account) named.account = account->address;
    }
    if (named.damage.body)
        if (auto message = co_await store.find(*partition, *named.damage.body)) named.unique_id = message->unique_id;
    co_return named;
}

namespace {

NamedDamage of_account(engine::PartitionId partition, std::string address, std::string what) {
    NamedDamage named;
    named.damage.partition = partition;
    named.damage.what = std::move(what);
    named.account = std::move(address);
    return named;
}

// Returns 1 if the account's counters are wrong, else 0.
Task<Result<std::uint64_t>> check_account(mailstore::MailStore& store, directory::AccountId id, std::string address,
                                          VerifyListener& listener) {
    auto checked = co_await store.check(id);
    if (checked) co_return std::uint64_t(0);
    auto told = co_await listener.damaged(of_account(id, std::move(address), checked.error().detail()));
    if (!told) co_return pass_on(told);
    co_return std::uint64_t(1);
}

/// Looks for mail that belongs to nobody: neither to an account nor to one whose removal is on record.
class Nobodys {
public:
    Nobodys(engine::Inspection& engine, directory::Directory& directory, mailstore::MailStore& store,
            directory::RemovedAccounts& removed)
        : engine_(engine), directory_(directory), store_(store), removed_(removed) {}

    void is_account(directory::AccountId id) { known_.push_back(id); }

    /// Returns how many partitions have such mail.
    Task<Result<std::uint64_t>> report(VerifyListener& listener) {
        if (auto listed = co_await list_removed(); !listed) co_return pass_on(listed);
        std::ranges::sort(known_);
        std::uint64_t found = 0;
        engine::PartitionId after(directory::kFirstAccount.value - 1);
        for (;;) {
            auto page = co_await engine_.partitions(after, kPage);
            if (!page) co_return pass_on(page);
            for (auto partition : *page) {
                after = partition;
                if (std::ranges::binary_search(known_, partition)) continue;
                auto complaint = co_await complaint_about(partition);
                if (!complaint) co_return pass_on(complaint);
                if (complaint->empty()) continue;
                ++found;
                auto told = co_await listener.damaged(of_account(partition, "", std::move(*complaint)));
                if (!told) co_return pass_on(told);
            }
            if (page->size() < kPage) co_return found;
        }
    }

private:
    Task<Result<>> list_removed() {
        directory::AccountId after;
        for (;;) {
            auto page = co_await removed_.list(after, kPage);
            if (!page) co_return pass_on(page);
            for (const auto& one : *page) known_.push_back(after = one.id);
            if (page->size() < kPage) co_return Result<>();
        }
    }

    // Says what is wrong with the partition; "" if nothing is.
    Task<Result<std::string>> complaint_about(engine::PartitionId partition) {
        auto account = co_await directory_.account(partition);  // may be new
        if (account) co_return "";
        if (account.error().code() != Errc::not_found) co_return pass_on(account);
        auto totals = co_await store_.totals(partition);
        if (!totals && totals.error().code() != Errc::corrupt) co_return pass_on(totals);
        if (totals && totals->messages + totals->retained_messages == 0) co_return "";
        constexpr std::string_view kWhose = "of an account that is gone and whose removal is not on record: see id:";
        auto what =
            totals ? fmt::format("{} messages", totals->messages + totals->retained_messages) : "a damaged mailbox";
        co_return fmt::format("{} {}{}", what, kWhose, partition.value);
    }

    engine::Inspection& engine_;
    directory::Directory& directory_;
    mailstore::MailStore& store_;
    directory::RemovedAccounts& removed_;
    std::vector<directory::AccountId> known_;
};

}  // namespace

Task<Result<VerifyOutcome>> verify_store(engine::Inspection& engine, directory::Directory& directory,
                                         mailstore::MailStore& store, directory::RemovedAccounts& removed,
                                         VerifyListener& listener) {
    Findings findings;
    VerifyOutcome outcome;
    {
        Reader reader(engine, findings);
        asio::steady_timer pause(co_await asio::this_coro::executor);
        auto last_progress = SteadyClock::now();
        for (bool reading = true; reading;) {
            pause.expires_after(std::chrono::milliseconds(50));
            co_await pause.async_wait(asio::as_tuple(use_awaitable));
            auto news = findings.take();
            for (auto& damage : news.damage) {
                auto named = co_await name_damage(std::move(damage), directory, store);
                if (auto told = co_await listener.damaged(std::move(named)); !told) co_return pass_on(told);
            }
            if (news.result) {
                if (!*news.result) co_return pass_on(*news.result);
                outcome.totals = **news.result;
                reading = false;
            } else if (auto now = SteadyClock::now(); now - last_progress >= std::chrono::seconds(1)) {
                last_progress = now;
                if (auto told = co_await listener.progress(news.totals); !told) co_return pass_on(told);
            }
        }
    }

    Nobodys nobodys(engine, directory, store, removed);
    std::string after;
    for (;;) {
        auto page = co_await directory.accounts("", after, kPage);
        if (!page) co_return pass_on(page);
        for (const auto& account : *page) {
            after = account.address;
            ++outcome.accounts;
            nobodys.is_account(account.id);
            auto wrong = co_await check_account(store, account.id, account.address, listener);
            if (!wrong) co_return pass_on(wrong);
            outcome.totals.damaged += *wrong;
        }
        if (page->size() < kPage) break;
    }
    auto wrong = co_await check_account(store, directory::kPostmasterMailbox, "postmaster", listener);
    if (!wrong) co_return pass_on(wrong);
    outcome.totals.damaged += *wrong;
    auto abandoned = co_await nobodys.report(listener);
    if (!abandoned) co_return pass_on(abandoned);
    outcome.totals.damaged += *abandoned;
    co_return outcome;
}

}  // namespace poplar::upkeep
