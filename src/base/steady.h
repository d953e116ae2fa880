#pragma once
#include <atomic>
#include <chrono>

#include "base/asio.h"

namespace poplar {

/// Time that only goes forward, for deadlines: std::chrono::steady_clock, plus what a test has moved it ahead
/// (tests/support/moved_time.h). In a server that is 0, and costs nothing.
struct SteadyClock {
    using duration = std::chrono::steady_clock::duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<SteadyClock>;
    static constexpr bool is_steady = true;
    static time_point now() noexcept {
        return time_point(std::chrono::steady_clock::now().time_since_epoch() +
                          duration(moved_.load(std::memory_order_relaxed)));
    }

    /// For tests alone. A timer that waits already has to be looked at anew (tests/support/moved_time.h).
    static void move(duration by) { moved_ += by.count(); }

private:
    static inline std::atomic<rep> moved_ = 0;
};

using SteadyTime = SteadyClock::time_point;
using SteadyTimer = asio::basic_waitable_timer<SteadyClock, asio::wait_traits<SteadyClock>, Executor>;

}  // namespace poplar
