// Judges logins: the limits first, then devices, passwords (on a pool) and the other proofs.
#include "auth/authenticator.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <new>
#include <optional>

#include "auth/device_uses.h"
#include "auth/familiar_peers.h"
#include "auth/hash_places.h"
#include "auth/kept_limits.h"
#include "auth/keyed_hash.h"
#include "auth/password.h"
#include "auth/second_code.h"
#include "auth/throttle.h"
#include "auth/verified_cache.h"
#include "auth/waiters.h"
#include "base/async_mutex.h"
#include "base/fair_pool.h"
#include "base/log.h"
#include "base/networks.h"
#include "base/peer_network.h"
#include "base/steady.h"
#include "base/turn.h"
#include "directory/outside_directory.h"
#include "directory/server_records.h"

namespace poplar::auth {

namespace {

using directory::Account;
using directory::AccountId;
using directory::AccountStatus;
using directory::Device;

constexpr std::size_t kKindsFrom = 1000;  // accounts that are looked at for what SCRAM keys look like here
constexpr auto kKindsFor = std::chrono::hours(1);
constexpr std::string_view kRecord = "limits";
constexpr std::size_t kKeptLimits = 2'000;

/// The account's SCRAM keys. They stand beside a hash, or in its place.
std::optional<ScramKeys> keys_of(const Account& account, ScramHash hash) {
    if (auto keys = find_scram_keys(account.scram_keys, hash)) return keys;
    return find_scram_keys(account.password, hash);  // imported instead of another hash
}

/// How SCRAM keys are made of a password.
struct ScramWay {
    ScramHash hash;
    std::uint32_t iterations;
    std::string salt;  ///< empty: a new one
};

void append_scram_keys(std::string& to, const ScramWay& way, std::string_view password) {
    to += to_string(way.salt.empty() ? derive_scram_keys(way.hash, password, way.iterations)
                                     : derive_scram_keys(way.hash, password, way.salt, way.iterations));
}

/// The salt and the iterations that the devices' keys share: those of the oldest device, if an imported password came
/// between, so that it does not matter who asks.
std::optional<ScramWay> way_of(const std::vector<Device>& devices, ScramHash hash) {
    std::optional<ScramWay> way;
    Timestamp created{};
    for (const auto& device : devices) {
        if (way && device.created >= created) continue;
        auto keys = find_scram_keys(device.scram_keys, hash);
        if (!keys) continue;
        way = ScramWay{hash, keys->iterations, std::move(keys->salt)};
        created = device.created;
    }
    return way;
}

/// A password as it was typed, and prepared (RFC 6856 s2.2). New hashes are made of the prepared form; imported ones
/// may be of the typed form.
class Typed {
public:
    explicit Typed(std::string password) : typed_(std::move(password)) {
        auto plain = [](char c) { return c >= 0x20 && c <= 0x7e; };
        if (!std::ranges::all_of(typed_, plain)) prepared_ = sasl_prepare(typed_);
    }
    const std::string& typed() const { return typed_; }
    const std::string& prepared() const { return prepared_ ? *prepared_ : typed_; }
    /// Calls `is_right` with one form after the other. Returns the form that is right, or null.
    template <class IsRight>
    const std::string* find(IsRight is_right) const {
        if (is_right(prepared())) return &prepared();
        if (prepared_ && *prepared_ != typed_ && is_right(typed_)) return &typed_;
        return nullptr;
    }

private:
    std::string typed_;
    std::optional<std::string> prepared_;
};

ThrottleOptions throttle(const Options& options, std::uint32_t failures) {
    return {failures, options.failure_window, options.longest_delay, options.failure_entries};
}

/// A name as it may stand in a list: what strangers make up can be long.
std::string shortened(std::string_view name) { return std::string(name.substr(0, 320)); }

}  // namespace

struct Authenticator::Impl {
    Impl(directory::Directory& d, const Options& o, activity::Ledger* l)
        : directory(d),
          options(o),
          ledger(l),
          verified(o.cache_ttl, o.cache_entries),
          familiar(d, o.familiar_peers, o.cache_entries),
          pairs(throttle(o, o.failures_per_pair)),
          peers(throttle(o, o.failures_per_peer)),
          networks(throttle(o, o.failures_per_network)),
          accounts(throttle(o, o.failures_per_account)),
          passwords(throttle(o, o.failures_per_password)),
          device_tries(throttle(o, o.failures_per_device)),
          wrong_before(throttle(o, 1)),
          tokens(throttle(o, o.failures_per_peer)),
          waiters(o.waiting_per_network),
          second_factors(d, o.factors),
          places(o.hashes_per_account),
          pool(std::max<std::size_t>(o.hash_threads, 1), o.hash_queue) {}

    // The limits. A peer that the account was logged in from lately is held up only by failures of that pair. Any other
    // peer is held up by the pair's failures, by all failures of the peer and of its network, by those of all strangers
    // at the account, and by those of the same password at other accounts. A name that nobody has is counted as an
    // account, so that the limits don't tell which names exist. What names a device is held up by failures of that,
    // too, whether or not there is such a device; the right password of one that may log in is held up by nothing.

    struct Keys {
        PeerKey peer;
        bool peer_counts;  ///< this machine's does not: a front end may have many users
        Throttle::Key account, pair, network;
        Throttle::Key password = 0;      ///< what was typed, without a code behind it, from that network; 0: not known
        Throttle::Key guess = 0;         ///< the same at this account, as long as its credential stays
        Throttle::Key attempt = 0;       ///< the same with whatever was behind it
        Throttle::Key device = 0;        ///< of this account, whose id was typed; 0: none was
        std::string_view name, address;  ///< the account's or what was given, and the peer's; the caller keeps them
    };
    enum class Limits { pair, others, all };

    Keys counted(const std::string& name, const std::optional<Account>& account, std::string_view peer,
                 bool loopback) const {
        Keys keys{.peer = loopback ? kThisMachine : peer_key(peer),
                  .peer_counts = !loopback,
                  .account = 0,
                  .pair = 0,
                  .network = 0,
                  .name = account ? account->address : name,
                  .address = peer};
        keys.account = account ? hashed(account->id.value, 0) : hashed(unknown(name));
        keys.pair = hashed(keys.account, keys.peer);
        keys.network = network_of(keys.peer);
        return keys;
    }

