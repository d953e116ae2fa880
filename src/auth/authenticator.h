#pragma once
// From a name and a password to an account: hashes off the session's thread, verified passwords remembered for
// minutes, guessing slowed down; unknown user and wrong password look the same in text and time.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/scram.h"
#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/steady.h"
#include "directory/directory.h"

namespace poplar::auth {

struct Options {
    std::chrono::seconds cache_ttl = std::chrono::minutes(5);  ///< 0: every login hashes
    std::size_t cache_entries = 100'000;
    bool upgrade_hashes = false;        ///< rewrite a weaker scheme as Argon2id at the next good login
    std::vector<ScramHash> scram_keys;  ///< kept beside a password's hash from when it is set, or from a good login
    std::uint32_t scram_iterations = 15'000;  ///< of new ones (RFC 7677 s4)
    std::size_t hash_threads = 2;
    std::size_t hash_queue = 256;             ///< logins waiting for a hash; more are answered busy
    std::uint32_t failures_per_peer = 20;     ///< failed logins a peer address (IPv6: its /64) may make in a window
    std::uint32_t failures_per_account = 50;  ///< both: 0 for no limit. Made by peers that have not logged in to it
                                              ///< lately: a stranger who guesses can't lock the owner out
    std::chrono::seconds failure_window = std::chrono::minutes(10);
    std::size_t failure_entries = 100'000;  ///< peers, and accounts, whose failures are counted; the oldest go
    std::chrono::milliseconds failure_delay = std::chrono::seconds(2);  ///< before a failure is answered
    std::string default_domain;  ///< appended to a login name without "@"; empty: such names fail
};

struct Credentials {
    std::string name, password;     ///< as the client gave them
    std::string peer;               ///< its address, for the limits
    bool peer_is_loopback = false;  ///< exempt from the per-peer limit (a front proxy or webmail on this machine)
};

/// Somebody says who they are, by a mechanism that judges the proof itself.
struct Claim {
    std::string name;  ///< as the client gave it
    std::string peer;
    bool peer_is_loopback = false;
    SteadyTime begun = SteadyClock::now();  ///< the failure's delay counts
};

class Authenticator {
public:
    Authenticator(directory::Directory& directory, const Clock& clock, Options options);
    ~Authenticator();

    /// Errors: denied (wrong, unknown, disabled, or too many failures: the client can't tell which; the detail, for
    /// the log, says), busy (too many logins are waiting), and those of the directory. `denied` comes back
    /// `failure_delay` after the call, however long the check took (unless it took longer).
    /// A name is an account's own address in any spelling: no alias, no `user+detail@`, no white space around it.
    Task<Result<directory::Account>> verify_password(Credentials credentials);

    // For mechanisms that need the account before they can judge (auth/exchange.h): find(), then conclude() in any
    // case, so that the limits, the status and the delay are the same for all.

    /// The account that a login name names, disabled ones too; nothing if there is none. Errors: the directory's.
    Task<Result<std::optional<directory::Account>>> find(std::string name);
    /// The keys to challenge the claimant with: the account's, or, where it has none or there is no account, some that
    /// nobody can prove, the same each time. Errors: the directory's.
    Task<Result<ScramKeys>> scram_keys(std::string name, const std::optional<directory::Account>& account,
                                       ScramHash hash);
    /// Whether the peer has failed too often: before work for strangers that is not cheap.
    bool too_many_failures(const Claim& claim);
    /// Ends a login: `judgement` is the mechanism's, its error the reason for the log. As verify_password.
    Task<Result<directory::Account>> conclude(Claim claim, std::optional<directory::Account> account,
                                              Result<> judgement);

    /// Forgets what is remembered of an account: its password or status changed.
    void forget(directory::AccountId id);

    /// A new `{ARGON2ID}...` hash and the SCRAM keys that are wanted, made on the hashing pool. Errors: busy.
    Task<Result<directory::Password>> hash_password(std::string password);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::auth
