// Second factors: authenticators with their recovery codes, and the sites that users accept or deny.
#include "api/second_factor.h"

#include <fmt/format.h>

#include <algorithm>

#include "activity/ledger.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/device_password.h"
#include "auth/device_uses.h"
#include "auth/open_sessions.h"
#include "auth/second_code.h"
#include "auth/second_factor.h"
#include "auth/totp.h"
#include "base/log.h"
#include "mail/address.h"

namespace poplar::admin {

namespace {

using directory::Factors;
using directory::Site;

/// New recovery codes: as they are shown, and their hashes.
struct NewCodes {
    NewCodes() {
        for (std::size_t i = 0; i < auth::SecondFactors::kRecoveryCodes; ++i) {
            const auto code = auth::make_word_code();
            shown.push_back(auth::grouped_code(code));
            hashes.push_back(auth::hash_device_secret(code));
        }
    }
    std::vector<std::string> shown, hashes;
};

/// Errors: not_found, with a message for the caller.
Result<> need_confirmed(const Factors& factors, const directory::Account& account) {
    if (factors.totp && factors.totp->confirmed) return {};
    return fail(Errc::not_found, fmt::format("{} has no authenticator that was confirmed", account.address));
}

Task<Result<api::Enrollment>> enroll(Context& context, Caller, api::EnrollTotp wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    const auto secret = auth::make_totp_secret();
    NewCodes codes;
    auto begin = [&](Factors& factors, Timestamp) -> Result<> {
        if (factors.totp && factors.totp->confirmed)
            return fail(Errc::exists,
                        fmt::format("{} has an authenticator already: remove it first", account->address));
        factors.totp = directory::Totp{.secret = secret, .recovery = codes.hashes};
        return {};
    };
    auto begun = co_await context.directory.change_factors(account->id, std::nullopt, begin);
    if (!begun) co_return pass_on(begun);
    note(context, account->id, activity::Kind::credential, "authenticator enrolled");
    log::info("admin.totp_enrolled", {{"account", account->address}});
    co_return api::Enrollment{account->address, auth::totp_secret_text(secret),
                              auth::totp_uri(context.hostname, account->address, secret), std::move(codes.shown)};
}

Task<Result<api::TotpConfirmation>> confirm(Context& context, Caller, api::ConfirmTotp wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto policy = co_await context.auth.second_factors().policy_of(*account);
    if (!policy) co_return pass_on(policy);
    auto confirm = [&](Factors& factors, Timestamp now) -> Result<> {
        if (!factors.totp)
            return fail(Errc::not_found, fmt::format("{} has no authenticator: enroll one first", account->address));
        auto& totp = *factors.totp;
        if (totp.confirmed)
            return fail(Errc::exists, fmt::format("the authenticator of {} is confirmed already", account->address));
        const auto step = auth::totp_step(totp.secret, wanted.code, now, totp.taken);
        if (!step) return fail(Errc::denied, "not the code that the authenticator shows now; are both clocks right?");
        totp.confirmed = true;
        totp.taken = {*step};
        return {};
    };
    auto confirmed = co_await context.directory.change_factors(account->id, std::nullopt, confirm);
    if (!confirmed) co_return pass_on(confirmed);
    note(context, account->id, activity::Kind::credential, "authenticator confirmed");
    log::info("admin.totp_confirmed", {{"account", account->address}});
    co_return api::TotpConfirmation{account->address, static_cast<api::SecondFactor>(policy->need)};
}

Task<Result<api::TotpRemoval>> remove(Context& context, Caller, api::RemoveTotp wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto remove = [&](Factors& factors, Timestamp) -> Result<> {
        if (!factors.totp) return fail(Errc::not_found, fmt::format("{} has no authenticator", account->address));
        factors.totp.reset();
        factors.wrong_codes = 0;
        factors.wrong_counted = {};
        std::erase_if(factors.sites, [](const Site& site) { return site.kind == Site::Kind::window; });
        return {};
    };
    auto removed = co_await context.directory.change_factors(account->id, std::nullopt, remove);
    if (!removed && removed.error().code() != Errc::corrupt) co_return pass_on(removed);
    if (!removed) {
        // Nobody can read the authenticator in it any more: the account begins anew, without its sites, too.
        if (auto gone = co_await context.directory.forget_factors(account->id); !gone) co_return pass_on(gone);
        log::warning("admin.second_factors_forgotten",
                     {{"account", account->address}, {"reason", removed.error().detail()}});
    }
    note(context, account->id, activity::Kind::credential, "authenticator removed");
    const auto ended = context.open_sessions.end(account->id);
    log::info("admin.totp_removed", {{"account", account->address}, {"sessions_ended", ended}});
    co_return api::TotpRemoval{account->address, ended};
}

Task<Result<api::RecoveryCodes>> make_codes(Context& context, Caller, api::MakeRecoveryCodes wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    NewCodes codes;
    auto replace = [&](Factors& factors, Timestamp) -> Result<> {
        if (auto good = need_confirmed(factors, *account); !good) return good;
        factors.totp->recovery = codes.hashes;
        return {};
    };
    auto replaced = co_await context.directory.change_factors(account->id, std::nullopt, replace);
    if (!replaced) co_return pass_on(replaced);
    note(context, account->id, activity::Kind::credential, "recovery codes made anew");
    log::info("admin.recovery_codes_made", {{"account", account->address}});
    co_return api::RecoveryCodes{account->address, std::move(codes.shown)};
}

api::Site described(const Site& site) {
    return {site.id,
            static_cast<api::SiteKind>(static_cast<int>(site.kind) - static_cast<int>(Site::Kind::window)),
            site.network,
            site.peer,
            std::string(auth::to_string(site.service)),
            time_text(site.since),
            time_text(site.until)};
}

Task<Result<api::SiteList>> list_sites(Context& context, Caller, api::ListSites wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto factors = co_await context.directory.factors(account->id);
    if (!factors) co_return pass_on(factors);
    api::SiteList list;
    for (const auto& site : context.auth.second_factors().open_sites(std::move(*factors)))
        list.sites.push_back(described(site));
    co_return list;
}

constexpr auto kLearned = std::chrono::days(30);  // logins of so long ago count
constexpr std::size_t kLearnedLogins = 100'000;   // entries of an account's ledger
constexpr std::size_t kLearnedAtOnce = 500;       // accounts

/// A device's password needs no approval, and from a summed-up entry no place can be told.
Task<Result<std::size_t>> learn_sites_of(Context& context, directory::AccountId account) {
    activity::Ledger::Wanted wanted;
    wanted.since = context.ledger.now() - kLearned;
    wanted.kinds = {activity::Kind::login};
    wanted.limit = kLearnedLogins;
    auto entries = co_await context.ledger.list(account, std::move(wanted));
    if (!entries) co_return pass_on(entries);
    std::vector<auth::SecondFactors::PastLogin> logins;
    for (const auto& entry : entries->entries) {
        if (entry.is_sum || entry.origin.device || entry.origin.peer.empty()) continue;
        const auto service = auth::service_of(entry.origin.protocol);
        if (service) logins.push_back({entry.origin.peer, *service, entry.last});
    }
    auto learned = co_await context.auth.second_factors().learn(account, std::move(logins));
    if (!learned) co_return pass_on(learned);
    if (*learned != 0) note(context, account, activity::Kind::credential, fmt::format("sites learned: {}", *learned));
    co_return learned;
}

Task<Result<api::LearnedSites>> learn_sites(Context& context, Caller, api::LearnSites wanted) {
    if (wanted.address.has_value() == wanted.domain.has_value())
        co_return fail(Errc::invalid, "give one of \"address\" and \"domain\"");
    api::LearnedSites reply;
    std::vector<directory::Account> accounts;
    if (wanted.address) {
        auto account = co_await find_account(context, *wanted.address);
        if (!account) co_return pass_on(account);
        accounts.push_back(std::move(*account));
    } else {
        auto domains = co_await context.directory.domains();
        if (!domains) co_return pass_on(domains);
        const auto name = mail::canonical_domain(*wanted.domain).value_or("");
        if (std::ranges::find(*domains, name, &directory::Domain::name) == domains->end())
            co_return fail(Errc::not_found, fmt::format("no domain {}", *wanted.domain));
        auto page = co_await context.directory.accounts(name, wanted.after.value_or(""), kLearnedAtOnce);
        if (!page) co_return pass_on(page);
        accounts = std::move(*page);
        if (accounts.size() == kLearnedAtOnce) reply.next = accounts.back().address;
    }
    for (const auto& account : accounts) {
        auto learned = co_await learn_sites_of(context, account.id);
        if (!learned) co_return pass_on(learned);
        ++reply.accounts;
        reply.sites += *learned;
    }
    log::info("admin.sites_learned", {{"account", wanted.address.value_or("")},
                                      {"domain", wanted.domain.value_or("")},
                                      {"accounts", reply.accounts},
                                      {"sites", reply.sites}});
    co_return reply;
}

Task<Result<Site>> decide(Context& context, const directory::Account& account, std::uint64_t id, Site::Kind decision) {
    const auto known = static_cast<std::uint32_t>(id);
    auto missing = fmt::format("{} has no site {}", account.address, id);
    if (known != id) co_return fail(Errc::not_found, std::move(missing));
    auto decided = co_await context.auth.second_factors().decide(account.id, known, decision);
    if (!decided) co_return explain(decided.error(), Errc::not_found, std::move(missing));
    co_return decided;
}

Task<Result<api::Site>> accept(Context& context, Caller, api::AcceptSite wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto site = co_await decide(context, *account, wanted.id, Site::Kind::accepted);
    if (!site) co_return pass_on(site);
    note(context, account->id, activity::Kind::credential, "site accepted: " + site->network);
    log::info("admin.site_accepted", {{"account", account->address}, {"network", site->network}});
    co_return described(*site);
}

Task<Result<api::SiteDenial>> deny(Context& context, Caller, api::DenySite wanted) {
    auto account = co_await find_account(context, wanted.address);
    if (!account) co_return pass_on(account);
    auto site = co_await decide(context, *account, wanted.id, Site::Kind::denied);
    if (!site) co_return pass_on(site);
    note(context, account->id, activity::Kind::credential, "site denied: " + site->network);
    const auto ended = context.open_sessions.end(account->id);
    log::info("admin.site_denied",
              {{"account", account->address}, {"network", site->network}, {"sessions_ended", ended}});
    co_return api::SiteDenial{site->id, site->network, time_text(site->until), ended};
}

}  // namespace

const std::vector<Row>& second_factor_rows() {
    static const std::vector<Row> rows = {
        row<api::EnrollTotp, enroll>(),    row<api::ConfirmTotp, confirm>(),
        row<api::RemoveTotp, remove>(),    row<api::MakeRecoveryCodes, make_codes>(),
        row<api::ListSites, list_sites>(), row<api::AcceptSite, accept>(),
        row<api::DenySite, deny>(),        row<api::LearnSites, learn_sites>(),
    };
    return rows;
}

}  // namespace poplar::admin