    /// With what was typed, so that the same wrong password from the same network counts once: a telephone that was
    /// not told the new one tries the old one again and again. A password with something behind it that may be a code
    /// is a guess of that password, at whichever account: else a guesser who puts other digits behind it each time
    /// would seem to try another one each time.
    void add_password(Keys& keys, const std::optional<Account>& account, std::string_view typed) const {
        std::string password(typed);
        while (auto parts = split_code(password)) password = std::move(parts->password);
        const auto guessed = hashed(hashed(password), keys.network);
        if (keys.peer_counts) keys.password = guessed;
        const auto here = hashed(keys.account, account ? account->credential_version : 0);
        keys.guess = hashed(guessed, here);
        keys.attempt = hashed(here, hashed(hashed(typed), keys.network));
        if (auto device = parse_device_password(typed)) keys.device = device_key(keys, device->device);
    }
    Throttle::Key device_key(const Keys& keys, std::uint32_t device) const {
        return hashed(keys.account, device + 1ull);
    }

    /// The one spelling of a name that nobody has. It is that without a detail, as it would be if somebody had it.
    std::string unknown(std::string name) const {
        if (auto prepared = sasl_prepare(name)) name = std::move(*prepared);
        if (!complete(name)) return name;
        if (auto parts = directory.split_detail(name)) name = std::move(parts->address);
        return directory.canonical(std::move(name));
    }

    bool is_over(const Keys& keys, Limits limits) const {
        if (limits != Limits::others && pairs.is_over(keys.pair)) return true;
        if (limits == Limits::pair) return false;
        if (keys.peer_counts && (peers.is_over(keys.peer) || networks.is_over(keys.network))) return true;
        if (keys.device != 0 && device_tries.is_over(keys.device)) return true;
        return accounts.is_over(keys.account) || (keys.password != 0 && passwords.is_over(keys.password));
    }

    /// Waits until the next attempt may be judged. Errors: busy (it would take too long).
    Task<Result<>> wait_for_turn(Keys keys, Limits limits) {
        std::vector<std::pair<Throttle*, Throttle::Key>> used;
        if (limits != Limits::others) used.emplace_back(&pairs, keys.pair);
        if (limits != Limits::pair) used.emplace_back(&accounts, keys.account);
        if (limits != Limits::pair && keys.password != 0) used.emplace_back(&passwords, keys.password);
        if (limits != Limits::pair && keys.device != 0) used.emplace_back(&device_tries, keys.device);
        if (limits != Limits::pair && keys.peer_counts) used.emplace_back(&peers, keys.peer);
        if (limits != Limits::pair && keys.peer_counts) used.emplace_back(&networks, keys.network);
        co_return co_await wait_for_turn(std::move(used), keys);
    }
    Task<Result<>> wait_for_turn(std::vector<std::pair<Throttle*, Throttle::Key>> used, Keys keys) {
        const bool has_to = std::ranges::any_of(used, [](const auto& one) { return one.first->is_over(one.second); });
        auto waiting = has_to && keys.peer_counts ? waiters.enter(keys.network) : waiters.enter_any();
        if (!waiting) co_return fail(Errc::busy, "too many logins from this network wait for a turn");
        for (auto [throttle, at] : used)
            if (throttle->wait(at) > options.longest_wait) co_return fail(Errc::busy, "too many failures");
        auto turn = SteadyClock::now();
        for (auto [throttle, at] : used) turn = std::max(turn, throttle->take_turn(at));
        co_await pause_until(turn);
        if (stopping) co_return fail(Errc::busy, "the server is stopping");
        co_return Result<>();
    }

    void record_failure(const Keys& keys, bool is_familiar) {
        bool is_new_guess = true;
        if (keys.attempt != 0) {
            if (wrong_before.has_failed(keys.attempt)) return;
            wrong_before.record_failure(keys.attempt);
            is_new_guess = !wrong_before.has_failed(keys.guess);
            if (is_new_guess) wrong_before.record_failure(keys.guess);
        }
        const auto name = shortened(keys.name), peer = peer_text(keys.address), network = network_text(keys.address);
        pairs.record_failure(keys.pair, {name, peer});
        if (is_familiar) return;
        if (accounts.record_failure(keys.account, {name, ""})) tell("account", keys, options.failures_per_account);
        if (keys.password != 0 && is_new_guess && passwords.record_failure(keys.password, {"", network}))
            tell("password", keys, options.failures_per_password);
        if (keys.device != 0 && device_tries.record_failure(keys.device, {name, ""}))
            tell("device", keys, options.failures_per_device);
        if (!keys.peer_counts) return;
        if (peers.record_failure(keys.peer, {"", peer})) tell("peer", keys, options.failures_per_peer);
        if (networks.record_failure(keys.network, {"", network})) tell("network", keys, options.failures_per_network);
    }

    /// Tells the operator that somebody guesses: once while a limit is passed, and not about each failure.
    static void tell(std::string_view limit, const Keys& keys, std::uint32_t failures) {
        log::warning("auth.guessing", {{"peer", keys.address},
                                       {"network", network_text(keys.address)},
                                       {"limit", limit},
                                       {"failures", failures},
                                       {"name", shortened(keys.name)}});
    }

    /// For the account's own ledger.
    void note_refused(const Account& account, std::string_view peer, directory::Service service, std::string_view why,
                      const Device* device = nullptr, activity::Kind kind = activity::Kind::refused) const {
        if (ledger == nullptr) return;
        activity::Origin origin{.peer = std::string(peer), .protocol = std::string(to_string(service))};
        if (device != nullptr) origin.device = device->id, origin.device_name = device->name;
        ledger->note(account.id, kind, origin, why);
    }

    std::vector<std::pair<std::string_view, Throttle*>> limits() {
        return {{"pair", &pairs},         {"peer", &peers},          {"network", &networks}, {"account", &accounts},
                {"password", &passwords}, {"device", &device_tries}, {"token", &tokens}};
    }

