#pragma once
// From a name and a password to an account: hashes off the session's thread, verified passwords remembered for
// minutes, guessing slowed down; unknown user and wrong password look the same in text and time.
#include <chrono>
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "directory/directory.h"

namespace poplar::auth {

struct Options {
    std::chrono::seconds cache_ttl = std::chrono::minutes(5);  ///< 0: every login hashes
    std::size_t cache_entries = 100'000;
    bool upgrade_hashes = false;  ///< rewrite a weaker scheme as Argon2id at the next good login
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

class Authenticator {
public:
    Authenticator(directory::Directory& directory, const Clock& clock, Options options);
    ~Authenticator();

    /// Errors: denied (wrong, unknown, disabled, or too many failures: the client can't tell which; the detail, for
    /// the log, says), busy (too many logins are waiting), and those of the directory. `denied` comes back
    /// `failure_delay` after the call, however long the check took (unless it took longer).
    /// A name is an account's own address in any spelling: no alias, no `user+detail@`, no white space around it.
    Task<Result<directory::Account>> verify_password(Credentials credentials);

    /// Forgets what is remembered of an account: its password or status changed.
    void forget(directory::AccountId id);

    /// A new `{ARGON2ID}...` hash, made on the hashing pool. Errors: busy.
    Task<Result<std::string>> hash_password(std::string password);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::auth
