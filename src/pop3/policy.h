#pragma once
// How long mail stays on the server and how often somebody may log in (RFC 2449 s6.7, s6.5): what CAPA announces, and
// who has to wait. The days of EXPIRE are counted by upkeep/retention; EXPIRE 0 is the Transaction's.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/steady.h"
#include "directory/directory.h"

namespace poplar::pop3 {

struct Policy {
    /// Days that a message stays after its arrival; directory::kNeverExpires; 0: until it was retrieved.
    std::uint32_t expire_days = directory::kNeverExpires;
    std::chrono::seconds login_delay{0};  ///< between a login and the next
};

/// The server's policy, with what the account has of its own in its place.
Policy policy_of(Policy server, const directory::AccountSettings& own);

/// What is announced before the login, where nobody is known yet: the strictest that anybody has. May be used from any
/// thread.
class Announced {
public:
    explicit Announced(Policy server) : server_(server) {}
    /// What Directory::strictest_settings() says, at start and after every change.
    void set(const directory::AccountSettings& strictest);

    /// The lines for CAPA, each with its CRLF, before the login.
    std::string lines() const;
    /// After it. What was announced before stays announced (RFC 2449 s5).
    std::string lines(Policy own) const;

private:
    static constexpr std::uint64_t kNone = ~0ull;
    Policy server_;
    std::atomic<std::uint64_t> expire_days_ = kNone, login_delay_ = kNone;  // the strictest own ones, if there are any
};

/// When accounts that have to wait logged in last. Kept in memory: a restart lets everybody in. May be used from any
/// thread.
class LoginDelays {
public:
    /// Whether an account whose delay this is may log in now.
    bool is_over(directory::AccountId account, std::chrono::seconds delay) const;
    /// Notes a login, to be called when it succeeds; false: another one came in between, and this one must not.
    bool note(directory::AccountId account, std::chrono::seconds delay);

private:
    static constexpr std::size_t kRemembered = 1'000'000;  // logins; beyond, the oldest are let in early
    bool waits(directory::AccountId account, std::chrono::seconds delay) const;

    mutable std::mutex mutex_;
    std::unordered_map<directory::AccountId, SteadyTime> last_;
    std::deque<std::pair<SteadyTime, directory::AccountId>> order_;
    std::chrono::seconds longest_{0};  // after which a login does not matter any more
};

}  // namespace poplar::pop3
