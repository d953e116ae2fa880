// Judges second factors. Each change of what an account has is one function over its record, so that a code that is
// taken and what it opens are one commit.
#include "auth/second_factor.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/factor_rules.h"
#include "auth/second_code.h"
#include "auth/totp.h"
#include "base/log.h"

namespace poplar::auth {

namespace {

using directory::Account;
using directory::FactorPolicy;
using directory::Factors;
using directory::FactorWay;
using directory::SecondFactor;
using directory::Site;
using std::chrono::seconds;

constexpr std::string_view kByWindow = "window", kBySite = "site", kByApproval = "approval";  // for the log

constexpr std::uint8_t bit(FactorWay way) { return static_cast<std::uint8_t>(way); }

/// The factors that a login shows beside its proof, whether or not anything is needed.
Shown shown_by(const Claim& claim, bool by_device) {
    if (by_device) return {.ways = bit(FactorWay::device)};
    switch (claim.proof) {
        case Proof::certificate: return {.ways = bit(FactorWay::certificate)};
        case Proof::token: return {.vouched = claim.vouched};
        case Proof::password:
        case Proof::shared_secret: break;
    }
    return {};
}

/// Takes a code of the authenticator, by the machine's time, or a recovery code. Nothing: it was taken.
std::optional<MissingFactor> take(Factors& factors, const std::string& code, std::uint32_t limit, Timestamp now,
                                  Timestamp machine) {
    auto& totp = *factors.totp;
    if (!is_totp_code(code)) {
        // Nobody can guess one, so it is looked at however many codes were wrong.
        auto used =
            std::ranges::find_if(totp.recovery, [&](const auto& hash) { return matches_device_secret(hash, code); });
        if (used == totp.recovery.end()) return MissingFactor::wrong_code;
        totp.recovery.erase(used);
        return std::nullopt;
    }
    // A program that goes on sending the code that it was once let in by guesses nothing. The code is not looked at,
    // though it may be that of a later half minute as well: that would be a guess which nobody counts.
    if (std::ranges::any_of(totp.taken, [&](auto old) { return is_code_of(totp.secret, code, old); }))
        return MissingFactor::wrong_code;
    forgive(factors, limit, now);
    if (factors.wrong_codes >= limit) return MissingFactor::too_many_codes;
    const auto step = totp_step(totp.secret, code, machine, totp.taken);
    if (!step) {
        if (factors.wrong_codes++ == 0) factors.wrong_counted = now;
        return MissingFactor::wrong_code;
    }
    totp.taken.push_back(*step);
    if (totp.taken.size() > SecondFactors::kTakenCodes) totp.taken.erase(totp.taken.begin());
    return std::nullopt;
}

/// Accepts a site with the code of the mail about it, which is good for a day and once. False: it is another code.
bool take_mailed(Factors& factors, const std::string& code, Timestamp now) {
    if (factors.mailed_code.empty() || now >= factors.mailed + SecondFactors::kMailEvery) return false;
    if (!matches_device_secret(factors.mailed_code, code)) return false;
    factors.mailed_code.clear();
    return true;
}

}  // namespace

std::string_view to_string(MissingFactor missing) {
    switch (missing) {
        case MissingFactor::code: return "a code is missing";
        case MissingFactor::wrong_code: return "wrong or used code";
        case MissingFactor::too_many_codes: return "too many wrong codes";
        case MissingFactor::approval: return "the site is not accepted";
        case MissingFactor::device: return "not by a device's password";
        case MissingFactor::denied: return "the site is denied";
        case MissingFactor::other: break;
    }
    return "not a second factor of this account";
}

std::string site_of(std::string_view peer) {
    const std::string text(peer.substr(0, peer.find('%')));  // a zone names an interface, not a peer
    std::array<unsigned char, 16> octets{};
    std::array<char, INET6_ADDRSTRLEN> out{};
    constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (::inet_pton(AF_INET, text.c_str(), octets.data()) == 1)
        return fmt::format("{}.{}.{}.0/24", octets[0], octets[1], octets[2]);
    if (::inet_pton(AF_INET6, text.c_str(), octets.data()) != 1) return text;
    if (std::ranges::equal(std::span(octets).first<12>(), kMapped))
        return fmt::format("{}.{}.{}.0/24", octets[12], octets[13], octets[14]);
    std::ranges::fill(std::span(octets).last<8>(), static_cast<unsigned char>(0));
    ::inet_ntop(AF_INET6, octets.data(), out.data(), out.size());
    return fmt::format("{}/64", out.data());
}

SecondFactors::SecondFactors(directory::Directory& directory, FactorOptions options)
    : directory_(directory),
      options_(options),
      wrong_before_({.failures = 1, .window = kDay, .longest_delay = {}, .entries = options.remembered_codes}) {}

seconds SecondFactors::time_of(Site::Kind kind) const {
    switch (kind) {
        case Site::Kind::window: return options_.window;
        case Site::Kind::accepted: return options_.accepted;
        case Site::Kind::denied: return options_.denied;
        case Site::Kind::pending: break;
    }
    return kPendingFor;
}

void SecondFactors::mend(Factors& factors, Timestamp now) const {
    for (auto& site : factors.sites) site.until = std::min(site.until, now + time_of(site.kind));
    factors.wrong_counted = std::min(factors.wrong_counted, now);
    factors.mailed = std::min(factors.mailed, now);
}

const Site* SecondFactors::find(const Factors& factors, Site::Kind kind, const std::string& network,
                                Timestamp now) const {
    auto found = std::ranges::find_if(factors.sites, [&](const Site& site) {
        return site.kind == kind && site.network == network && !is_over(site, now);
    });
    return found == factors.sites.end() ? nullptr : &*found;
}

/// Puts a site in place of what was known of its network, and drops those whose time is over. Where there are too many
/// of a kind, the one that ends first goes.
Site& SecondFactors::put(Factors& factors, Site::Kind kind, const Claim& claim, Timestamp now) {
    const auto network = site_of(claim.peer);
    auto replaced = [&](const Site& site) {
        // A site that the user has accepted stays so while a window is open there.
        const bool beside = (site.kind == Site::Kind::window) != (kind == Site::Kind::window);
        return is_over(site, now) || (site.network == network && !beside);
    };
    std::erase_if(factors.sites, replaced);
    auto of_kind = [&](const Site& site) { return site.kind == kind; };
    if (static_cast<std::size_t>(std::ranges::count_if(factors.sites, of_kind)) >= kMostSites) {
        auto first = factors.sites.end();
        for (auto site = factors.sites.begin(); site != factors.sites.end(); ++site)
            if (of_kind(*site) && (first == factors.sites.end() || site->until < first->until)) first = site;
        factors.sites.erase(first);
    }
    return factors.sites.emplace_back(
        Site{kind, factors.next_site++, network, claim.peer, claim.service, now, now + time_of(kind)});
}

Task<Result<FactorPolicy>> SecondFactors::policy_of(const Account& account) {
    if (account.settings.second_factor) co_return *account.settings.second_factor;
    co_return co_await directory_.second_factor_of(domain_of(account));
}

Task<Result<bool>> SecondFactors::takes_code(const Account& account) {
    const auto policy = co_await policy_of(account);
    if (!policy) co_return std::unexpected(policy.error());
    if (policy->need == SecondFactor::none) co_return false;
    if (policy->need == SecondFactor::required && policy->takes(FactorWay::approval)) co_return true;
    auto factors = co_await directory_.factors(account.id);
    if (!factors) co_return pass_on(factors);
    co_return has_authenticator(*factors) && (policy->takes(FactorWay::totp) || policy->takes(FactorWay::approval));
}

Task<Result<bool>> SecondFactors::lets_in(const Account& account, Shown shown) {
    const auto policy = co_await policy_of(account);
    if (!policy) co_return std::unexpected(policy.error());
    if (policy->need == SecondFactor::none || shown.vouched || (policy->ways & shown.ways) != 0) co_return true;
    if (policy->need == SecondFactor::required) co_return false;
    auto factors = co_await directory_.factors(account.id);
    if (!factors) co_return pass_on(factors);
    co_return !has_authenticator(*factors);
}

std::optional<SecondFactors::Verdict> SecondFactors::judge_at_once(const Account& account, const Claim& claim,
                                                                   bool by_device) const {
    auto policy = account.settings.second_factor;
    if (!policy) policy = directory_.second_factor_at_hand(domain_of(account));
    if (!policy || policy->need != SecondFactor::none) return std::nullopt;
    return Verdict{.shown = shown_by(claim, by_device)};
}

Task<Result<SecondFactors::Verdict>> SecondFactors::judge(const Account& account, const Claim& claim, bool by_device,
                                                          const std::string& code) {
    const auto shown = shown_by(claim, by_device);
    auto policy = co_await policy_of(account);
    if (!policy) co_return pass_on(policy);
    if (policy->need == SecondFactor::none) co_return Verdict{.shown = shown};
    auto factors = co_await directory_.factors(account.id);
    if (!factors) co_return pass_on(factors);
    if (policy->need == SecondFactor::optional && !has_authenticator(*factors)) co_return Verdict{.shown = shown};
    auto if_any = [&](bool counts, std::string_view by) {
        return counts ? Verdict{.by = by, .shown = shown} : Verdict{.missing = MissingFactor::other};
    };
    if (by_device) co_return if_any(policy->takes(FactorWay::device), "device");
    switch (claim.proof) {
        case Proof::certificate: co_return if_any(policy->takes(FactorWay::certificate), "certificate");
        case Proof::token: co_return if_any(claim.vouched, "token");
        case Proof::shared_secret: co_return if_any(false, "");
        case Proof::password: break;
    }
    auto verdict = co_await judge_password(account, claim, *policy, std::move(*factors), code);
    if (!verdict || verdict->missing) co_return verdict;
    const bool by_approval = verdict->by == kByApproval || verdict->by == kBySite;
    verdict->shown.ways = bit(by_approval ? FactorWay::approval : FactorWay::totp);
    co_return verdict;
}

Task<Result<SecondFactors::Verdict>> SecondFactors::judge_password(const Account& account, const Claim& claim,
                                                                   FactorPolicy policy, Factors factors,
                                                                   const std::string& code) {
    const auto time = now();
    const auto network = site_of(claim.peer);
    const bool totp = policy.takes(FactorWay::totp) && has_authenticator(factors);
    const bool approval = policy.takes(FactorWay::approval);
    auto is_ahead = [&](const Site& site) { return site.until > time + time_of(site.kind); };
    if (const auto* site = find(factors, Site::Kind::denied, network, time)) {
        if (is_ahead(*site)) co_await mend_stored(account);
        co_return Verdict{.missing = MissingFactor::denied};
    }
    if (const auto* site = find(factors, Site::Kind::window, network, time); totp && site != nullptr) {
        if (is_ahead(*site)) co_await mend_stored(account);
        co_return Verdict{.by = kByWindow};
    }
    if (const auto* site = find(factors, Site::Kind::accepted, network, time); approval && site != nullptr) {
        // Noted once a day, so that polling costs no commit.
        const bool is_new = site->until >= time + options_.accepted - std::min<seconds>(kDay, options_.accepted / 2);
        if (is_new && !is_ahead(*site)) co_return Verdict{.by = kBySite};
        co_return co_await use_site(account, network);
    }
    if (!code.empty()) co_return co_await take_code(account, claim, policy, std::move(factors), code);
    if (approval)
        if (auto asked = co_await ask_for_approval(account, claim, std::move(factors)); !asked)
            co_return pass_on(asked);
    if (totp) co_return Verdict{.missing = MissingFactor::code};
    if (approval) co_return Verdict{.missing = MissingFactor::approval};
    co_return Verdict{.missing = policy.takes(FactorWay::device) ? MissingFactor::device : MissingFactor::other};
}

/// A login is good, or refused, also where what it leaves behind can't be stored: on a full disk, or beside a change of
/// the account. Whatever changed the account ends the sessions that must not be.
Task<> SecondFactors::try_change(const Account& account, directory::Directory::ChangeFactors wanted) {
    if (auto changed = co_await change(account, std::move(wanted)); !changed)
        log::warning("auth.site_not_kept", {{"account", account.address}, {"reason", changed.error().detail()}});
}

Task<> SecondFactors::mend_stored(const Account& account) {
    auto mended = [this](Factors& factors, Timestamp) -> Result<> {
        mend(factors, now());
        return {};
    };
    co_await try_change(account, mended);
}

Task<Result<SecondFactors::Verdict>> SecondFactors::use_site(const Account& account, std::string network) {
    Verdict verdict{.by = kBySite};
    auto note = [&](Factors& factors, Timestamp) -> Result<> {
        const auto time = now();
        mend(factors, time);
        // The user may have denied it since it was looked at.
        if (find(factors, Site::Kind::denied, network, time) != nullptr) verdict = {.missing = MissingFactor::denied};
        for (auto& site : factors.sites)
            if (site.kind == Site::Kind::accepted && site.network == network) site.until = time + options_.accepted;
        return {};
    };
    co_await try_change(account, note);
    co_return verdict;
}

Throttle::Key SecondFactors::wrong_code_key(const Account& account, const Claim& claim, const directory::Totp& totp,
                                            const std::string& code) const {
    return hashed_(hashed_(account.id.value, hashed_(site_of(claim.peer))),
                   hashed_(hashed_(totp.secret), hashed_(code)));
}

Task<Result<SecondFactors::Verdict>> SecondFactors::take_code(const Account& account, const Claim& claim,
                                                              FactorPolicy policy, Factors factors, std::string code) {
    // A mail program that has stored a wrong code, or one that came too late, sends it every few minutes for days. That
    // guesses nothing, so it counts once; and it is not looked at again, or it would be a guess that nobody counts.
    auto is_wrong_already = [&](const Factors& of) {
        return is_totp_code(code) && of.totp &&
               wrong_before_.has_failed(wrong_code_key(account, claim, *of.totp, code));
    };
    if (is_wrong_already(factors)) co_return Verdict{.missing = MissingFactor::wrong_code};
    auto turn = co_await taking_.lock();
    Verdict verdict;
    std::optional<Throttle::Key> wrong;
    auto taken = [&](Factors& stored, Timestamp machine) -> Result<> {
        const auto time = now();
        mend(stored, time);
        wrong.reset();
        verdict = {.missing = MissingFactor::wrong_code};
        if (find(stored, Site::Kind::denied, site_of(claim.peer), time) != nullptr) {  // since it was looked at
            verdict = {.missing = MissingFactor::denied};
            return {};
        }
        if (policy.takes(FactorWay::approval) && take_mailed(stored, code, time)) {
            put(stored, Site::Kind::accepted, claim, time);
            verdict = {.by = kByApproval};
        } else if (policy.takes(FactorWay::totp) && has_authenticator(stored)) {
            // Another connection of the same program may have been first with the same code.
            if (find(stored, Site::Kind::window, site_of(claim.peer), time) != nullptr) {
                verdict = {.by = kByWindow};
                return {};
            }
            if (is_wrong_already(stored)) return {};
            verdict.missing = take(stored, code, options_.wrong_codes, time, machine);
            if (verdict.missing == MissingFactor::wrong_code && is_totp_code(code))
                wrong = wrong_code_key(account, claim, *stored.totp, code);
            if (verdict.missing) return {};
            put(stored, Site::Kind::window, claim, time);
            verdict.by = is_totp_code(code) ? "totp" : "recovery";
        }
        return {};
    };
    if (auto changed = co_await change(account, taken); !changed) co_return pass_on(changed);
    if (wrong) wrong_before_.record_failure(*wrong, {account.address, ""});
    co_return verdict;
}

Task<Result<>> SecondFactors::ask_for_approval(const Account& account, const Claim& claim, Factors factors) {
    NewSite mail{account.id, account.address, claim.peer, site_of(claim.peer), make_word_code(), claim.service};
    bool wanted = false;
    auto ask = [&](Factors& stored, Timestamp) -> Result<> {
        const auto time = now();
        mend(stored, time);
        wanted = false;
        mail.time = time;
        std::erase_if(stored.sites, [&](const Site& site) { return is_over(site, time); });
        auto is_decided = [&](Site::Kind kind) { return find(stored, kind, mail.network, time) != nullptr; };
        if (is_decided(Site::Kind::accepted) || is_decided(Site::Kind::denied)) return {};  // since it was looked at
        const auto waiting = std::ranges::count(stored.sites, Site::Kind::pending, &Site::kind);
        if (find(stored, Site::Kind::pending, mail.network, time) == nullptr &&
            static_cast<std::size_t>(waiting) < kMostPending)
            put(stored, Site::Kind::pending, claim, time);
        if (time < stored.mailed + kMailEvery) return {};
        stored.mailed = time;
        stored.mailed_code = hash_device_secret(mail.code);
        wanted = true;
        return {};
    };
    // A client that asks every few minutes changes nothing, and so need not wait until others have changed something.
    auto after = factors;
    if (auto asked = ask(after, {}); !asked || after == factors) co_return asked;
    if (auto asked = co_await change(account, ask); !asked) co_return asked;
    if (!wanted || !tell_) co_return Result<>();
    auto told = co_await tell_(mail);
    if (told) co_return Result<>();
    log::warning("auth.new_site_not_told",
                 {{"account", account.address}, {"peer", mail.peer}, {"reason", told.error().detail()}});
    auto again = [](Factors& stored, Timestamp) -> Result<> {
        stored.mailed = {};
        stored.mailed_code.clear();
        return {};
    };
    co_return co_await change(account, again);
}

Task<Result<>> SecondFactors::change(const Account& account, directory::Directory::ChangeFactors change) {
    auto changed = co_await directory_.change_factors(account.id, account.credential_version, std::move(change));
    if (changed) co_return Result<>();
    // As when an account goes while its password is hashed: the client has to try again.
    if (changed.error().code() == Errc::conflict || changed.error().code() == Errc::not_found)
        co_return fail(Errc::busy, "the account has changed");
    co_return pass_on(changed);
}

}  // namespace poplar::auth
