#pragma once
// The time by which things are forgotten. The machine's clock may be wrong by years (a dead battery, a typing error),
// and mail that is deleted because of that never comes back. So the latest time is kept in the store, and a clock that
// jumps is doubted: nothing is forgotten until the clock is right again, an operator confirms it, or it has run evenly
// for some days. A server that was switched off for weeks looks the same: what is due goes some days later
// (durability.md, "A wrong clock").
#include <atomic>
#include <chrono>
#include <mutex>
#include <optional>
#include <string>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/steady.h"
#include "engine/engine.h"
#include "jobs/job.h"

namespace poplar::upkeep {

/// May be used from any thread.
class StoreClock final : public Clock, public jobs::Job {
public:
    /// `believe_after`: how long the clock has to run evenly after a jump until it is believed. 0: only when it is
    /// right again or confirmed.
    StoreClock(engine::Engine& engine, const Clock& wall, std::chrono::seconds believe_after)
        : engine_(engine), wall_(wall), believe_after_(believe_after) {}

    /// Reads the kept time. To be called before any other function but now(). Errors: io, corrupt, cancelled: then the
    /// clock is doubted.
    Task<Result<>> load();
    /// The time for new records: the machine's, but never before the latest that the store has known.
    Timestamp now() const override;
    /// The time by which what is due may be forgotten; nothing while the clock is doubted.
    std::optional<Timestamp> to_forget_by();
    /// The time by which what holds for hours or days is counted: the machine's, or, while that is doubted, what it
    /// would be without the jump. So a jump ends nothing and makes nothing last; only a clock that is believed does.
    const Clock& to_count_by() const { return even_; }
    /// Stores the latest time, if there is news or an hour has passed. Errors: io, no_space, cancelled.
    Task<Result<>> keep();
    /// keep(), as a job.
    std::string_view name() const override { return "clock"; }
    Task<Result<>> round(jobs::Control& control) override;
    /// An operator says that the machine's clock is right. Durable when it returns. Errors: those of keep().
    Task<Result<>> confirm();

    struct State {
        bool doubted = false;
        Timestamp now{}, expected{};           ///< the machine's time, and what it would be without the jump
        Timestamp since{};                     ///< if doubted: the machine's time when that began
        std::optional<Timestamp> believed_at;  ///< if doubted: when it will be believed, running on evenly
    };
    State state();

private:
    struct Line {  // of times that follow each other without a jump
        Timestamp begun{}, last{};
    };
    /// to_count_by(), which others keep a reference to.
    class Even final : public Clock {
    public:
        explicit Even(StoreClock& clock) : clock_(clock) {}
        Timestamp now() const override;

    private:
        StoreClock& clock_;
    };
    Task<Result<>> read();
    void look();
    std::string encode() const;

    engine::Engine& engine_;
    const Clock& wall_;
    const std::chrono::seconds believe_after_;

    std::mutex mutex_;
    bool known_ = false;         // something was kept, or looked at
    Timestamp expected_{};       // the machine's time at looked_, or what it would be without a jump
    std::optional<Line> doubt_;  // while the clock is doubted: the times that it gives
    SteadyTime looked_ = SteadyClock::now();
    std::optional<SteadyTime> stored_;
    bool news_ = true;
    std::atomic<std::int64_t> latest_ = 0;  // of the times that were believed, in milliseconds
    const Even even_{*this};
};

}  // namespace poplar::upkeep
