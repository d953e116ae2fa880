// Judges second factors. Each change of what an account has is one function over its record, so that a code that is
// taken and what it opens are one commit.
#include "auth/second_factor.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "auth/authenticator.h"
#include "auth/device_password.h"
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

constexpr auto kDay = std::chrono::days(1);

bool has_authenticator(const Factors& factors) { return factors.totp && factors.totp->confirmed; }

const Site* find(const Factors& factors, Site::Kind kind, const std::string& network, Timestamp now) {
    auto found = std::ranges::find_if(factors.sites, [&](const Site& site) {
        return site.kind == kind && site.network == network && holds(site, now);
    });
    return found == factors.sites.end() ? nullptr : &*found;
}

/// Puts a site in place of what was known of its network, and drops those whose time is over. Where there are too many
/// of a kind, the one that ends first goes.
Site& put(Factors& factors, Site::Kind kind, const Claim& claim, Timestamp now, seconds time) {
    const auto network = site_of(claim.peer);
    auto replaced = [&](const Site& site) {
        // A site that the user has accepted stays so while a window is open there.
        const bool beside = (site.kind == Site::Kind::window) != (kind == Site::Kind::window);
        return !holds(site, now) || (site.network == network && !beside);
    };
    std::erase_if(factors.sites, replaced);
    auto of_kind = [&](const Site& site) { return site.kind == kind; };
    if (static_cast<std::size_t>(std::ranges::count_if(factors.sites, of_kind)) >= SecondFactors::kMostSites) {
        auto first = factors.sites.end();
        for (auto site = factors.sites.begin(); site != factors.sites.end(); ++site)
            if (of_kind(*site) && (first == factors.sites.end() || site->until < first->until)) first = site;
        factors.sites.erase(first);
    }
    return factors.sites.emplace_back(
        Site{kind, factors.next_site++, network, claim.peer, claim.service, now, now + time});
}

/// Forgives wrong codes one by one, so that `limit` of them are forgiven in a day.
void forgive(Factors& factors, std::uint32_t limit, Timestamp now) {
    const auto each = std::chrono::duration_cast<Timestamp::duration>(kDay) / limit;
    const auto passed = std::max(now - factors.wrong_counted, Timestamp::duration::zero()) / each;
    if (passed >= factors.wrong_codes) {
        factors.wrong_codes = 0;
        factors.wrong_counted = {};
    } else {
        factors.wrong_codes -= static_cast<std::uint32_t>(passed);
        factors.wrong_counted += passed * each;
    }
}

