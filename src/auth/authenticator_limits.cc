// The limits on logins: who has to wait for a turn, what a failure counts for, and how passed limits survive a restart.
#include <algorithm>

#include "auth/authenticator_parts.h"
#include "auth/device_uses.h"
#include "auth/kept_limits.h"
#include "base/log.h"
#include "directory/server_records.h"
#include "encryption/key_text.h"

namespace poplar::auth {

namespace {

constexpr std::string_view kRecord = "limits";
constexpr std::size_t kKeptLimits = 2'000;

ThrottleOptions throttle(const Options& options, std::uint32_t failures) {
    return {failures, options.failure_window, options.longest_delay, options.failure_entries};
}

}  // namespace

Authenticator::Impl::Impl(directory::Directory& d, const Options& o, activity::Ledger* l)
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
      pool(std::max<std::size_t>(o.hash_threads, 1), o.hash_queue),
      mail_keys(d, pool, o.cache_ttl, o.cache_entries) {
    if (auto escrow = encryption::read_public_key(o.mail_escrow)) mail_keys.keep_for_operator(*escrow);
}

std::string Authenticator::Impl::unknown(std::string name) const {
    if (auto prepared = sasl_prepare(name)) name = std::move(*prepared);
    if (!complete(name)) return name;
    if (auto parts = directory.split_detail(name)) name = std::move(parts->address);
    return directory.canonical(std::move(name));
}

Task<Result<>> Authenticator::Impl::wait_for_turn(Keys keys, Limits limits) {
    std::vector<std::pair<Throttle*, Throttle::Key>> used;
    if (limits != Limits::others) used.emplace_back(&pairs, keys.pair);
    if (limits != Limits::pair) used.emplace_back(&accounts, keys.account);
    if (limits != Limits::pair && keys.password != 0) used.emplace_back(&passwords, keys.password);
    if (limits != Limits::pair && keys.device != 0) used.emplace_back(&device_tries, keys.device);
    if (limits != Limits::pair && keys.peer_counts) used.emplace_back(&peers, keys.peer);
    if (limits != Limits::pair && keys.peer_counts) used.emplace_back(&networks, keys.network);
    co_return co_await wait_for_turn(std::move(used), keys);
}

Task<Result<>> Authenticator::Impl::wait_for_turn(std::vector<std::pair<Throttle*, Throttle::Key>> used, Keys keys) {
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

Task<Result<>> Authenticator::Impl::wait_for_turn(Claim claim, std::optional<Account> claimed) {
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

void Authenticator::Impl::record_failure(const Keys& keys, bool is_familiar) {
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

void Authenticator::Impl::tell(std::string_view limit, const Keys& keys, std::uint32_t failures) {
    log::warning("auth.guessing", {{"peer", keys.address},
                                   {"network", network_text(keys.address)},
                                   {"limit", limit},
                                   {"failures", failures},
                                   {"name", shortened(keys.name)}});
}

void Authenticator::Impl::note_refused(const Account& account, std::string_view peer, directory::Service service,
                                       std::string_view why, const Device* device, activity::Kind kind) const {
    if (ledger == nullptr) return;
    activity::Origin origin{.peer = std::string(peer), .protocol = std::string(to_string(service))};
    if (device != nullptr) origin.device = device->id, origin.device_name = device->name;
    ledger->note(account.id, kind, origin, why);
}

std::vector<std::pair<std::string_view, Throttle*>> Authenticator::Impl::limits() {
    return {{"pair", &pairs},         {"peer", &peers},          {"network", &networks}, {"account", &accounts},
            {"password", &passwords}, {"device", &device_tries}, {"token", &tokens}};
}

std::vector<HeldUp> Authenticator::Impl::held_up() {
    std::vector<HeldUp> all;
    for (const auto& [limit, throttle] : limits())
        for (auto& one : throttle->held())
            all.push_back({limit, std::move(one.subject.account), std::move(one.subject.peer), one.failures, one.delay,
                           one.lasts});
    std::ranges::sort(all, std::ranges::greater(), &HeldUp::lasts);
    return all;
}

// The keys of the throttles are made with a secret of the store's, so that they mean the same after a restart.
Task<Result<>> Authenticator::Impl::load_limits(directory::ServerRecords& records, const Clock& clock) {
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

Task<Result<>> Authenticator::Impl::keep_limits(directory::ServerRecords& records, const Clock& clock) {
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

std::size_t Authenticator::Impl::release(const std::string& who) {
    const auto canonical = unknown(who), peer = peer_text(who), network = network_text(who);
    auto is_meant = [&](const Throttle::Subject& subject) {
        if (!subject.account.empty() && (subject.account == who || subject.account == canonical)) return true;
        return !subject.peer.empty() && (subject.peer == peer || subject.peer == network || subject.peer == who);
    };
    std::size_t over = 0;
    for (auto [limit, throttle] : limits()) over += throttle->forget(is_meant);
    return over;
}

Task<bool> Authenticator::Impl::knows(const std::optional<Account>& account, PeerKey peer) {
    if (!account) co_return false;
    co_return co_await familiar.knows(account->id, peer);
}

Task<Result<>> Authenticator::load_limits(directory::ServerRecords& records, const Clock& clock) {
    return impl_->load_limits(records, clock);
}

Task<Result<>> Authenticator::keep_limits(directory::ServerRecords& records, const Clock& clock) {
    return impl_->keep_limits(records, clock);
}

std::vector<HeldUp> Authenticator::held_up() const { return impl_->held_up(); }

std::size_t Authenticator::release(std::string who) { return impl_->release(who); }

Task<Result<>> Authenticator::wait_for_turn(Claim claim, std::optional<Account> claimed) {
    return impl_->wait_for_turn(std::move(claim), std::move(claimed));
}

}  // namespace poplar::auth
