// Whether a password is right: by its hash, on the pool, or by the directory that keeps it. Makes and renews hashes.
#include <new>

#include "auth/authenticator_parts.h"
#include "base/log.h"

namespace poplar::auth {

Task<Result<Authenticator::Impl::Ways>> Authenticator::Impl::ways(AccountId account, std::vector<ScramHash> hashes) {
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

Authenticator::Impl::Outcome Authenticator::Impl::judge(const Attempt& attempt) {
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

void Authenticator::Impl::note_cost(SteadyClock::duration took) {
    auto before = hash_cost.load(std::memory_order_relaxed);
    hash_cost.store(before + (took.count() - before) / 8, std::memory_order_relaxed);
}

Share Authenticator::Impl::share_of(const Keys& keys, bool is_familiar) const {
    bool failed = pairs.has_failed(keys.pair) || (keys.peer_counts && peers.has_failed(keys.peer));
    auto standing = is_familiar ? Standing::good : failed ? Standing::bad : Standing::unknown;
    if (is_familiar && pairs.has_failed(keys.pair)) standing = Standing::unknown;
    return {standing, network_of(keys.peer), keys.peer};
}

std::optional<Error> Authenticator::Impl::silence(const std::string& name,
                                                  const std::optional<Account>& account) const {
    const auto address = account ? account->address : unknown(name);
    const auto* outside = directory.outside_of(address);
    if (outside == nullptr || !outside->is_silent(address.substr(address.rfind('@') + 1))) return std::nullopt;
    return Error(Errc::timed_out, "the directory outside that keeps this domain does not answer");
}

Task<Result<bool>> Authenticator::Impl::is_right(directory::OutsideDirectory& outside, mail::Address address,
                                                 Typed password, directory::OutsideDirectory::Asker asker) {
    if (sasl_prohibits(password.typed())) co_return false;
    auto right = co_await outside.check(address, password.prepared(), asker);
    if (!right || *right || password.prepared() == password.typed()) co_return right;
    co_return co_await outside.check(std::move(address), password.typed(), std::move(asker));
}

Task<Result<Authenticator::Impl::Outcome>> Authenticator::Impl::judge_outside(
    directory::OutsideDirectory& outside, Attempt attempt, directory::OutsideDirectory::Asker asker) {
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

Task<Result<Authenticator::Impl::Attempt>> Authenticator::Impl::attempt_at(Account account, Typed password, Keys keys,
                                                                           bool is_familiar, bool had_its_turn) {
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

Task<Authenticator::Impl::Upgrade> Authenticator::Impl::upgrade(Account& account, directory::Password better) {
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

Task<Result<directory::Password>> Authenticator::Impl::hash(std::string password, std::optional<AccountId> account) {
    Ways scram;
    if (account) {
        auto found = co_await ways(*account, options.scram_keys);
        if (!found) co_return pass_on(found);
        scram = std::move(*found);
    } else {
        for (auto hash : options.scram_keys) scram.all.push_back({hash, options.scram_iterations, {}});
    }
    const bool beside = account && !scram.all.empty();
    auto work = [beside, scram = std::move(scram), password = std::move(password)]() -> Result<directory::Password> {
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

Task<Result<directory::Password>> Authenticator::hash_password(std::string password, std::optional<AccountId> account) {
    return impl_->hash(std::move(password), account);
}

}  // namespace poplar::auth
