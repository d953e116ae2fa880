#include "auth/authenticator.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <new>
#include <optional>

#include "auth/keyed_counts.h"
#include "auth/password.h"
#include "auth/verified_cache.h"
#include "base/blocking_pool.h"
#include "base/log.h"

namespace poplar::auth {

namespace {

using directory::Account;
using directory::AccountStatus;
using SteadyTime = std::chrono::steady_clock::time_point;

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
    };
    enum class Verdict { right, wrong, limited };
    struct Outcome {
        Verdict verdict = Verdict::wrong;
        std::string new_hash;  ///< to replace an outdated one; empty: none
    };

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
        bool right = matches(attempt.stored, attempt.password) && attempt.can_succeed;
        if (!right) {
            record_failure(attempt.peer, attempt.account);
            return {Verdict::wrong, {}};
        }
        if (!attempt.upgrade) return {Verdict::right, {}};
        try {
            return {Verdict::right, hash_argon2id(attempt.password)};
        } catch (const std::bad_alloc&) {
            return {Verdict::right, {}};  // another login will upgrade it
        }
    }

    /// A place on the pool or in the queue before it. Errors: busy.
    Result<Place> take_place() {
        Place place(waiting);
        if (waiting > options.hash_threads + options.hash_queue) return fail(Errc::busy, "too many logins are waiting");
        return place;
    }

    /// The account that a login name names, if it can log in at all. Errors: those of the directory.
    Task<Result<std::optional<Account>>> find(std::string name) {
        if (name.find('@') == std::string::npos) {
            if (options.default_domain.empty()) co_return std::nullopt;
            name.append("@").append(options.default_domain);
        }
        auto account = co_await directory.find_account(std::move(name));
        if (account) co_return std::move(*account);
        if (account.error().code() == Errc::not_found || account.error().code() == Errc::invalid)
            co_return std::nullopt;
        co_return pass_on(account);
    }

    /// Answers a failure at the time all failures are answered: `failure_delay` after the login began.
    Task<Result<Account>> deny(SteadyTime begun, std::string reason) {
        asio::steady_timer timer(co_await asio::this_coro::executor);
        timer.expires_at(begun + options.failure_delay);
        auto [stopped] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
        (void)stopped;  // a cancelled wait is denied as well
        co_return fail(Errc::denied, std::move(reason));
    }

    Task<Result<Account>> verify(Credentials credentials) {
        auto begun = std::chrono::steady_clock::now();
        auto found = co_await find(credentials.name);
        if (!found) co_return pass_on(found);
        auto& account = *found;
        bool usable = account && account->status == AccountStatus::enabled && !account->password.empty() &&
                      !credentials.password.empty();
        auto peer = credentials.peer_is_loopback ? std::string() : peer_key(credentials.peer);
        // Who has logged in from there before is held to the peer's limit alone.
        auto limited = account ? account_key(account->id) : std::string();
        auto acquaintance = peer.empty() || !account ? std::string() : limited + ' ' + peer;
        if (!acquaintance.empty() && familiar.is_over(acquaintance)) limited.clear();

        if (is_over_limit(peer, limited)) co_return co_await deny(begun, "too many failures");
        if (usable && verified.contains(*account, credentials.password)) co_return std::move(*account);

        auto place = take_place();
        if (!place) co_return pass_on(place);
        Attempt attempt{.stored = usable ? account->password : std::string(kNobodysPassword),
                        .password = credentials.password,
                        .peer = peer,
                        .account = limited,
                        .can_succeed = usable,
                        .upgrade = usable && options.upgrade_hashes && is_outdated(account->password)};
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
        if (!outcome.new_hash.empty()) co_await upgrade(*account, std::move(outcome.new_hash));
        verified.remember(*account, credentials.password);
        if (!acquaintance.empty()) familiar.record(acquaintance);
        co_return std::move(*account);
    }

    /// Stores the new hash and brings `account` up to date. A failure is only logged: the login is good.
    Task<> upgrade(Account& account, std::string new_hash) {
        auto done = co_await directory.upgrade_password(account.id, account.password, std::move(new_hash));
        if (!done) {
            log::warning("password_upgrade_failed",
                         {{"account", account.address}, {"reason", to_string(done.error().code())}});
            co_return;
        }
        log::info("password_upgraded", {{"account", account.address}, {"from", scheme_of(account.password)}});
        auto fresh = co_await directory.account(account.id);
        if (fresh) account = std::move(*fresh);
    }

    Task<Result<std::string>> hash(std::string password) {
        auto place = take_place();
        if (!place) co_return pass_on(place);
        auto work = [password = std::move(password), held = std::move(*place)]() mutable -> Result<std::string> {
            try {
                auto made = hash_argon2id(password);
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
    KeyedCounts familiar;                  ///< good logins by account and peer
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

Task<Result<std::string>> Authenticator::hash_password(std::string password) {
    return impl_->hash(std::move(password));
}

}  // namespace poplar::auth