    std::vector<HeldUp> held_up() {
        std::vector<HeldUp> all;
        for (const auto& [limit, throttle] : limits())
            for (auto& one : throttle->held())
                all.push_back({limit, std::move(one.subject.account), std::move(one.subject.peer), one.failures,
                               one.delay, one.lasts});
        std::ranges::sort(all, std::ranges::greater(), &HeldUp::lasts);
        return all;
    }

    // The keys of the throttles are made with a secret of the store's, so that they mean the same after a restart.
    Task<Result<>> load_limits(directory::ServerRecords& records, const Clock& clock) {
        auto secret = co_await directory.server_secret();
        if (!secret) co_return pass_on(secret);
        hashed.derive(*secret, "limits of logins");
        auto stored = co_await records.get(std::string(kRecord));
        if (!stored) co_return pass_on(stored);
        if (stored->empty()) co_return Result<>();
        auto kept = decode_limits(*stored);
        if (!kept) co_return pass_on(kept);
        const auto down = std::clamp<std::chrono::milliseconds>(clock.now() - kept->kept, {}, options.failure_window);
        for (auto& one : kept->limits) {
            one.entry.age += down;
            for (auto [limit, throttle] : limits())
                if (limit == one.limit && throttle != &passwords) throttle->take_up(one.entry);
        }
        keeps_limits = !kept->limits.empty();
        co_return Result<>();
    }

    Task<Result<>> keep_limits(directory::ServerRecords& records, const Clock& clock) {
        KeptLimits kept{.kept = clock.now(), .limits = {}};
        for (auto [limit, throttle] : limits()) {
            if (throttle == &passwords) continue;
            for (auto& entry : throttle->keep()) kept.limits.push_back({std::string(limit), std::move(entry)});
        }
        if (kept.limits.empty() && !keeps_limits) co_return Result<>();
        std::ranges::sort(kept.limits, {}, [](const KeptLimits::One& one) { return one.entry.age; });
        if (kept.limits.size() > kKeptLimits) kept.limits.resize(kKeptLimits);
        keeps_limits = !kept.limits.empty();
        co_return co_await records.put(std::string(kRecord), encode(kept));
    }

    std::size_t release(const std::string& who) {
        const auto canonical = unknown(who), peer = peer_text(who), network = network_text(who);
        auto is_meant = [&](const Throttle::Subject& subject) {
            if (!subject.account.empty() && (subject.account == who || subject.account == canonical)) return true;
            return !subject.peer.empty() && (subject.peer == peer || subject.peer == network || subject.peer == who);
        };
        std::size_t over = 0;
        for (auto [limit, throttle] : limits()) over += throttle->forget(is_meant);
        return over;
    }

    Task<bool> knows(const std::optional<Account>& account, PeerKey peer) {
        if (!account) co_return false;
        co_return co_await familiar.knows(account->id, peer);
    }

    /// Every login whose proof was right comes through here, by whatever mechanism. `code`: typed behind the password.
    /// One that lacks its second factor leaves no trace of having been good.
    Task<Result<Verified>> welcome(Claim claim, Account account, PeerKey peer, std::unique_ptr<Device> device,
                                   std::string code) {
        auto judged = co_await second_factors.judge(account, claim, device != nullptr, code);
        if (!judged) co_return co_await answer(claim.begun, std::move(judged.error()));
        co_return let_in(claim, std::move(account), peer, std::move(device), *judged);
    }
    Verified let_in(const Claim& claim, Account account, PeerKey peer, std::unique_ptr<Device> device,
                    SecondFactors::Verdict judged) {
        if (judged.missing)
            note_refused(account, claim.peer, claim.service, to_string(*judged.missing), device.get(),
                         activity::Kind::unproven);
        else
            familiar.note(account.id, peer);
        auto mailbox = mailbox_in(claim.name, account);
        return Verified{std::move(account), std::move(device), judged.missing,
                        judged.by,          judged.shown,      std::move(mailbox)};
    }

    /// The detail of a name that the account was found by, if the account is not called so with the detail. Whatever
    /// else the name is, it is no other spelling of the account's, so it never stands for INBOX.
    std::optional<std::string> mailbox_in(const std::string& typed, const Account& account) const {
        auto parts = directory.split_detail(typed);
        if (!parts) return std::nullopt;
        auto name = typed;
        complete(name);
        auto is_its = [&](const std::string& spelling) { return directory.canonical(spelling) == account.address; };
        if (is_its(name)) return std::nullopt;
        if (auto prepared = sasl_prepare(name); prepared && is_its(*prepared)) return std::nullopt;
        return std::move(parts->detail);
    }

    /// In steps, as the server may stop meanwhile.
    Task<> pause_until(SteadyTime time) {
        SteadyTimer timer(co_await asio::this_coro::executor);
        for (auto now = SteadyClock::now(); now < time && !stopping; now = SteadyClock::now()) {
            timer.expires_at(std::min<SteadyTime>(time, now + std::chrono::seconds(1)));
            auto [stopped] = co_await timer.async_wait(asio::as_tuple(use_awaitable));
            if (stopped) co_return;  // cancelled: the caller answers at once
        }
    }

    /// Answers a failure at a time that all failures are answered at.
    Task<Result<Verified>> answer(SteadyTime begun, Error error) {
        SteadyClock::duration delay = options.failure_delay;
        if (delay.count() > 0) {
            auto passed = std::max(SteadyClock::now() - begun, SteadyClock::duration(1));
            co_await pause_until(begun + (passed + delay - SteadyClock::duration(1)) / delay * delay);
        }
        co_return std::unexpected(std::move(error));
    }
    Task<Result<Verified>> deny(SteadyTime begun, std::string reason) {
        return answer(begun, Error(Errc::denied, std::move(reason)));
    }

    // Passwords.

    /// One attempt, as the pool sees it.
    struct Attempt {
        Account account;  ///< without a password if none can be right; then nothing is hashed
        Typed password;
        Keys keys;
        bool is_familiar = false;
        bool had_its_turn = false;
        bool upgrade = false;
        std::vector<ScramWay> scram_make = {};   ///< keys that the account lacks
        bool takes_code = false;                 ///< a code may stand behind the password
        std::optional<Typed> without_code = {};  ///< the password, if one does
        directory::KeysStamp beside = 0;         ///< if there are any
    };
    enum class Verdict { right, wrong, limited, no_memory };
    struct Outcome {
        Verdict verdict = Verdict::wrong;
        std::optional<std::string> right = {};           ///< the form of the password that was right
        bool with_code = false;                          ///< it was what stood before a code
        std::optional<directory::Password> better = {};  ///< to replace what is stored
    };

