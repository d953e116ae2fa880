#pragma once
// One thread's event loop: epoll, edge-triggered, each descriptor registered once for its whole life.
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/error.h"
#include "net/file_descriptor.h"

namespace poplar::bench {

using Clock = std::chrono::steady_clock;

/// Somebody who is told of a descriptor's events. The loop knows all that live, to end what hangs.
class Watched {
public:
    virtual ~Watched();
    virtual void on_events(std::uint32_t events) = 0;
    virtual void on_second() {}  ///< about once a second: time to look for what hangs
    virtual void on_stop() {}    ///< the loop stops: all that wait must end now

private:
    friend class Loop;
    Watched *previous_ = nullptr, *next_ = nullptr;
};

class Loop {
public:
    Loop();
    Loop(const Loop&) = delete;

    /// Begins to watch for input and output; ends when the descriptor is closed. on_second and on_stop come until
    /// `watched` dies.
    Result<> watch(int descriptor, Watched& watched);

    /// Runs until stop(), then lets everybody who waits end. `each_turn` is called after each round of events.
    void run(const std::function<void()>& each_turn = {});
    /// From any thread.
    void stop();
    bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
    /// The time as of this round of events.
    Clock::time_point now() const { return now_; }

    /// Awaitable: goes on at `when`, at once if it has passed or the loop stops.
    auto sleep_until(Clock::time_point when) {
        struct Sleep {
            Loop& loop;
            Clock::time_point when;
            bool await_ready() const { return loop.stopping() || when <= Clock::now(); }
            void await_suspend(std::coroutine_handle<> waiter) const { loop.add_timer(when, waiter); }
            void await_resume() const {}
        };
        return Sleep{*this, when};
    }

private:
    struct Timer {
        Clock::time_point when;
        std::coroutine_handle<> waiter;
        bool operator>(const Timer& other) const { return when > other.when; }
    };
    void add_timer(Clock::time_point when, std::coroutine_handle<> waiter);
    void run_timers();
    int milliseconds_to_wait() const;
    template <class Call>
    void for_each_watched(Call call);

    net::FileDescriptor epoll_, wake_;
    std::atomic<bool> stopping_{false};
    std::vector<Timer> timers_;  ///< a heap, the next one first
    Clock::time_point now_ = Clock::now();

    struct Head : Watched {
        void on_events(std::uint32_t) override {}
    } head_;  ///< of the list of all that are watched
};

}  // namespace poplar::bench
