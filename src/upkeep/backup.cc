#include "upkeep/backup.h"

#include <mutex>
#include <optional>
#include <thread>

#include "base/background.h"
#include "base/steady.h"

namespace poplar::upkeep {

namespace {

using engine::BackupOutcome;
using engine::BackupTotals;

// The thread that makes the backup, and what it says. Joined on every way out.
class Maker {
public:
    Maker(engine::Inspection& engine, std::filesystem::path folder, std::size_t keep)
        : thread_([this, &engine, folder = std::move(folder), keep] {
              become_background_thread("backup");
              auto made = engine.backup(folder, keep, [this](const BackupTotals& totals) { return note(totals); });
              std::lock_guard lock(mutex_);
              outcome_ = std::move(made);
          }) {}
    ~Maker() {
        {
            std::lock_guard lock(mutex_);
            abandoned_ = true;
        }
        thread_.join();
    }

    BackupTotals totals() {
        std::lock_guard lock(mutex_);
        return totals_;
    }
    std::optional<Result<BackupOutcome>> outcome() {
        std::lock_guard lock(mutex_);
        return outcome_;
    }

private:
    bool note(const BackupTotals& totals) {
        std::lock_guard lock(mutex_);
        totals_ = totals;
        return !abandoned_;
    }

    std::mutex mutex_;
    BackupTotals totals_;
    std::optional<Result<BackupOutcome>> outcome_;
    bool abandoned_ = false;
    std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Task<Result<BackupOutcome>> back_up(engine::Inspection& engine, std::filesystem::path folder, std::size_t keep,
                                    BackupListener& listener) {
    Maker maker(engine, std::move(folder), keep);
    asio::steady_timer pause(co_await asio::this_coro::executor);
    auto last = SteadyClock::now();
    for (;;) {
        pause.expires_after(std::chrono::milliseconds(20));
        co_await pause.async_wait(asio::as_tuple(use_awaitable));
        if (auto outcome = maker.outcome()) co_return std::move(*outcome);
        auto now = SteadyClock::now();
        if (now - last < std::chrono::seconds(1)) continue;
        last = now;
        if (auto told = co_await listener.progress(maker.totals()); !told) co_return pass_on(told);
    }
}

}  // namespace poplar::upkeep