    /// How to make keys of a password of the account's own. They share the salt of its devices' keys, because a
    /// challenge has one salt, and the devices' keys can't be made anew: the server does not know their passwords.
    struct Ways {
        std::vector<ScramWay> all;
        directory::KeysStamp beside = 0;  ///< from before the devices were looked at
    };
    Task<Result<Ways>> ways(AccountId account, std::vector<ScramHash> hashes) {
        Ways out;
        if (hashes.empty()) co_return out;
        auto stamp = co_await directory.keys_stamp(account);
        if (!stamp) co_return pass_on(stamp);
        out.beside = *stamp;
        auto devices = co_await directory.devices(account);
        if (!devices) co_return pass_on(devices);
        for (auto hash : hashes)
            out.all.push_back(way_of(*devices, hash).value_or(ScramWay{hash, options.scram_iterations, {}}));
        co_return out;
    }

    /// Runs on the pool. Looks at the limits again, because guesses that came together with this one may have failed
    /// while it waited. Looks into the cache again, so that of many right passwords at a time only one is hashed.
    Outcome judge(const Attempt& attempt) {
        if (!attempt.had_its_turn && is_over(attempt.keys, attempt.is_familiar ? Limits::pair : Limits::all))
            return {Verdict::limited};
        const auto& account = attempt.account;
        const std::string* right = nullptr;
        const Typed* proven = &attempt.password;
        if (!account.password.empty()) {
            auto known = [&](const std::string& form) { return verified.contains(account, form); };
            if (attempt.password.find(known) != nullptr) return {Verdict::right};
            if (attempt.without_code && attempt.without_code->find(known) != nullptr)
                return {.verdict = Verdict::right, .with_code = true};
            auto begun = SteadyClock::now();
            auto good = [&](const std::string& form) { return matches(account.password, form); };
            try {
                right = attempt.password.find(good);
                note_cost(SteadyClock::now() - begun);
                if (attempt.takes_code) {
                    const auto& before = attempt.without_code ? *attempt.without_code : attempt.password;
                    const auto* before_code = before.find(good);
                    if (right == nullptr && attempt.without_code) right = before_code, proven = &*attempt.without_code;
                }
            } catch (const std::bad_alloc&) {
                return {Verdict::no_memory};  // not wrong, or the right password would be remembered as wrong
            }
            if (sasl_prohibits(proven->typed())) right = nullptr;
        }
        if (right == nullptr) {
            record_failure(attempt.keys, attempt.is_familiar);
            return {Verdict::wrong};
        }
        verified.remember(account, *right);
        Outcome outcome{.verdict = Verdict::right, .right = *right, .with_code = proven != &attempt.password};
        if (!attempt.upgrade && attempt.scram_make.empty()) return outcome;
        directory::Password better{account.password, account.scram_keys};
        if (!attempt.scram_make.empty()) better.beside = attempt.beside;
        for (const auto& way : attempt.scram_make) append_scram_keys(better.scram_keys, way, proven->typed());
        if (attempt.upgrade) {
            try {
                better.hash = hash_argon2id(proven->prepared());
            } catch (const std::bad_alloc&) {
                return outcome;  // another login will upgrade it
            }
            // The old "hash" was SCRAM keys: they are kept, because SCRAM logins need them.
            if (parse_scram_keys(account.password)) better.scram_keys += account.password;
        }
        outcome.better = std::move(better);
        return outcome;
    }

    /// Keeps the average time of a hash. A login that needs no hash is answered as late as if it had needed one.
    void note_cost(SteadyClock::duration took) {
        auto before = hash_cost.load(std::memory_order_relaxed);
        hash_cost.store(before + (took.count() - before) / 8, std::memory_order_relaxed);
    }

    Share share_of(const Keys& keys, bool is_familiar) const {
        bool failed = pairs.has_failed(keys.pair) || (keys.peer_counts && peers.has_failed(keys.peer));
        auto standing = is_familiar ? Standing::good : failed ? Standing::bad : Standing::unknown;
        if (is_familiar && pairs.has_failed(keys.pair)) standing = Standing::unknown;
        return {standing, network_of(keys.peer), keys.peer};
    }

    /// Adds the default domain where there is none; false if it is missing.
    bool complete(std::string& name) const {
        if (name.find('@') != std::string::npos) return true;
        if (options.default_domain.empty()) return false;
        name.append("@").append(options.default_domain);
        return true;
    }

    /// The account that most clients name, by its own spelling, if it needn't be waited for. Else find() has to look.
    std::optional<Account> at_hand(std::string_view name) const {
        if (!name.contains('@') || sasl_prohibits(name)) return std::nullopt;
        return directory.account_at_hand(name);
    }

    /// The account that a login name names, if it can log in at all. Errors: those of the directory.
    Task<Result<std::optional<Account>>> find(std::string name, NamedBy named_by) {
        bool whole = named_by == NamedBy::client ? complete(name) : name.contains('@');
        if (!whole || sasl_prohibits(name)) co_return std::nullopt;
        auto account = co_await find_whole(name);
        if (!account || *account || named_by == NamedBy::proof) co_return account;
        auto parts = directory.split_detail(name);
        if (!parts) co_return account;
        co_return co_await find_whole(std::move(parts->address));
    }
    Task<Result<std::optional<Account>>> find_whole(std::string name) {
        auto account = co_await directory.find_for_login(name);
        // RFC 6856 s2.2. The directory's own spelling does most of it, and knows names that SASLprep would change.
        if (!account && account.error().code() == Errc::not_found)
            if (auto prepared = sasl_prepare(name); prepared && *prepared != name)
                account = co_await directory.find_for_login(std::move(*prepared));
        if (account) co_return std::move(*account);
        if (account.error().code() == Errc::not_found || account.error().code() == Errc::invalid)
            co_return std::nullopt;
        co_return pass_on(account);
    }

