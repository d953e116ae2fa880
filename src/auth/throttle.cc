#include "auth/throttle.h"

#include <algorithm>

namespace poplar::auth {

namespace {
constexpr std::uint32_t kDoublings = 3;   // from the first delay to the longest
constexpr std::uint32_t kRemembered = 8;  // failures over the limit: more delay nobody for longer
}  // namespace

std::uint32_t Throttle::failures_now(const Entry& entry, SteadyTime now) const {
    auto forgiven = (now - entry.counted) / forgiveness();
    return forgiven >= entry.failures ? 0 : entry.failures - static_cast<std::uint32_t>(forgiven);
}

SteadyClock::duration Throttle::delay(std::uint32_t failures) const {
    SteadyClock::duration longest = options_.longest_delay;
    return longest / (1 << (kDoublings - std::min(failures - options_.failures, kDoublings)));
}

const Throttle::Entry* Throttle::find_over(Key key, SteadyTime now) const {
    auto found = entries_.find(key);
    return found != entries_.end() && failures_now(found->second, now) >= options_.failures ? &found->second : nullptr;
}

bool Throttle::is_over(Key key) const {
    if (empty()) return false;
    std::lock_guard hold(mutex_);
    return find_over(key, SteadyClock::now()) != nullptr;
}

bool Throttle::has_failed(Key key) const {
    if (empty()) return false;
    std::lock_guard hold(mutex_);
    auto found = entries_.find(key);
    return found != entries_.end() && failures_now(found->second, SteadyClock::now()) > 0;
}

SteadyClock::duration Throttle::wait(Key key) const {
    if (empty()) return {};
    std::lock_guard hold(mutex_);
    auto now = SteadyClock::now();
    const auto* entry = find_over(key, now);
    return entry == nullptr ? SteadyClock::duration{} : std::max(entry->next - now, SteadyClock::duration{});
}

SteadyTime Throttle::take_turn(Key key) {
    auto now = SteadyClock::now();
    if (empty()) return now;
    std::lock_guard hold(mutex_);
    if (find_over(key, now) == nullptr) return now;
    auto& entry = entries_.find(key)->second;
    auto turn = std::max(entry.next, now);
    entry.next = turn + delay(failures_now(entry, now));
    return turn;
}

void Throttle::record_failure(Key key) {
    if (options_.failures == 0 || options_.entries == 0) return;
    auto now = SteadyClock::now();
    std::lock_guard hold(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (entries_.size() >= options_.entries) {
            entries_.erase(order_.front());
            order_.pop_front();
        }
        found = entries_.emplace(key, Entry{0, now, now, order_.insert(order_.end(), key)}).first;
    } else {
        order_.splice(order_.end(), order_, found->second.order);
    }
    auto& entry = found->second;
    auto before = failures_now(entry, now);
    // The time that already counts towards the next forgiveness is kept. If each failure began it anew, a steady
    // guesser would never be forgiven anything.
    entry.counted = before == 0 ? now : entry.counted + (entry.failures - before) * forgiveness();
    entry.failures = std::min(before + 1, options_.failures + kRemembered);
    if (entry.failures >= options_.failures) entry.next = std::max(entry.next, now + delay(entry.failures));
    size_.store(entries_.size(), std::memory_order_relaxed);
}

}  // namespace poplar::auth
