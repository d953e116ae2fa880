#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/clock.h"

namespace poplar::auth {

/// Counts events (failed logins) by key (a peer, an account) in a window that begins with the key's first. Keeps at
/// most `entries` keys: a new one pushes out the one whose window began first. May be called from any thread.
class KeyedCounts {
public:
    /// `limit` 0: nothing is counted.
    KeyedCounts(const Clock& clock, std::uint32_t limit, std::chrono::seconds window, std::size_t entries)
        : clock_(clock), limit_(limit), window_(window), entries_(entries) {}

    bool is_over(std::string_view key);  ///< its events in the present window have reached the limit
    void record(std::string_view key);
    std::size_t size() const;  ///< keys held

private:
    struct Window {
        std::uint32_t failures = 0;
        Timestamp begin{};
    };
    struct Begun {
        std::string key;
        Timestamp at;
    };
    bool is_past(Timestamp begin) const;
    void drop_oldest();

    const Clock& clock_;
    const std::uint32_t limit_;
    const std::chrono::seconds window_;
    const std::size_t entries_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Window> windows_;
    std::deque<Begun> order_;  ///< one for each of windows_, oldest first
};

}  // namespace poplar::auth
