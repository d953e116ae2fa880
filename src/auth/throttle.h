#pragma once
// Limits how often somebody may guess: some failures are free, then attempts take turns, which come ever further apart.
// Nobody is ever locked out: an attempt that comes while no other waits does so for `longest_delay` at most.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

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
    /// The account and the peer that a key stands for, for people. Empty: any.
    struct Subject {
        std::string account, peer;
    };
    /// True if the key has come over the limit by this one, and had not been over it for a window's time: worth a word.
    bool record_failure(Key key, const Subject& subject = {});

    /// A key that is over the limit.
    struct Held {
        Subject subject;
        std::uint32_t failures = 0;
        SteadyClock::duration delay{};  ///< until the next attempt is judged
        SteadyClock::duration lasts{};  ///< until it is under the limit again, if no more failures come
    };
    std::vector<Held> held() const;
    /// The entries that are over the limit, for another throttle that goes on with them.
    struct Kept {
        Key key = 0;
        std::uint32_t failures = 0;
        SteadyClock::duration age{};  ///< since they were that many
        Subject subject = {};
    };
    std::vector<Kept> keep() const;
    void take_up(const Kept& kept);

    /// Forgets the failures of all keys whose subject is meant. Returns how many of them were over the limit.
    std::size_t forget(const std::function<bool(const Subject&)>& is_meant);

    bool empty() const { return size() == 0; }
    std::size_t size() const { return size_.load(std::memory_order_relaxed); }  ///< keys held

private:
    struct Entry {
        std::uint32_t failures = 0;
        SteadyTime counted;  ///< `failures` are those of then
        SteadyTime next;     ///< when the next turn is free
        std::list<Key>::iterator order;
        Subject subject = {};
        std::optional<SteadyTime> told = {};  ///< when it was last over the limit
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
