#pragma once
// Limits how often somebody may guess: some failures are free, then attempts take turns, which come ever further apart.
// Nobody is ever locked out: an attempt that comes while no other waits does so for `longest_delay` at most.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/steady.h"

namespace poplar::auth {

struct ThrottleOptions {
    std::uint32_t failures = 0;                              ///< that cost nothing; 0: no limit, nothing is counted
    std::chrono::seconds window = std::chrono::minutes(10);  ///< in which as many failures are forgiven, one by one
    std::chrono::milliseconds longest_delay =
        std::chrono::seconds(10);   ///< between two attempts; the first is an eighth
    std::size_t entries = 100'000;  ///< keys; the one without a failure for the longest time goes
};

/// Counts failures by key. It goes by the steady clock, so that setting the machine's clock neither forgives failures
/// nor locks anybody out. May be called from any thread.
class Throttle {
public:
    using Key = std::uint64_t;
    explicit Throttle(ThrottleOptions options) : options_(options) {}

    /// Whether the next attempt has to take a turn.
    bool is_over(Key key) const;
    /// Whether it has failed lately.
    bool has_failed(Key key) const;
    /// How long an attempt that takes its turn now will wait for it; zero for one that needs no turn.
    SteadyClock::duration wait(Key key) const;
    /// Takes a turn if one is needed; returns when it comes.
    SteadyTime take_turn(Key key);
    void record_failure(Key key);
    bool empty() const { return size() == 0; }
    std::size_t size() const { return size_.load(std::memory_order_relaxed); }  ///< keys held

private:
    struct Entry {
        std::uint32_t failures = 0;
        SteadyTime counted;  ///< `failures` are those of then
        SteadyTime next;     ///< when the next turn is free
        std::list<Key>::iterator order;
    };
    std::uint32_t failures_now(const Entry& entry, SteadyTime now) const;
    const Entry* find_over(Key key, SteadyTime now) const;
    /// The time that forgives one failure: a fraction of a second where many are allowed.
    SteadyClock::duration forgiveness() const { return SteadyClock::duration(options_.window) / options_.failures; }
    SteadyClock::duration delay(std::uint32_t failures) const;

    const ThrottleOptions options_;
    mutable std::mutex mutex_;
    std::unordered_map<Key, Entry> entries_;
    std::list<Key> order_;  ///< by the last failure, the oldest first
    std::atomic<std::size_t> size_ = 0;
};

}  // namespace poplar::auth
