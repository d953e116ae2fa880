#include "auth/authenticator.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>
#include <new>
#include <optional>

#include "auth/keyed_counts.h"
#include "auth/password.h"
#include "auth/verified_cache.h"
#include "base/blocking_pool.h"
#include "base/log.h"
#include "base/peer_network.h"
#include "base/steady.h"

namespace poplar::auth {

namespace {

using directory::Account;
using directory::AccountStatus;

/// Checked where there is no account, so that the answer takes as long. Nobody knows a password for it.
constexpr std::string_view kNobodysPassword =
    "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$8uL+IxgFnhTewSgOSYlifQ$F7l36FXKvHQhmZT3TRaAiN/ijOwvTiENRtif4RJ9CFk";

/// A place among the logins that wait for a hash; given back on destruction.
class Place {
public:
    explicit Place(std::atomic<std::size_t>& taken) : taken_(&taken) { ++taken; }
    Place(Place&& other) noexcept : taken_(std::exchange(other.taken_, nullptr)) {}
    Place& operator=(Place&&) = delete;
    ~Place() { leave(); }
    void leave() {
        if (taken_ != nullptr) --*std::exchange(taken_, nullptr);
    }

private:
    std::atomic<std::size_t>* taken_;
};

constexpr auto kFamiliarFor = std::chrono::days(30);  // after a good login from a peer

std::string account_key(directory::AccountId id) { return std::to_string(id.value); }

/// The account's SCRAM keys, whichever way it has them.
std::optional<ScramKeys> keys_of(const Account& account, ScramHash hash) {
    if (auto keys = find_scram_keys(account.scram_keys, hash)) return keys;
    return find_scram_keys(account.password, hash);  // imported instead of another hash
}

}  // namespace

struct Authenticator::Impl {
    Impl(directory::Directory& d, const Clock& clock, const Options& o)
        : directory(d),
          options(o),
          verified(clock, o.cache_ttl, o.cache_entries),
          peers(clock, o.failures_per_peer, o.failure_window, o.failure_entries),
          accounts(clock, o.failures_per_account, o.failure_window, o.failure_entries),
          familiar(clock, 1, kFamiliarFor, o.failure_entries),
          pool(std::max<std::size_t>(o.hash_threads, 1)) {
        assert(!is_outdated(kNobodysPassword));
    }

    /// One attempt, as the pool sees it.
    struct Attempt {
        std::string stored, password;
        std::string peer;     ///< key of the limit; empty: exempt
        std::string account;  ///< key of the limit; empty: exempt
        bool can_succeed = false;
        bool upgrade = false;
        std::string scram_keys;             ///< that the account has
        std::vector<ScramHash> scram_make;  ///< that it lacks
    };
    enum class Verdict { right, wrong, limited };
    struct Outcome {
        Verdict verdict = Verdict::wrong;
        std::optional<directory::Password> better;  ///< to replace what is stored
    };

    /// Keys for what of all keys is to be made of a password.
    void add_scram_keys(std::string& keys, const std::vector<ScramHash>& hashes, std::string_view password) const {
        for (auto hash : hashes) keys += to_string(derive_scram_keys(hash, password, options.scram_iterations));
    }

    /// Under which keys the limits count an attempt; empty: exempt.
    struct Counted {
        std::string peer, account, acquaintance;
    };
    Counted counted(const std::string& peer_text, bool loopback, const std::optional<Account>& account) {
        Counted keys;
        if (!loopback) keys.peer = peer_key(peer_text);
        if (!account) return keys;
        keys.account = account_key(account->id);
        // Who has logged in from there before is held to the peer's limit alone.
        if (!keys.peer.empty()) keys.acquaintance = keys.account + ' ' + keys.peer;
        if (!keys.acquaintance.empty() && familiar.is_over(keys.acquaintance)) keys.account.clear();
        return keys;
    }

    bool is_over_limit(const std::string& peer, const std::string& account) {
        return (!peer.empty() && peers.is_over(peer)) || (!account.empty() && accounts.is_over(account));
    }

    void record_failure(const std::string& peer, const std::string& account) {
        if (!peer.empty()) peers.record(peer);
        if (!account.empty()) accounts.record(account);
    }