    // Devices.

    /// The device of that account whose password this is.
    Task<Result<std::optional<Device>>> device_of(const std::optional<Account>& account, std::string_view typed) {
        if (!account || account->status != AccountStatus::enabled) co_return std::nullopt;
        auto password = parse_device_password(typed);
        if (!password) co_return std::nullopt;
        auto device = co_await directory.device(account->id, password->device);
        if (!device || !*device) co_return device;
        if (!matches_device_secret((*device)->secret, password->secret)) co_return std::nullopt;
        co_return device;
    }

    /// For the log: why the device is not good for this login; "" if it is.
    std::string why_not(const Device& device, directory::Service service, std::string_view peer) const {
        if (!device.serves(service)) return "the device is not for this protocol";
        if (directory.has_expired(device)) return "the device has expired";
        if (device.networks.empty()) return "";
        auto allowed = Networks::parse(device.networks);
        return allowed && allowed->contains(peer) ? "" : "the device may not be used from there";
    }

    /// Ends a login by the password of a device. Nobody can guess that, so no failures hold it up where it may log in.
    Task<Result<Verified>> conclude(Claim claim, Account account, std::unique_ptr<Device> device) {
        auto keys = counted(claim.name, account, claim.peer, claim.peer_is_loopback);
        auto why = why_not(*device, claim.service, claim.peer);
        if (why.empty())
            co_return co_await welcome(std::move(claim), std::move(account), keys.peer, std::move(device), "");
        keys.name = account.address;
        keys.device = device_key(keys, device->id);
        std::vector<std::pair<Throttle*, Throttle::Key>> used{{&device_tries, keys.device}};
        if (auto turn = co_await wait_for_turn(std::move(used), keys); !turn)
            co_return co_await answer(claim.begun, std::move(turn.error()));
        if (device_tries.record_failure(keys.device, {account.address, ""}))
            tell("device", keys, options.failures_per_device);
        note_refused(account, claim.peer, claim.service, why, device.get());
        co_return co_await deny(claim.begun, std::move(why));
    }

    Task<Result<std::optional<ProvenDevice>>> find_device(const std::optional<Account>& account, ScramProof proof) {
        if (!account || account->status != AccountStatus::enabled) co_return std::nullopt;
        auto devices = co_await directory.devices(account->id);
        if (!devices) co_return pass_on(devices);
        for (auto& device : *devices) {
            for (std::string_view keys = device.scram_keys; auto one = take_scram_keys(keys, proof.hash());)
                if (auto answer = proof.answer(*one))
                    co_return ProvenDevice{std::make_unique<Device>(std::move(device)), std::move(*answer)};
            if (turn::over()) co_await turn::let_others();
        }
        co_return std::nullopt;
    }

    static bool can_log_in(const std::optional<Account>& account, const Typed& password) {
        return account && account->status == AccountStatus::enabled && !password.typed().empty();
    }

    // Accounts whose passwords another directory keeps.

    directory::OutsideDirectory* outside_of(const std::optional<Account>& account) const {
        return account ? directory.outside_of(account->address) : nullptr;
    }

    /// In place of "wrong", while the directory that keeps this name's domain does not answer: an account that it was
    /// asked about before must not be told from others.
    std::optional<Error> silence(const std::string& name, const std::optional<Account>& account) const {
        const auto address = account ? account->address : unknown(name);
        const auto* outside = directory.outside_of(address);
        if (outside == nullptr || !outside->is_silent(address.substr(address.rfind('@') + 1))) return std::nullopt;
        return Error(Errc::timed_out, "the directory outside that keeps this domain does not answer");
    }

    static Task<Result<bool>> is_right(directory::OutsideDirectory& outside, mail::Address address, Typed password,
                                       directory::OutsideDirectory::Asker asker) {
        if (sasl_prohibits(password.typed())) co_return false;
        auto right = co_await outside.check(address, password.prepared(), asker);
        if (!right || *right || password.prepared() == password.typed()) co_return right;
        co_return co_await outside.check(std::move(address), password.typed(), std::move(asker));
    }

    /// As judge(), where another directory knows the password. What was typed is asked about as a whole first, so that
    /// the right password is the last thing that a directory with limits of its own hears.
    Task<Result<Outcome>> judge_outside(directory::OutsideDirectory& outside, Attempt attempt,
                                        directory::OutsideDirectory::Asker asker) {
        if (!attempt.had_its_turn && is_over(attempt.keys, attempt.is_familiar ? Limits::pair : Limits::all))
            co_return Outcome{Verdict::limited};
        auto address = mail::parse_address(attempt.account.address);
        if (!address) co_return pass_on(address);
        auto right = co_await is_right(outside, *address, attempt.password, asker);
        bool with_code = false;
        if (right && attempt.without_code) {
            auto before_code = co_await is_right(outside, std::move(*address), *attempt.without_code, std::move(asker));
            if (!before_code) right = pass_on(before_code);
            with_code = right && !*right && *before_code;
        }
        if (right && (*right || with_code)) co_return Outcome{.verdict = Verdict::right, .with_code = with_code};
        record_failure(attempt.keys, attempt.is_familiar);
        if (!right) co_return pass_on(right);
        co_return Outcome{Verdict::wrong};
    }

    /// The password and the code behind it, where the account may have one there.
    struct Split {
        bool takes_code = false;
        std::optional<Typed> without = {};  ///< the password, if what was typed ends like a code
        std::string code = {};
    };
    Task<Result<Split>> split_off_code(bool usable, const std::optional<Account>& account, const Typed& password) {
        Split split;
        if (!usable) co_return split;
        auto takes_code = co_await second_factors.takes_code(*account);
        if (!takes_code) co_return pass_on(takes_code);
        split.takes_code = *takes_code;
        auto parts = split.takes_code ? split_code(password.typed()) : std::nullopt;
        if (!parts) co_return split;
        split.without.emplace(std::move(parts->password));
        split.code = std::move(parts->code);
        co_return split;
    }

