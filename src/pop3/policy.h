#pragma once
// EXPIRE and LOGIN-DELAY (RFC 2449 s6.7, s6.5): what CAPA announces, and which logins have to wait. upkeep/retention
// deletes mail after the days of EXPIRE; EXPIRE 0 is done by Transaction.
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
#include "mailstore/view.h"

namespace poplar::pop3 {

struct Policy {
    /// Days that a message stays after its arrival; directory::kNeverExpires; 0: until it was retrieved.
    std::uint32_t expire_days = directory::kNeverExpires;
    std::chrono::seconds login_delay{0};  ///< between a login and the next
};

/// The server's policy, but the account's own settings where it has them.
Policy policy_of(Policy server, const directory::AccountSettings& own);

/// The policy that CAPA announces. Before the login nobody is known yet, so it is the strictest that any account has.
/// May be used from any thread.
class Announced {
public:
    explicit Announced(Policy server) : server_(server) {}
    /// To be called with Directory::strictest_settings(), at the start and after every change of them.
    void set(const directory::AccountSettings& strictest);

    /// The lines for CAPA, each with its CRLF, before the login.
    std::string lines() const;
    /// The lines after the login. A capability that was announced before stays announced (RFC 2449 s5).
    std::string lines(Policy own) const;

private:
    static constexpr std::uint64_t kNone = ~0ull;
    Policy server_;
    std::atomic<std::uint64_t> expire_days_ = kNone, login_delay_ = kNone;  // the strictest own ones, if there are any
};

/// Remembers when views of accounts with a LOGIN-DELAY were logged in to last. In memory only: a restart lets everybody
/// in. May be used from any thread.
class LoginDelays {
public:
    /// Whether a view of an account that has this delay may be logged in to now.
    bool is_over(mailstore::ViewOf of, std::chrono::seconds delay) const;
    /// Notes a login; to be called when it succeeds. False: another login came in between, and this one must be
    /// refused.
    bool note(mailstore::ViewOf of, std::chrono::seconds delay);

private:
    static constexpr std::size_t kRemembered = 1'000'000;  // logins; beyond, the oldest are let in early
    bool waits(mailstore::ViewOf of, std::chrono::seconds delay) const;

    mutable std::mutex mutex_;
    std::unordered_map<mailstore::ViewOf, SteadyTime> last_;
    std::deque<std::pair<SteadyTime, mailstore::ViewOf>> order_;
    std::chrono::seconds longest_{0};  // after which a login does not matter any more
};

}  // namespace poplar::pop3
