// Carries out what people decide about second factors: sites, and accounts whose codes are not looked at.
#include <algorithm>
#include <map>

#include "auth/authenticator.h"
#include "auth/factor_rules.h"
#include "auth/second_factor.h"

namespace poplar::auth {

using directory::Account;
using directory::Factors;
using directory::Site;

Task<Result<Site>> SecondFactors::decide(directory::AccountId account, std::uint32_t id, Site::Kind decision) {
    Site decided;
    auto decide = [&](Factors& factors, Timestamp) -> Result<> {
        const auto time = now();
        mend(factors, time);
        auto site = std::ranges::find(factors.sites, id, &Site::id);
        if (site == factors.sites.end() || is_over(*site, time)) return fail(Errc::not_found, "no such site");
        site->kind = decision;
        site->until = time + time_of(decision);
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

Task<Result<std::size_t>> SecondFactors::learn(directory::AccountId account, std::vector<PastLogin> logins) {
    std::ranges::sort(logins, {}, &PastLogin::time);
    std::size_t learned = 0;
    auto accept = [&](Factors& factors, Timestamp) -> Result<> {
        const auto time = now();
        mend(factors, time);
        learned = 0;
        std::map<std::string, const PastLogin*> latest;
        for (const auto& login : logins)
            if (login.time + options_.accepted > time) latest[site_of(login.peer)] = &login;
        std::vector<const PastLogin*> in_order;  // where there are too many, put() drops the earliest
        for (const auto& [network, login] : latest) in_order.push_back(login);
        std::ranges::sort(in_order, {}, &PastLogin::time);
        for (const auto* login : in_order) {
            const auto network = site_of(login->peer);
            const auto until = std::min(login->time, time) + options_.accepted;
            if (find(factors, Site::Kind::denied, network, time) != nullptr) continue;
            const auto* known = find(factors, Site::Kind::accepted, network, time);
            if (known != nullptr && known->until >= until) continue;
            if (known == nullptr) ++learned;  // one that holds for longer now is no news
            Claim claim;
            claim.peer = login->peer;
            claim.service = login->service;
            put(factors, Site::Kind::accepted, claim, time).until = until;
        }
        return {};
    };
    auto changed = co_await directory_.change_factors(account, std::nullopt, accept);
    if (!changed) co_return pass_on(changed);
    co_return learned;
}

std::vector<Site> SecondFactors::open_sites(Factors factors) const {
    const auto time = now();
    mend(factors, time);
    std::erase_if(factors.sites, [&](const Site& site) { return is_over(site, time); });
    return std::move(factors.sites);
}

Task<Result<std::vector<HeldUp>>> SecondFactors::held_up() {
    constexpr std::size_t kPage = 1000;
    std::vector<HeldUp> all;
    directory::AccountId after;
    for (;;) {
        auto page = co_await directory_.all_factors(after, kPage);
        if (!page) co_return pass_on(page);
        for (auto& [id, factors] : *page) {
            after = id;
            if (!factors || !has_authenticator(*factors)) continue;
            const auto time = now();
            mend(*factors, time);
            forgive(*factors, options_.wrong_codes, time);
            if (factors->wrong_codes < options_.wrong_codes) continue;
            auto account = co_await directory_.account(id);
            if (!account) continue;  // it goes just now
            const auto ends = factors->wrong_counted +
                              forgiveness(options_.wrong_codes) * (factors->wrong_codes - options_.wrong_codes + 1);
            all.push_back({"code", std::move(account->address), "", factors->wrong_codes, ends - time, ends - time});
        }
        if (page->size() < kPage) co_return all;
    }
}

Task<Result<bool>> SecondFactors::release(const Account& account) {
    bool was_over = false;
    auto release = [&](Factors& factors, Timestamp) -> Result<> {
        const auto time = now();
        mend(factors, time);
        forgive(factors, options_.wrong_codes, time);
        was_over = factors.wrong_codes >= options_.wrong_codes;
        factors.wrong_codes = 0;
        factors.wrong_counted = {};
        return {};
    };
    auto released = co_await directory_.change_factors(account.id, std::nullopt, release);
    if (!released) co_return pass_on(released);
    wrong_before_.forget([&](const Throttle::Subject& subject) { return subject.account == account.address; });
    co_return was_over;
}

}  // namespace poplar::auth