    Task<Result<Attempt>> attempt_at(Account account, Typed password, Keys keys, bool is_familiar, bool had_its_turn) {
        Attempt attempt{std::move(account), std::move(password), keys, is_familiar, had_its_turn};
        if (attempt.account.password.empty()) co_return attempt;
        attempt.upgrade = options.upgrade_hashes && is_outdated(attempt.account.password);
        std::vector<ScramHash> lacking;
        for (auto hash : options.scram_keys)
            if (!keys_of(attempt.account, hash)) lacking.push_back(hash);
        auto made = co_await ways(attempt.account.id, std::move(lacking));
        if (!made) co_return pass_on(made);
        attempt.scram_make = std::move(made->all);
        attempt.beside = made->beside;
        co_return attempt;
    }

    Task<Result<Verified>> verify(Credentials credentials) {
        const auto begun = SteadyClock::now();
        const Typed password(std::move(credentials.password));
        const Claim claim{credentials.name, credentials.peer,    credentials.peer_is_loopback,
                          Proof::password,  credentials.service, begun};
        // After a turn all is looked at again: the account may have changed meanwhile.
        for (bool had_its_turn = false;; had_its_turn = true) {
            auto account = at_hand(credentials.name);
            if (!account) {
                auto found = co_await find(credentials.name, NamedBy::client);
                if (!found) co_return pass_on(found);
                account = std::move(*found);
            }
            auto keys = counted(credentials.name, account, credentials.peer, credentials.peer_is_loopback);
            add_password(keys, account, password.typed());
            auto device = co_await device_of(account, password.typed());
            if (!device) co_return pass_on(device);
            if (*device) {
                auto its = std::make_unique<Device>(std::move(**device));
                co_return co_await conclude(claim, std::move(*account), std::move(its));
            }
            if (!had_its_turn && is_over(keys, Limits::all)) {
                bool spared = co_await knows(account, keys.peer);
                if (!spared || is_over(keys, Limits::pair)) {
                    auto turn = co_await wait_for_turn(keys, spared ? Limits::pair : Limits::all);
                    if (!turn) co_return co_await answer(begun, std::move(turn.error()));
                    continue;
                }
            }
            auto* outside = outside_of(account);
            bool usable = can_log_in(account, password) && (outside || !account->password.empty());
            directory::OutsideDirectory::Asker asker;
            if (outside) asker = {credentials.peer, std::string(to_string(credentials.service))};
            auto known = [&](const std::string& form) {
                return outside ? outside->remembers(account->address, form, asker) : verified.contains(*account, form);
            };
            if (usable && password.find(known) != nullptr) {
                if (auto judged = second_factors.judge_at_once(*account, claim, false))
                    co_return let_in(claim, std::move(*account), keys.peer, nullptr, *judged);
                co_return co_await welcome(claim, std::move(*account), keys.peer, nullptr, "");
            }
            auto split = co_await split_off_code(usable, account, password);
            if (!split) co_return co_await answer(begun, std::move(split.error()));
            if (split->without && split->without->find(known) != nullptr)
                co_return co_await welcome(claim, std::move(*account), keys.peer, nullptr, std::move(split->code));
            // A password that was wrong a moment ago is not hashed again: it would be a way to keep the threads busy.
            // Where a code may stand behind it now and might not then, it is another attempt.
            keys.attempt = hashed(keys.attempt, split->takes_code ? 1 : 0);
            // Another directory remembers by itself what it was asked: a password may become right there at any time.
            usable = usable && (outside || !wrong_before.has_failed(keys.attempt));

            bool is_familiar = co_await knows(account, keys.peer);
            auto share = share_of(keys, is_familiar);
            auto place = places.take(keys.account, share.standing);
            if (!place)
                co_return co_await answer(begun, Error(Errc::busy, "too many logins of this account are waiting"));
            Result<Outcome> judged;
            if (usable && outside) {
                Attempt attempt{*account, password, keys, is_familiar, had_its_turn};
                attempt.without_code = std::move(split->without);
                judged = co_await judge_outside(*outside, std::move(attempt), asker);
                if (!judged) co_return co_await answer(begun, std::move(judged.error()));
            } else {
                auto attempt =
                    co_await attempt_at(usable ? *account : Account{}, password, keys, is_familiar, had_its_turn);
                if (!attempt) co_return pass_on(attempt);
                attempt->takes_code = split->takes_code;
                attempt->without_code = std::move(split->without);
                auto work = [this, attempt = std::move(*attempt)] { return judge(attempt); };
                judged = co_await pool.run(share, std::move(work));
                if (!judged) co_return co_await answer(begun, Error(Errc::busy, "too many logins are waiting"));
            }
            if (judged->verdict == Verdict::limited) {
                place.reset();
                auto turn = co_await wait_for_turn(keys, is_familiar ? Limits::pair : Limits::all);
                if (!turn) co_return co_await answer(begun, std::move(turn.error()));
                continue;
            }
            if (judged->verdict == Verdict::no_memory)
                co_return co_await answer(begun, Error(Errc::busy, "no memory for a password hash"));
            if (judged->verdict == Verdict::wrong) {
                // If nothing was hashed, the place stays taken and the answer comes as late as if it had been.
                auto cost = SteadyClock::duration(hash_cost.load(std::memory_order_relaxed));
                if (!usable) co_await pause_until(place->busy(cost / std::max<std::size_t>(options.hash_threads, 1)));
                place.reset();
                // A familiar peer was spared the turn that strangers take. After a wrong guess it takes it, because a
                // quick answer would tell that the account was logged in from there.
                if (is_familiar && is_over(keys, Limits::others)) {
                    auto turn = co_await wait_for_turn(keys, Limits::others);
                    if (!turn) co_return co_await answer(begun, std::move(turn.error()));
                }
                if (auto silent = silence(credentials.name, account))
                    co_return co_await answer(begun, std::move(*silent));
                if (!account) co_return co_await deny(begun, "unknown user");
                std::string why = account->status == AccountStatus::enabled ? "wrong password" : "account is disabled";
                note_refused(*account, credentials.peer, credentials.service, why);
                co_return co_await deny(begun, std::move(why));
            }
            if (judged->better) {
                const auto upgraded = co_await upgrade(*account, std::move(*judged->better));
                if (upgraded == Upgrade::overtaken) continue;
                if (upgraded == Upgrade::done) verified.remember(*account, *judged->right);
            }
            if (!judged->with_code) split->code.clear();
            co_return co_await welcome(claim, std::move(*account), keys.peer, nullptr, std::move(split->code));
        }
    }

