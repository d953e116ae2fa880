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

bool Throttle::record_failure(Key key, const Subject& subject) {
    if (options_.failures == 0 || options_.entries == 0) return false;
    auto now = SteadyClock::now();
    std::lock_guard hold(mutex_);
    auto found = entries_.find(key);
    if (found == entries_.end()) {
        if (entries_.size() >= options_.entries) {
            entries_.erase(order_.front());
            order_.pop_front();
        }
        found = entries_.emplace(key, Entry{0, now, now, order_.insert(order_.end(), key), subject}).first;
    } else {
        order_.splice(order_.end(), order_, found->second.order);
    }
    auto& entry = found->second;
    auto before = failures_now(entry, now);
    // The time that already counts towards the next forgiveness is kept. If each failure began it anew, a steady
    // guesser would never be forgiven anything.
    entry.counted = before == 0 ? now : entry.counted + (entry.failures - before) * forgiveness();
    entry.failures = std::min(before + 1, options_.failures + kRemembered);
    size_.store(entries_.size(), std::memory_order_relaxed);
    if (entry.failures < options_.failures) return false;
    entry.next = std::max(entry.next, now + delay(entry.failures));
    const bool is_news = !entry.told || now - *entry.told > options_.window;
    entry.told = now;
    return is_news;
}

std::vector<Throttle::Held> Throttle::held() const {
    std::vector<Held> all;
    if (empty()) return all;
    std::lock_guard hold(mutex_);
    const auto now = SteadyClock::now();
    for (const auto& [key, entry] : entries_) {
        const auto failures = failures_now(entry, now);
        if (failures < options_.failures) continue;
        const auto under = entry.counted + (entry.failures - options_.failures + 1) * forgiveness();
        all.push_back({entry.subject, failures, std::max(entry.next - now, SteadyClock::duration{}), under - now});
    }
    return all;
}

std::vector<Throttle::Kept> Throttle::keep() const {
    std::vector<Kept> all;
    if (empty()) return all;
    std::lock_guard hold(mutex_);
    const auto now = SteadyClock::now();
    for (const auto& [key, entry] : entries_)
        if (failures_now(entry, now) >= options_.failures)
            all.push_back({key, entry.failures, now - entry.counted, entry.subject});
    return all;
}

void Throttle::take_up(const Kept& kept) {
    if (options_.failures == 0) return;
    const auto now = SteadyClock::now();
    std::lock_guard hold(mutex_);
    if (entries_.size() >= options_.entries || entries_.contains(kept.key)) return;
    Entry entry{.failures = std::min(kept.failures, options_.failures + kRemembered),
                .counted = now - kept.age,
                .next = now,
                .order = {},
                .subject = kept.subject,
                .told = now};
    const auto failures = failures_now(entry, now);
    if (failures < options_.failures) return;
    entry.next += delay(failures);
    entry.order = order_.insert(order_.end(), kept.key);
    entries_.emplace(kept.key, std::move(entry));
    size_.store(entries_.size(), std::memory_order_relaxed);
}

std::size_t Throttle::forget(const std::function<bool(const Subject&)>& is_meant) {
    std::size_t over = 0;
    std::lock_guard hold(mutex_);
    const auto now = SteadyClock::now();
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto& entry = at->second;
        if (!is_meant(entry.subject)) {
            ++at;
            continue;
        }
        if (failures_now(entry, now) >= options_.failures) ++over;
        order_.erase(entry.order);
        at = entries_.erase(at);
    }
    size_.store(entries_.size(), std::memory_order_relaxed);
    return over;
}

}  // namespace poplar::auth