    /// Runs on the pool. The limits are looked at again here: of many guesses at a time, those that waited are refused
    /// once the first ones have failed.
    Outcome judge(const Attempt& attempt) {
        if (is_over_limit(attempt.peer, attempt.account)) return {Verdict::limited, {}};
        // RFC 6856 s2.2: prepared, as new hashes are made; hashes brought along may be of what was typed.
        const std::string prepared = sasl_prepare(attempt.password).value_or(attempt.password);
        bool right = matches(attempt.stored, prepared);
        if (!right && prepared != attempt.password) right = matches(attempt.stored, attempt.password);
        right = right && attempt.can_succeed && !sasl_prohibits(attempt.password);
        if (!right) {
            record_failure(attempt.peer, attempt.account);
            return {Verdict::wrong, {}};
        }
        if (!attempt.upgrade && attempt.scram_make.empty()) return {Verdict::right, {}};
        directory::Password better{attempt.stored, attempt.scram_keys};
        add_scram_keys(better.scram_keys, attempt.scram_make, attempt.password);
        if (attempt.upgrade) {
            try {
                better.hash = hash_argon2id(prepared);
            } catch (const std::bad_alloc&) {
                return {Verdict::right, {}};  // another login will upgrade it
            }
            // What SCRAM logins have stood on so far.
            if (parse_scram_keys(attempt.stored)) better.scram_keys += attempt.stored;
        }
        return {Verdict::right, std::move(better)};
    }

    /// A place on the pool or in the queue before it. Errors: busy.
    Result<Place> take_place() {
        Place place(waiting);
        if (waiting > options.hash_threads + options.hash_queue) return fail(Errc::busy, "too many logins are waiting");
        return place;
    }

    /// Adds the default domain where there is none; false if it is missing.
    bool complete(std::string& name) const {
        if (name.find('@') != std::string::npos) return true;
        if (options.default_domain.empty()) return false;
        name.append("@").append(options.default_domain);
        return true;
    }

    /// The account that a login name names, if it can log in at all. Errors: those of the directory.
    Task<Result<std::optional<Account>>> find(std::string name) {
        if (!complete(name) || sasl_prohibits(name)) co_return std::nullopt;
        auto account = co_await directory.find_account(name);
        // RFC 6856 s2.2. The directory's own spelling does most of it, and knows names that SASLprep would change.
        if (!account && account.error().code() == Errc::not_found)
            if (auto prepared = sasl_prepare(name); prepared && *prepared != name)
                account = co_await directory.find_account(std::move(*prepared));
        if (account) co_return std::move(*account);
        if (account.error().code() == Errc::not_found || account.error().code() == Errc::invalid)
            co_return std::nullopt;
        co_return pass_on(account);
    }

    /// Answers a failure at the time all failures are answered: `failure_delay` after the login began.
    Task<Result<Account>> deny(SteadyTime begun, std::string reason) {
        SteadyTimer timer(co_await asio::this_coro::executor);
        timer.expires_at(begun + options.failure_delay);
        auto [stopped] = co_await timer.async_wait(asio::as_tuple(use_awaitable));
        (void)stopped;  // a cancelled wait is denied as well
        co_return fail(Errc::denied, std::move(reason));
    }

    Task<Result<Account>> verify(Credentials credentials) {
        auto begun = SteadyClock::now();
        auto found = co_await find(credentials.name);
        if (!found) co_return pass_on(found);
        auto& account = *found;
        bool usable = account && account->status == AccountStatus::enabled && !account->password.empty() &&
                      !credentials.password.empty();
        auto keys = counted(credentials.peer, credentials.peer_is_loopback, account);

        if (is_over_limit(keys.peer, keys.account)) co_return co_await deny(begun, "too many failures");
        if (usable && verified.contains(*account, credentials.password)) co_return std::move(*account);

        auto place = take_place();
        if (!place) co_return pass_on(place);
        Attempt attempt{.stored = usable ? account->password : std::string(kNobodysPassword),
                        .password = credentials.password,
                        .peer = keys.peer,
                        .account = keys.account,
                        .can_succeed = usable,
                        .upgrade = usable && options.upgrade_hashes && is_outdated(account->password),
                        .scram_keys = usable ? account->scram_keys : std::string(),
                        .scram_make = {}};
        if (usable)
            for (auto hash : options.scram_keys)
                if (!keys_of(*account, hash)) attempt.scram_make.push_back(hash);
        auto work = [this, attempt = std::move(attempt), held = std::move(*place)]() mutable {
            auto outcome = judge(attempt);
            held.leave();
            return outcome;
        };
        auto outcome = co_await pool.run(std::move(work));

        if (outcome.verdict == Verdict::limited) co_return co_await deny(begun, "too many failures");
        if (!account) co_return co_await deny(begun, "unknown user");
        if (account->status != AccountStatus::enabled) co_return co_await deny(begun, "account is disabled");
        if (!usable || outcome.verdict == Verdict::wrong) co_return co_await deny(begun, "wrong password");
        if (outcome.better) co_await upgrade(*account, std::move(*outcome.better));
        verified.remember(*account, credentials.password);
        if (!keys.acquaintance.empty()) familiar.record(keys.acquaintance);
        co_return std::move(*account);
    }