    // Other proofs.

    Task<Result<>> wait_for_turn(Claim claim, std::optional<Account> claimed) {
        auto keys = counted(claim.name, claimed, claim.peer, claim.peer_is_loopback);
        bool by_peer = keys.peer_counts && !co_await knows(claimed, keys.peer);
        std::vector<std::pair<Throttle*, Throttle::Key>> used;
        if (!claim.name.empty()) used.emplace_back(&tokens, keys.pair);
        if (by_peer) used.emplace_back(&tokens, keys.peer);
        auto turn = co_await wait_for_turn(std::move(used), keys);
        if (turn) co_return Result<>();
        auto refused = co_await answer(claim.begun, std::move(turn.error()));
        co_return pass_on(refused);
    }

    Task<Result<Verified>> conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
        auto keys = counted(claim.name, account, claim.peer, claim.peer_is_loopback);
        const bool guessable = claim.proof == Proof::password || claim.proof == Proof::shared_secret;
        if (guessable && is_over(keys, Limits::all)) {
            bool spared = co_await knows(account, keys.peer);
            auto limits = spared ? Limits::pair : Limits::all;
            if (is_over(keys, limits)) {
                auto turn = co_await wait_for_turn(keys, limits);
                if (!turn) co_return co_await answer(claim.begun, std::move(turn.error()));
                if (account) {
                    auto now = co_await directory.account(account->id);
                    if (!now || now->credential_version != account->credential_version)
                        co_return co_await answer(claim.begun, Error(Errc::busy, "the account has changed"));
                    account = std::move(*now);
                    keys.name = account->address;
                }
            }
        }
        bool enabled = account && account->status == AccountStatus::enabled;
        if (enabled && judgement)
            co_return co_await welcome(std::move(claim), std::move(*account), keys.peer, nullptr, "");

        const bool is_familiar = co_await knows(account, keys.peer);
        if (guessable) record_failure(keys, is_familiar);
        if (claim.proof == Proof::token && !judgement) {
            const auto peer = peer_text(claim.peer);
            if (!claim.name.empty()) tokens.record_failure(keys.pair, {shortened(keys.name), peer});
            if (keys.peer_counts && !is_familiar) tokens.record_failure(keys.peer, {"", peer});
        }
        if (guessable && is_familiar && is_over(keys, Limits::others)) {
            auto turn = co_await wait_for_turn(keys, Limits::others);
            if (!turn) co_return co_await answer(claim.begun, std::move(turn.error()));
        }
        if (auto silent = silence(claim.name, account)) co_return co_await answer(claim.begun, std::move(*silent));
        if (!account) co_return co_await deny(claim.begun, "unknown user");
        auto why = enabled ? judgement.error().detail() : "account is disabled";
        note_refused(*account, claim.peer, claim.service, why);
        co_return co_await deny(claim.begun, std::move(why));
    }

    Task<Result<ScramKeys>> scram_keys(std::string name, const std::optional<Account>& account, ScramHash hash) {
        if (account)
            if (auto keys = keys_of(*account, hash)) co_return std::move(*keys);
        // Also for a name that nobody has, whose answer must not come sooner.
        auto devices = co_await directory.devices(account ? account->id : AccountId{});
        if (!devices) co_return pass_on(devices);
        auto turn = co_await pretence.mutex.lock();
        if (pretence.secret.empty()) {
            auto secret = co_await directory.server_secret();
            if (!secret) co_return pass_on(secret);
            pretence.secret = std::move(*secret);
        }
        if (auto now = SteadyClock::now(); now >= pretence.look_again) {
            auto some = co_await directory.accounts("", "", kKindsFrom);
            if (!some) co_return pass_on(some);
            pretence.kinds = kinds_of(*some);
            pretence.look_again = now + kKindsFor;
        }
        name = unknown(std::move(name));  // an account has the same keys in whatever spelling it is named
        const auto& kinds = pretence.kinds[hash];
        auto kind = choose_scram_kind(kinds, pretence.secret, name);
        auto keys = pretended_scram_keys(hash, pretence.secret, name, kind);
        if (auto way = way_of(*devices, hash)) {
            keys.iterations = way->iterations;
            keys.salt = std::move(way->salt);
        }
        co_return keys;
    }

    /// How many of the accounts have keys of each kind; where none has, that of new keys.
    std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds_of(const std::vector<Account>& some) const {
        std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds;
        for (auto hash : {ScramHash::sha1, ScramHash::sha256}) {
            auto& of_hash = kinds[hash];
            for (const auto& account : some)
                if (auto keys = keys_of(account, hash)) ++of_hash[{keys->iterations, keys->salt.size()}];
            if (of_hash.empty()) of_hash[{options.scram_iterations}] = 1;
        }
        return kinds;
    }

    enum class Upgrade { done, failed, overtaken };
    /// Stores the new hash and brings `account` up to date. A failure is only logged: the login is good. Where
    /// something else was stored meanwhile, the login has to begin anew: another one may have upgraded the hash, or the
    /// password may be another.
    Task<Upgrade> upgrade(Account& account, directory::Password better) {
        bool scram = better.scram_keys != account.scram_keys;
        auto done = co_await directory.upgrade_password(account.id, account.password, std::move(better));
        if (!done) {
            auto now = co_await directory.account(account.id);
            const bool has_changed =
                now ? now->credential_version != account.credential_version : now.error().code() == Errc::not_found;
            if (has_changed) co_return Upgrade::overtaken;
            log::warning("auth.password_upgrade_failed",
                         {{"account", account.address}, {"reason", to_string(done.error().code())}});
            co_return Upgrade::failed;
        }
        log::info("auth.password_upgraded", {{"account", account.address},
                                             {"from", scheme_of(account.password)},
                                             {"scram_keys", scram ? "new" : "as before"}});
        auto fresh = co_await directory.account(account.id);
        if (!fresh) co_return Upgrade::overtaken;  // it went, or can't be read
        account = std::move(*fresh);
        co_return Upgrade::done;
    }

