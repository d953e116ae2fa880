#include "upkeep/encrypt_mail.h"

#include <fmt/format.h>

#include <mutex>
#include <optional>
#include <thread>

#include "base/background.h"
#include "base/log.h"

namespace poplar::upkeep {

namespace {
constexpr std::size_t kAccounts = 100;  // a page
constexpr auto kPause = std::chrono::milliseconds(20);
constexpr auto kLater = std::chrono::hours(1);
constexpr auto kSoon = std::chrono::minutes(1);

/// Has the engine drop what is dead, on a thread of its own. Joined on every way out.
class Dropping {
public:
    Dropping(engine::Inspection& engine, std::vector<engine::PartitionId> partitions)
        : thread_([this, &engine, partitions = std::move(partitions)] {
              become_background_thread("encryption");
              auto done = engine.drop_dead(partitions, [this] { return goes_on(); });
              std::lock_guard lock(mutex_);
              outcome_ = std::move(done);
          }) {}
    ~Dropping() {
        {
            std::lock_guard lock(mutex_);
            abandoned_ = true;
        }
        thread_.join();
    }
    std::optional<Result<>> outcome() {
        std::lock_guard lock(mutex_);
        return outcome_;
    }

private:
    bool goes_on() {
        std::lock_guard lock(mutex_);
        return !abandoned_;
    }

    std::mutex mutex_;
    std::optional<Result<>> outcome_;
    bool abandoned_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Task<Result<>> EncryptMail::round(jobs::Control& control) {
    directory::AccountId after{};
    std::vector<directory::AccountId> sealed;
    for (;;) {
        auto page = co_await directory_.keychains(after, kAccounts);
        if (!page) co_return pass_on(page);
        for (const auto& one : *page) {
            after = one.account;
            if (!one.keychain) {
                log::error("encryption.damaged_keychain", {{"account_id", one.account.value}});
                continue;
            }
            auto done = co_await see_to(one.account, *one.keychain, control);
            if (!done && done.error().code() == Errc::cancelled) co_return pass_on(done);
            if (!done)
                log::warning("encryption.not_done",
                             {{"account_id", one.account.value}, {"reason", done.error().detail()}});
            if (done && *done) sealed.push_back(one.account);
        }
        if (page->size() < kAccounts) co_return co_await finish(std::move(sealed), control);
        if (auto paused = co_await control.pause(kPause); !paused) co_return paused;
    }
}

Task<Result<bool>> EncryptMail::is_gone(directory::AccountId account) {
    auto there = co_await directory_.account(account);
    if (there) co_return false;
    if (there.error().code() != Errc::not_found) co_return pass_on(there);
    auto totals = co_await store_.totals(account);
    if (!totals) co_return pass_on(totals);
    if (totals->messages + totals->retained_messages == 0)
        if (auto forgotten = co_await directory_.forget_keychain(account); !forgotten) co_return pass_on(forgotten);
    co_return true;
}

Task<Result<bool>> EncryptMail::see_to(directory::AccountId account, const encryption::Keychain& keychain,
                                       jobs::Control& control) {
    auto settled = settled_.find(account);
    if (settled != settled_.end() && settled->second.key == keychain.public_key &&
        SteadyClock::now() < settled->second.until)
        co_return false;
    if (settled != settled_.end()) settled_.erase(settled);
    auto gone = co_await is_gone(account);
    if (!gone) co_return pass_on(gone);
    if (*gone) co_return false;
    auto now = co_await store_.encryption(account);
    if (!now) co_return pass_on(now);
    using State = mailstore::EncryptionStatus::State;
    if (now->state == State::ending) co_return false;  // whoever ends it has the key
    if (now->state == State::off || now->key != keychain.public_key) {
        // Whoever ends an account's encryption takes its keychain away first: one that is there now is not ending.
        auto current = co_await directory_.keychain(account);
        if (!current) co_return pass_on(current);
        if (!*current || (*current)->public_key != keychain.public_key) co_return false;
        auto begun = co_await store_.begin_encryption(account, keychain.public_key);
        if (!begun) co_return pass_on(begun);
    } else if (now->state == State::on) {
        settled_[account] = {keychain.public_key, SteadyClock::now() + kLater};
        co_return false;
    }
    if (auto later = later_.find(account); later != later_.end()) {
        if (SteadyClock::now() < later->second) co_return false;
        later_.erase(later);
    }
    co_return co_await encrypt(account, control);
}

// A message may move from where no step has been to where one was: so the last round through all of it finds nothing.
Task<Result<bool>> EncryptMail::encrypt(directory::AccountId account, jobs::Control& control) {
    std::uint64_t messages = 0, octets = 0;
    for (;;) {
        mailstore::Converted round;
        do {
            auto step = co_await store_.convert(account, round.next);
            if (!step) co_return pass_on(step);
            round.messages += step->messages;
            round.unreadable += step->unreadable;
            octets += step->octets;
            round.next = std::move(step->next);
            control.tell(fmt::format("account {}: {} messages", account.value, messages + round.messages));
            if (auto paused = co_await control.pause(kPause); !paused) co_return pass_on(paused);
        } while (!round.next.empty());
        messages += round.messages;
        if (round.messages != 0) continue;
        if (round.unreadable != 0) {
            later_[account] = SteadyClock::now() + kLater;
            log::warning("encryption.unreadable", {{"account_id", account.value}, {"messages", round.unreadable}});
            co_return false;
        }
        if (messages != 0)
            log::info("encryption.sealed", {{"account_id", account.value}, {"messages", messages}, {"octets", octets}});
        co_return true;
    }
}

Task<Result<>> EncryptMail::finish(std::vector<directory::AccountId> accounts, jobs::Control& control) {
    if (accounts.empty()) co_return Result<>();
    control.tell(fmt::format("{} accounts: what was in clear is removed from the disk", accounts.size()));
    Result<> dropped;
    {
        Dropping dropping(engine_, accounts);
        for (;;) {
            if (auto paused = co_await control.pause(kPause); !paused) co_return paused;
            auto outcome = dropping.outcome();
            if (!outcome) continue;
            dropped = std::move(*outcome);
            break;
        }
    }
    for (auto account : accounts) {
        if (!dropped) {
            const bool soon = dropped.error().code() == Errc::busy;
            later_[account] =
                SteadyClock::now() + (soon ? SteadyClock::duration(kSoon) : SteadyClock::duration(kLater));
            log::warning("encryption.not_done", {{"account_id", account.value}, {"reason", dropped.error().detail()}});
            continue;
        }
        // Removing took its time: meanwhile somebody may have ended it, or begun anew with another key.
        auto now = co_await store_.encryption(account);
        if (!now) co_return pass_on(now);
        auto count = co_await store_.count_sealed(account);
        if (!count) co_return pass_on(count);
        if (now->state != mailstore::EncryptionStatus::State::beginning || count->in_clear != 0) continue;
        auto finished = co_await store_.finish_conversion(account);
        if (!finished) co_return finished;
        log::info("encryption.finished", {{"account_id", account.value}});
    }
    co_return Result<>();
}

}  // namespace poplar::upkeep