    Task<Result<Account>> conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
        auto keys = counted(claim.peer, claim.peer_is_loopback, account);
        if (is_over_limit(keys.peer, keys.account)) co_return co_await deny(claim.begun, "too many failures");
        bool enabled = account && account->status == AccountStatus::enabled;
        if (!enabled || !judgement) {
            record_failure(keys.peer, keys.account);
            if (!account) co_return co_await deny(claim.begun, "unknown user");
            if (!enabled) co_return co_await deny(claim.begun, "account is disabled");
            co_return co_await deny(claim.begun, judgement.error().detail());
        }
        if (!keys.acquaintance.empty()) familiar.record(keys.acquaintance);
        co_return std::move(*account);
    }

    Task<Result<ScramKeys>> scram_keys(std::string name, const std::optional<Account>& account, ScramHash hash) {
        if (account)
            if (auto keys = keys_of(*account, hash)) co_return std::move(*keys);
        std::string secret;
        {
            std::lock_guard hold(secret_mutex);
            secret = server_secret;
        }
        if (secret.empty()) {
            auto read = co_await directory.server_secret();
            if (!read) co_return pass_on(read);
            secret = std::move(*read);
            std::lock_guard hold(secret_mutex);
            server_secret = secret;
        }
        // An account has the same keys in whatever spelling it is named.
        if (complete(name)) name = directory.canonical(std::move(name));
        co_return pretended_scram_keys(hash, secret, name, options.scram_iterations);
    }

    /// Stores the new hash and brings `account` up to date. A failure is only logged: the login is good.
    Task<> upgrade(Account& account, directory::Password better) {
        bool scram = better.scram_keys != account.scram_keys;
        auto done = co_await directory.upgrade_password(account.id, account.password, std::move(better));
        if (!done) {
            log::warning("password_upgrade_failed",
                         {{"account", account.address}, {"reason", to_string(done.error().code())}});
            co_return;
        }
        log::info("password_upgraded", {{"account", account.address},
                                        {"from", scheme_of(account.password)},
                                        {"scram_keys", scram ? "new" : "as before"}});
        auto fresh = co_await directory.account(account.id);
        if (fresh) account = std::move(*fresh);
    }

    Task<Result<directory::Password>> hash(std::string password) {
        auto place = take_place();
        if (!place) co_return pass_on(place);
        auto work = [this, password = std::move(password),
                     held = std::move(*place)]() mutable -> Result<directory::Password> {
            try {
                directory::Password made(hash_argon2id(sasl_prepare(password).value_or(password)));
                add_scram_keys(made.scram_keys, options.scram_keys, password);
                held.leave();
                return made;
            } catch (const std::bad_alloc&) {
                return fail(Errc::busy, "no memory for a password hash");
            }
        };
        co_return co_await pool.run(std::move(work));
    }

    directory::Directory& directory;
    const Options options;
    VerifiedCache verified;
    KeyedCounts peers, accounts;
    KeyedCounts familiar;  ///< good logins by account and peer
    std::mutex secret_mutex;
    std::string server_secret;             ///< the directory's, once it was asked for
    std::atomic<std::size_t> waiting = 0;  ///< attempts on the pool or before it
    BlockingPool pool;                     // last: its threads end before what they use
};

Authenticator::Authenticator(directory::Directory& directory, const Clock& clock, Options options)
    : impl_(std::make_unique<Impl>(directory, clock, options)) {}

Authenticator::~Authenticator() = default;

Task<Result<Account>> Authenticator::verify_password(Credentials credentials) {
    return impl_->verify(std::move(credentials));
}

void Authenticator::forget(directory::AccountId id) { impl_->verified.forget(id); }

Task<Result<std::optional<Account>>> Authenticator::find(std::string name) { return impl_->find(std::move(name)); }

Task<Result<ScramKeys>> Authenticator::scram_keys(std::string name, const std::optional<Account>& account,
                                                  ScramHash hash) {
    return impl_->scram_keys(std::move(name), account, hash);
}

bool Authenticator::too_many_failures(const Claim& claim) {
    return !claim.peer_is_loopback && impl_->peers.is_over(peer_key(claim.peer));
}

Task<Result<Account>> Authenticator::conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
    return impl_->conclude(std::move(claim), std::move(account), std::move(judgement));
}

Task<Result<directory::Password>> Authenticator::hash_password(std::string password) {
    return impl_->hash(std::move(password));
}

}  // namespace poplar::auth