    Task<Result<directory::Password>> hash(std::string password, std::optional<AccountId> account) {
        Ways scram;
        if (account) {
            auto found = co_await ways(*account, options.scram_keys);
            if (!found) co_return pass_on(found);
            scram = std::move(*found);
        } else {
            for (auto hash : options.scram_keys) scram.all.push_back({hash, options.scram_iterations, {}});
        }
        const bool beside = account && !scram.all.empty();
        auto work = [beside, scram = std::move(scram),
                     password = std::move(password)]() -> Result<directory::Password> {
            try {
                directory::Password made(hash_argon2id(sasl_prepare(password).value_or(password)));
                for (const auto& way : scram.all) append_scram_keys(made.scram_keys, way, password);
                if (beside) made.beside = scram.beside;
                return made;
            } catch (const std::bad_alloc&) {
                return fail(Errc::busy, "no memory for a password hash");
            }
        };
        auto made = co_await pool.run(Share{.standing = Standing::good}, std::move(work));
        if (!made) co_return fail(Errc::busy, "too many logins are waiting");
        co_return std::move(*made);
    }

    // The salt and the iterations are those that the account's challenge has already: it must not change when a device
    // is added, because the challenge of a name that nobody has does not change.
    Task<Result<std::string>> device_scram_keys(Account account, DevicePassword password) {
        std::vector<ScramWay> scram;
        for (auto hash : {ScramHash::sha256, ScramHash::sha1}) {
            bool wanted = std::ranges::find(options.scram_keys, hash) != options.scram_keys.end();
            if (!wanted && !keys_of(account, hash)) continue;
            auto keys = co_await scram_keys(account.address, account, hash);
            if (!keys) co_return pass_on(keys);
            scram.emplace_back(hash, keys->iterations, std::move(keys->salt));
        }
        if (scram.empty()) co_return std::string();
        auto work = [scram = std::move(scram), password = std::move(password)] {
            std::string made;
            for (const auto& way : scram)
                for (const auto& form : {grouped(password), plain(password)}) append_scram_keys(made, way, form);
            return made;
        };
        auto made = co_await pool.run(Share{.standing = Standing::good}, std::move(work));
        if (!made) co_return fail(Errc::busy, "too many logins are waiting");
        co_return std::move(*made);
    }

    directory::Directory& directory;
    const Options options;
    activity::Ledger* const ledger;
    VerifiedCache verified;
    FamiliarPeers familiar;
    Throttle pairs, peers, networks, accounts, passwords, device_tries;
    Throttle wrong_before;  ///< what was typed lately, at which account, from which network, and was wrong
    Throttle tokens;        ///< bad ones, by pair and by peer
    Waiters waiters;        ///< for a turn
    SecondFactors second_factors;
    HashPlaces places;
    KeyedHash hashed;
    std::atomic<SteadyClock::rep> hash_cost = SteadyClock::duration(std::chrono::milliseconds(50)).count();
    std::atomic<bool> stopping = false;
    bool keeps_limits = false;  ///< the stored record is not empty; of the one who calls keep_limits()
    /// Answers about accounts that don't exist are made of this.
    struct Pretence {
        AsyncMutex mutex;
        std::string secret;  ///< the directory's, once it was asked for
        std::map<ScramHash, std::map<ScramKind, std::size_t>> kinds;
        SteadyTime look_again = SteadyTime::min();
    } pretence;
    FairPool pool;  // last: its threads end before what they use
};

Authenticator::Authenticator(directory::Directory& directory, Options options, activity::Ledger* ledger)
    : impl_(std::make_unique<Impl>(directory, options, ledger)) {}

Authenticator::~Authenticator() = default;

Task<Result<Verified>> Authenticator::verify_password(Credentials credentials) {
    return impl_->verify(std::move(credentials));
}

Task<Result<>> Authenticator::load_limits(directory::ServerRecords& records, const Clock& clock) {
    return impl_->load_limits(records, clock);
}

Task<Result<>> Authenticator::keep_limits(directory::ServerRecords& records, const Clock& clock) {
    return impl_->keep_limits(records, clock);
}

std::vector<HeldUp> Authenticator::held_up() const { return impl_->held_up(); }

std::size_t Authenticator::release(std::string who) { return impl_->release(who); }

void Authenticator::forget(directory::AccountId id) { impl_->verified.forget(id); }

Task<Result<std::optional<Account>>> Authenticator::find(std::string name, NamedBy named_by) {
    return impl_->find(std::move(name), named_by);
}

Task<Result<ScramKeys>> Authenticator::scram_keys(std::string name, const std::optional<Account>& account,
                                                  ScramHash hash) {
    return impl_->scram_keys(std::move(name), account, hash);
}

Task<Result<>> Authenticator::wait_for_turn(Claim claim, std::optional<Account> claimed) {
    return impl_->wait_for_turn(std::move(claim), std::move(claimed));
}

Task<Result<Verified>> Authenticator::conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
    return impl_->conclude(std::move(claim), std::move(account), std::move(judgement));
}

Task<Result<Verified>> Authenticator::conclude(Claim claim, Account account, std::unique_ptr<Device> device) {
    return impl_->conclude(std::move(claim), std::move(account), std::move(device));
}

Task<Result<std::optional<Authenticator::ProvenDevice>>> Authenticator::find_device(
    const std::optional<Account>& account, ScramProof proof) {
    return impl_->find_device(account, std::move(proof));
}

Task<Result<directory::Password>> Authenticator::hash_password(std::string password, std::optional<AccountId> account) {
    return impl_->hash(std::move(password), account);
}

Task<Result<std::string>> Authenticator::device_scram_keys(Account account, DevicePassword password) {
    return impl_->device_scram_keys(std::move(account), std::move(password));
}

void Authenticator::keep_familiar_peers_on(Executor background) {
    auto flush = [this, background] { asio::co_spawn(background, impl_->familiar.flush(), asio::detached); };
    impl_->familiar.on_noted(std::move(flush));
}

SecondFactors& Authenticator::second_factors() { return impl_->second_factors; }

Task<> Authenticator::flush() { return impl_->familiar.flush(); }

void Authenticator::stop() { impl_->stopping = true; }

}  // namespace poplar::auth
