#pragma once
#include <exception>
#include <functional>
#include <memory>

#include "base/steady.h"

namespace poplar::test {

/// Moves SteadyClock ahead, as if `by` had passed, and lets the timers that wait on `context` notice. To be called on
/// the context's thread. The clock of the whole process moves: nothing in a test may depend on it standing still.
inline void pass_time(asio::io_context& context, SteadyClock::duration by) {
    SteadyClock::move(by);
    // The reactor sleeps until the time that the earliest timer had: a still earlier one makes it look at all of them.
    auto alarm = std::make_shared<SteadyTimer>(context, SteadyTime::min());
    alarm->async_wait([alarm](boost::system::error_code) {});
}

/// Runs `task` to its end; whenever it only waits, calls `act` and lets a second pass. Returns how many did, 100,000 at
/// most. Not for tasks that wait for another thread.
inline int seconds_of(asio::io_context& context, Task<> task, std::function<void()> act = [] {}) {
    bool over = false;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr failure) {
        over = true;
        if (failure) std::rethrow_exception(failure);
    });
    for (int seconds = 0;; ++seconds) {
        do context.restart();
        while (context.poll() != 0);
        if (over || seconds == 100'000) return seconds;
        act();
        pass_time(context, std::chrono::seconds(1));
    }
}

}  // namespace poplar::test
