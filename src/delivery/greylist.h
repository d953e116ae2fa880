#pragma once
// Unknown senders have to come twice (RFC 6647): programs that only pour mail out do not.
//
// What came once is kept in memory alone: a restart costs its sender one more attempt. Pairs of a client's network and
// a sender's domain that came again, or that SPF or a signature vouched for, are known, and stand in the store.
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/engine.h"

namespace poplar::delivery {

/// All functions may be called from any thread.
class Greylist final {
public:
    static constexpr std::chrono::days kKnownFor{36};     ///< since the last message
    static constexpr std::chrono::hours kWaitsFor{48};    ///< within which a sender has to come again
    static constexpr std::size_t kMostWaiting = 100'000;  ///< pairs; while there are so many, others need not wait

    Greylist(engine::Engine& engine, const Clock& clock, std::chrono::seconds delay)
        : engine_(engine), clock_(clock), delay_(delay) {}

    bool on() const { return delay_.count() > 0; }
    /// Whether mail from this client for this sender ("" for the null reverse-path) is taken now. `authenticated`: SPF
    /// or a signature has passed; then it is, and so is what comes later. A pair is durable before its mail is taken.
    /// Errors: those of the engine.
    Task<Result<bool>> admits(std::string address, std::string sender, bool authenticated);

    /// Forgets pairs of which nothing came for long, `limit` at most of those looked at from `after` on. Returns where
    /// to go on; "": that was all.
    Task<Result<std::string>> forget_old(std::string after, std::size_t limit);

private:
    enum class Waited : std::uint8_t { not_yet, enough, no_room };
    Waited wait(const std::string& pair);

    engine::Engine& engine_;
    const Clock& clock_;
    const std::chrono::seconds delay_;
    std::mutex mutex_;  ///< for those that follow
    std::map<std::string, Timestamp> waiting_;
    std::deque<std::string> order_;  ///< of `waiting_`, the oldest first; some may be gone already
};

}  // namespace poplar::delivery
