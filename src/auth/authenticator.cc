// Judges logins: the limits first, then devices, passwords (on a pool) and the other proofs.
#include "auth/authenticator.h"

#include <algorithm>
#include <optional>

#include "auth/authenticator_parts.h"
#include "auth/device_uses.h"
#include "base/networks.h"

namespace poplar::auth {

Task<Result<Verified>> Authenticator::Impl::welcome(Claim claim, Account account, PeerKey peer,
                                                    std::unique_ptr<Device> device, std::string code) {
    auto judged = co_await second_factors.judge(account, claim, device != nullptr, code);
    if (!judged) co_return co_await answer(claim.begun, std::move(judged.error()));
    co_return let_in(claim, std::move(account), peer, std::move(device), *judged);
}

namespace {

/// The password that a code stands behind, prepared.
std::string before_code(const Typed& password) {
    auto parts = split_code(password.typed());
    return parts ? Typed(std::move(parts->password)).prepared() : password.prepared();
}

/// Nobody who still lacks the second factor opens any mail.
bool is_encrypted(const Result<Verified>& login) {
    return login && login->account.settings.encryption != directory::Encryption::off && !login->missing;
}

}  // namespace

Verified Authenticator::Impl::let_in(const Claim& claim, Account account, PeerKey peer, std::unique_ptr<Device> device,
                                     SecondFactors::Verdict judged) {
    if (judged.missing)
        note_refused(account, claim.peer, claim.service, to_string(*judged.missing), device.get(),
                     activity::Kind::unproven);
    else
        familiar.note(account.id, peer);
    auto mailbox = mailbox_in(claim.name, account);
    return Verified{std::move(account), std::move(device), judged.missing, judged.by, judged.shown, std::move(mailbox)};
}

std::optional<std::string> Authenticator::Impl::mailbox_in(const std::string& typed, const Account& account) const {
    auto parts = directory.split_detail(typed);
    if (!parts) return std::nullopt;
    auto name = typed;
    complete(name);
    auto is_its = [&](const std::string& spelling) { return directory.canonical(spelling) == account.address; };
    if (is_its(name)) return std::nullopt;
    if (auto prepared = sasl_prepare(name); prepared && is_its(*prepared)) return std::nullopt;
    return std::move(parts->detail);
}

Task<> Authenticator::Impl::pause_until(SteadyTime time) {
    SteadyTimer timer(co_await asio::this_coro::executor);
    for (auto now = SteadyClock::now(); now < time && !stopping; now = SteadyClock::now()) {
        timer.expires_at(std::min<SteadyTime>(time, now + std::chrono::seconds(1)));
        auto [stopped] = co_await timer.async_wait(asio::as_tuple(use_awaitable));
        if (stopped) co_return;  // cancelled: the caller answers at once
    }
}

Task<Result<Verified>> Authenticator::Impl::answer(SteadyTime begun, Error error) {
    SteadyClock::duration delay = options.failure_delay;
    if (delay.count() > 0) {
        auto passed = std::max(SteadyClock::now() - begun, SteadyClock::duration(1));
        co_await pause_until(begun + (passed + delay - SteadyClock::duration(1)) / delay * delay);
    }
    co_return std::unexpected(std::move(error));
}

bool Authenticator::Impl::complete(std::string& name) const {
    if (name.find('@') != std::string::npos) return true;
    if (options.default_domain.empty()) return false;
    name.append("@").append(options.default_domain);
    return true;
}

std::optional<Account> Authenticator::Impl::at_hand(std::string_view name) const {
    if (!name.contains('@') || sasl_prohibits(name)) return std::nullopt;
    return directory.account_at_hand(name);
}

Task<Result<std::optional<Account>>> Authenticator::Impl::find(std::string name, NamedBy named_by) {
    bool whole = named_by == NamedBy::client ? complete(name) : name.contains('@');
    if (!whole || sasl_prohibits(name)) co_return std::nullopt;
    auto account = co_await find_whole(name);
    if (!account || *account || named_by == NamedBy::proof) co_return account;
    auto parts = directory.split_detail(name);
    if (!parts) co_return account;
    co_return co_await find_whole(std::move(parts->address));
}

Task<Result<std::optional<Account>>> Authenticator::Impl::find_whole(std::string name) {
    auto account = co_await directory.find_for_login(name);
    // RFC 6856 s2.2. The directory's own spelling does most of it, and knows names that SASLprep would change.
    if (!account && account.error().code() == Errc::not_found)
        if (auto prepared = sasl_prepare(name); prepared && *prepared != name)
            account = co_await directory.find_for_login(std::move(*prepared));
    if (account) co_return std::move(*account);
    if (account.error().code() == Errc::not_found || account.error().code() == Errc::invalid) co_return std::nullopt;
    co_return pass_on(account);
}

Task<Result<std::optional<Device>>> Authenticator::Impl::device_of(const std::optional<Account>& account,
                                                                   std::string_view typed) {
    if (!account || account->status != AccountStatus::enabled) co_return std::nullopt;
    auto password = parse_device_password(typed);
    if (!password) co_return std::nullopt;
    auto device = co_await directory.device(account->id, password->device);
    if (!device || !*device) co_return device;
    if (!matches_device_secret((*device)->secret, password->secret)) co_return std::nullopt;
    co_return device;
}

std::string Authenticator::Impl::why_not(const Device& device, directory::Service service,
                                         std::string_view peer) const {
    if (!device.serves(service)) return "the device is not for this protocol";
    if (directory.has_expired(device)) return "the device has expired";
    if (device.networks.empty()) return "";
    auto allowed = Networks::parse(device.networks);
    return allowed && allowed->contains(peer) ? "" : "the device may not be used from there";
}

Task<Result<Verified>> Authenticator::Impl::refuse_wrong(Claim claim, std::optional<Account> account, Keys keys,
                                                         bool is_familiar, bool was_hashed, HashPlaces::Place place) {
    {
        // If nothing was hashed, the place stays taken and the answer comes as late as if it had been.
        auto taken = std::move(place);
        auto cost = SteadyClock::duration(hash_cost.load(std::memory_order_relaxed));
        if (!was_hashed) co_await pause_until(taken.busy(cost / std::max<std::size_t>(options.hash_threads, 1)));
    }
    // A familiar peer was spared the turn that strangers take. After a wrong guess it takes it, because a
    // quick answer would tell that the account was logged in from there.
    if (is_familiar && is_over(keys, Limits::others)) {
        auto turn = co_await wait_for_turn(keys, Limits::others);
        if (!turn) co_return co_await answer(claim.begun, std::move(turn.error()));
    }
    if (auto silent = silence(claim.name, account)) co_return co_await answer(claim.begun, std::move(*silent));
    if (!account) co_return co_await deny(claim.begun, "unknown user");
    std::string why = account->status == AccountStatus::enabled ? "wrong password" : "account is disabled";
    note_refused(*account, claim.peer, claim.service, why);
    co_return co_await deny(claim.begun, std::move(why));
}

Task<Result<Verified>> Authenticator::Impl::conclude(Claim claim, Account account, std::unique_ptr<Device> device) {
    auto keys = counted(claim.name, account, claim.peer, claim.peer_is_loopback);
    auto why = why_not(*device, claim.service, claim.peer);
    if (why.empty()) co_return co_await welcome(std::move(claim), std::move(account), keys.peer, std::move(device), "");
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

Task<Result<Authenticator::Impl::Split>> Authenticator::Impl::split_off_code(bool usable,
                                                                             const std::optional<Account>& account,
                                                                             const Typed& password) {
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

std::optional<Verified> Authenticator::Impl::verified_at_once(const Claim& claim, std::optional<Account>& account,
                                                              const Typed& password) {
    if (has_failures() || !can_log_in(account, password) || account->password.empty()) return std::nullopt;
    if (account->settings.encryption != directory::Encryption::off) return std::nullopt;  // its key has to be opened
    if (outside_of(account) != nullptr || parse_device_password(password.typed())) return std::nullopt;
    auto known = [&](const std::string& form) { return verified.contains(*account, form); };
    if (password.find(known) == nullptr) return std::nullopt;
    auto judged = second_factors.judge_at_once(*account, claim, false);
    if (!judged) return std::nullopt;
    const auto peer = claim.peer_is_loopback ? kThisMachine : peer_key(claim.peer);
    return let_in(claim, std::move(*account), peer, nullptr, *judged);
}

Task<Result<Verified>> Authenticator::Impl::verify(Credentials credentials) {
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
        if (auto at_once = verified_at_once(claim, account, password)) co_return std::move(*at_once);
        auto keys = counted(credentials.name, account, credentials.peer, credentials.peer_is_loopback);
        add_password(keys, account, password.typed());
        auto device = co_await device_of(account, password.typed());
        if (!device) co_return pass_on(device);
        if (*device) {
            auto its = std::make_unique<Device>(std::move(**device));
            auto done = co_await conclude(claim, std::move(*account), std::move(its));
            if (is_encrypted(done)) co_return co_await open_mail(std::move(done), password.typed());
            co_return done;
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
            if (auto judged = second_factors.judge_at_once(*account, claim, false)) {
                Result<Verified> in = let_in(claim, std::move(*account), keys.peer, nullptr, *judged);
                if (is_encrypted(in)) co_return co_await open_mail(std::move(in), password.prepared());
                co_return in;
            }
            auto done = co_await welcome(claim, std::move(*account), keys.peer, nullptr, "");
            if (is_encrypted(done)) co_return co_await open_mail(std::move(done), password.prepared());
            co_return done;
        }
        auto split = co_await split_off_code(usable, account, password);
        if (!split) co_return co_await answer(begun, std::move(split.error()));
        if (split->without && split->without->find(known) != nullptr) {
            auto done = co_await welcome(claim, std::move(*account), keys.peer, nullptr, std::move(split->code));
            if (is_encrypted(done)) co_return co_await open_mail(std::move(done), before_code(password));
            co_return done;
        }
        // A password that was wrong a moment ago is not hashed again: it would be a way to keep the threads busy.
        // Where a code may stand behind it now and might not then, it is another attempt.
        keys.attempt = hashed(keys.attempt, split->takes_code ? 1 : 0);
        // Another directory remembers by itself what it was asked: a password may become right there at any time.
        usable = usable && (outside || !wrong_before.has_failed(keys.attempt));

        bool is_familiar = co_await knows(account, keys.peer);
        auto share = share_of(keys, is_familiar);
        auto place = places.take(keys.account, share.standing);
        if (!place) co_return co_await answer(begun, Error(Errc::busy, "too many logins of this account are waiting"));
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
        if (judged->verdict == Verdict::wrong)
            co_return co_await refuse_wrong(claim, std::move(account), keys, is_familiar, usable, std::move(*place));
        if (judged->better) {
            const auto upgraded = co_await upgrade(*account, std::move(*judged->better));
            if (upgraded == Upgrade::overtaken) continue;
            if (upgraded == Upgrade::done) verified.remember(*account, *judged->right);
        }
        if (!judged->with_code) split->code.clear();
        auto done = co_await welcome(claim, std::move(*account), keys.peer, nullptr, std::move(split->code));
        if (is_encrypted(done)) {
            auto shown = judged->with_code ? before_code(password) : password.prepared();
            co_return co_await open_mail(std::move(done), std::move(shown));
        }
        co_return done;
    }
}

Task<Result<Verified>> Authenticator::Impl::open_mail(Result<Verified> login, std::string password) {
    if (login->device) {
        if (auto typed = parse_device_password(password))
            login->key = co_await mail_keys.after_device(login->account, std::move(*typed));
        co_return login;
    }
    login->key = co_await mail_keys.after_password(login->account, std::move(password));
    if (login->key) login->account.settings.encryption = directory::Encryption::on;  // it may have begun
    co_return login;
}

Task<Result<Verified>> Authenticator::Impl::conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
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
    if (enabled && judgement) co_return co_await welcome(std::move(claim), std::move(*account), keys.peer, nullptr, "");

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

Authenticator::Authenticator(directory::Directory& directory, Options options, activity::Ledger* ledger)
    : impl_(std::make_unique<Impl>(directory, options, ledger)) {}

Authenticator::~Authenticator() = default;

Task<Result<Verified>> Authenticator::verify_password(Credentials credentials) {
    return impl_->verify(std::move(credentials));
}

void Authenticator::forget(directory::AccountId id) {
    impl_->verified.forget(id);
    impl_->mail_keys.forget(id);
}

MailKeys& Authenticator::mail_keys() { return impl_->mail_keys; }

Task<Result<std::optional<Account>>> Authenticator::find(std::string name, NamedBy named_by) {
    return impl_->find(std::move(name), named_by);
}

Task<Result<Verified>> Authenticator::conclude(Claim claim, std::optional<Account> account, Result<> judgement) {
    return impl_->conclude(std::move(claim), std::move(account), std::move(judgement));
}

Task<Result<Verified>> Authenticator::conclude(Claim claim, Account account, std::unique_ptr<Device> device) {
    return impl_->conclude(std::move(claim), std::move(account), std::move(device));
}

void Authenticator::keep_familiar_peers_on(Executor background) {
    auto flush = [this, background] { asio::co_spawn(background, impl_->familiar.flush(), asio::detached); };
    impl_->familiar.on_noted(std::move(flush));
}

SecondFactors& Authenticator::second_factors() { return impl_->second_factors; }

Task<> Authenticator::flush() { return impl_->familiar.flush(); }

void Authenticator::stop() { impl_->stopping = true; }

}  // namespace poplar::auth