/// Takes a code of the authenticator, or a recovery code. Nothing: it was taken.
std::optional<MissingFactor> take(Factors& factors, const std::string& code, std::uint32_t limit, Timestamp now) {
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
    const auto step = totp_step(totp.secret, code, now, totp.last_step());
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

Task<Result<FactorPolicy>> SecondFactors::policy_of(const Account& account) {
    if (account.settings.second_factor) co_return *account.settings.second_factor;
    co_return co_await directory_.second_factor_of(account.address.substr(account.address.rfind('@') + 1));
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

Task<Result<SecondFactors::Verdict>> SecondFactors::judge(const Account& account, const Claim& claim, bool by_device,
                                                          const std::string& code) {
    auto policy = co_await policy_of(account);
    if (!policy) co_return pass_on(policy);
    if (policy->need == SecondFactor::none) co_return Verdict{};
    auto factors = co_await directory_.factors(account.id);
    if (!factors) co_return pass_on(factors);
    if (policy->need == SecondFactor::optional && !has_authenticator(*factors)) co_return Verdict{};
    auto if_any = [](bool counts, std::string_view by) {
        return counts ? Verdict{.by = by} : Verdict{.missing = MissingFactor::other};
    };
    if (by_device) co_return if_any(policy->takes(FactorWay::device), "device");
    switch (claim.proof) {
        case Proof::certificate: co_return if_any(policy->takes(FactorWay::certificate), "certificate");
        case Proof::token: co_return if_any(claim.vouched, "token");
        case Proof::shared_secret: co_return if_any(false, "");
        case Proof::password: break;
    }
    co_return co_await judge_password(account, claim, *policy, std::move(*factors), code);
}

Task<Result<SecondFactors::Verdict>> SecondFactors::judge_password(const Account& account, const Claim& claim,
                                                                   FactorPolicy policy, Factors factors,
                                                                   const std::string& code) {
    const auto now = directory_.in(seconds(0));
    const auto network = site_of(claim.peer);
    const bool totp = policy.takes(FactorWay::totp) && has_authenticator(factors);
    const bool approval = policy.takes(FactorWay::approval);
    if (find(factors, Site::Kind::denied, network, now) != nullptr) co_return Verdict{.missing = MissingFactor::denied};
    if (totp && find(factors, Site::Kind::window, network, now) != nullptr) co_return Verdict{.by = "window"};
    if (const auto* site = find(factors, Site::Kind::accepted, network, now); approval && site != nullptr) {
        // Noted once a day, so that polling costs no commit.
        if (site->until < now + options_.accepted - std::min<seconds>(kDay, options_.accepted / 2)) {
            auto note = [this, id = site->id](Factors& changed, Timestamp then) -> Result<> {
                auto used = std::ranges::find(changed.sites, id, &Site::id);
                if (used != changed.sites.end() && used->kind == Site::Kind::accepted)
                    used->until = then + options_.accepted;
                return {};
            };
            if (auto noted = co_await change(account, note); !noted) co_return pass_on(noted);
        }
        co_return Verdict{.by = "site"};
    }
    if (!code.empty()) co_return co_await take_code(account, claim, policy, code);
    if (approval)
        if (auto asked = co_await ask_for_approval(account, claim); !asked) co_return pass_on(asked);
    if (totp) co_return Verdict{.missing = MissingFactor::code};
    if (approval) co_return Verdict{.missing = MissingFactor::approval};
    co_return Verdict{.missing = policy.takes(FactorWay::device) ? MissingFactor::device : MissingFactor::other};
}

Task<Result<SecondFactors::Verdict>> SecondFactors::take_code(const Account& account, const Claim& claim,
                                                              FactorPolicy policy, const std::string& code) {
    Verdict verdict;
    auto taken = [&](Factors& factors, Timestamp now) -> Result<> {
        verdict = {.missing = MissingFactor::wrong_code};
        if (find(factors, Site::Kind::denied, site_of(claim.peer), now) != nullptr) {  // since it was looked at
            verdict = {.missing = MissingFactor::denied};
            return {};
        }
        if (policy.takes(FactorWay::approval) && take_mailed(factors, code, now)) {
            put(factors, Site::Kind::accepted, claim, now, options_.accepted);
            verdict = {.by = "approval"};
        } else if (policy.takes(FactorWay::totp) && has_authenticator(factors)) {
            // Another connection of the same program may have been first with the same code.
            if (find(factors, Site::Kind::window, site_of(claim.peer), now) != nullptr) {
                verdict = {.by = "window"};
                return {};
            }
            verdict.missing = take(factors, code, options_.wrong_codes, now);
            if (verdict.missing) return {};
            put(factors, Site::Kind::window, claim, now, options_.window);
            verdict.by = is_totp_code(code) ? "totp" : "recovery";
        }
        return {};
    };
    if (auto changed = co_await change(account, taken); !changed) co_return pass_on(changed);
    co_return verdict;
}

Task<Result<>> SecondFactors::ask_for_approval(const Account& account, const Claim& claim) {
    NewSite mail{account.id, account.address, claim.peer, site_of(claim.peer), make_word_code(), claim.service};
    bool wanted = false;
    auto ask = [&](Factors& factors, Timestamp now) -> Result<> {
        wanted = false;
        mail.time = now;
        std::erase_if(factors.sites, [&](const Site& site) { return !holds(site, now); });
        auto is_decided = [&](Site::Kind kind) { return find(factors, kind, mail.network, now) != nullptr; };
        if (is_decided(Site::Kind::accepted) || is_decided(Site::Kind::denied)) return {};  // since it was looked at
        const auto waiting = std::ranges::count(factors.sites, Site::Kind::pending, &Site::kind);
        if (find(factors, Site::Kind::pending, mail.network, now) == nullptr &&
            static_cast<std::size_t>(waiting) < kMostPending)
            put(factors, Site::Kind::pending, claim, now, kPendingFor);
        // One that says it comes from the future was written before the clock was set back.
        if (factors.mailed <= now && now < factors.mailed + kMailEvery) return {};
        factors.mailed = now;
        factors.mailed_code = hash_device_secret(mail.code);
        wanted = true;
        return {};
    };
    if (auto asked = co_await change(account, ask); !asked) co_return asked;
    if (!wanted || !tell_) co_return Result<>();
    auto told = co_await tell_(mail);
    if (told) co_return Result<>();
    log::warning("auth.new_site_not_told",
                 {{"account", account.address}, {"peer", mail.peer}, {"reason", told.error().detail()}});
    auto again = [](Factors& factors, Timestamp) -> Result<> {
        factors.mailed = {};
        factors.mailed_code.clear();
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

Task<Result<Site>> SecondFactors::decide(directory::AccountId account, std::uint32_t id, Site::Kind decision) {
    Site decided;
    auto decide = [&](Factors& factors, Timestamp now) -> Result<> {
        auto site = std::ranges::find(factors.sites, id, &Site::id);
        if (site == factors.sites.end() || !holds(*site, now)) return fail(Errc::not_found, "no such site");
        site->kind = decision;
        site->until = now + (decision == Site::Kind::accepted ? options_.accepted : options_.denied);
        decided = *site;
        // Other entries of the network are decided with it.
        std::erase_if(factors.sites,
                      [&](const Site& other) { return other.id != id && other.network == decided.network; });
        return {};
    };
    auto changed = co_await directory_.change_factors(account, std::nullopt, decide);
    if (!changed) co_return pass_on(changed);
    co_return decided;
}

}  // namespace poplar::auth
