// Accounts of domains that another directory keeps. One that is there outside is made here when it is first seen, so
// that it has a partition for its mail; it has no password here.
#include "base/ascii.h"
#include "base/log.h"
#include "directory/core.h"
#include "directory/outside_directory.h"

namespace poplar::directory {

namespace {

using Presence = OutsideDirectory::Sighting::Presence;

/// A password in clear, which is also what APOP and CRAM-MD5 need.
std::string clear_text(std::string_view credential) {
    for (std::string_view scheme : {"{PLAIN}", "{CLEARTEXT}"})
        if (ascii::starts_with(credential, scheme)) return std::string(credential.substr(scheme.size()));
    return {};
}

}  // namespace

bool Core::is_outside(std::string_view domain) const { return outside != nullptr && outside->keeps(domain); }

Task<Result<std::optional<Account>>> Core::seen_outside(mail::Address address, std::optional<Account> own) {
    if (own) co_return own;
    auto made = co_await add_account(address, {});
    if (made) {
        log::info("directory.outside_account_made", {{"account", made->address}, {"account_id", made->id.value}});
        co_return std::move(*made);
    }
    if (made.error().code() == Errc::not_found) co_return std::nullopt;  // the domain is not ours any more
    if (made.error().code() != Errc::exists) co_return pass_on(made);
    auto there = co_await account(std::move(address));  // another session has just made it
    if (there) co_return std::move(*there);
    if (there.error().code() == Errc::not_found) co_return std::nullopt;
    co_return pass_on(there);
}

Task<Result<std::optional<Entity>>> Core::present(mail::Address address) {
    auto own = co_await entity(address);
    if (!own) co_return own;
    if (*own && std::holds_alternative<Alias>(**own)) co_return own;
    auto sighting = co_await outside->look_up(address);
    if (sighting.presence == Presence::gone) co_return std::nullopt;
    if (sighting.presence == Presence::in_doubt)
        co_return fail(Errc::timed_out, "the directory outside that keeps " + address.domain + " does not answer");
    std::optional<Account> account;
    if (*own) account = std::get<Account>(std::move(**own));
    auto seen = co_await seen_outside(std::move(address), std::move(account));
    if (!seen) co_return pass_on(seen);
    if (!*seen) co_return std::nullopt;
    co_return Entity(std::move(**seen));
}

Task<Result<std::optional<Match>>> Core::match_for_mail(mail::Address address) {
    if (!is_outside(address.domain)) co_return co_await match(std::move(address));
    auto whole = co_await present(address);
    if (!whole) co_return pass_on(whole);
    if (*whole) co_return Match{std::move(**whole), {}};
    auto parts = mail::split_detail(address.local, options.detail_separator);
    if (parts.user.size() == address.local.size()) co_return std::nullopt;
    std::string detail(parts.detail);
    auto user = co_await present({std::string(parts.user), address.domain});
    if (!user) co_return pass_on(user);
    if (!*user) co_return std::nullopt;
    co_return Match{std::move(**user), std::move(detail)};
}

void Directory::consult(OutsideDirectory& outside) { core_->outside = &outside; }

OutsideDirectory* Directory::outside_of(std::string_view address) const {
    if (core_->outside == nullptr) return nullptr;
    const auto at = address.rfind('@');
    return at != std::string_view::npos && core_->outside->keeps(address.substr(at + 1)) ? core_->outside : nullptr;
}

Task<Result<Account>> Directory::find_for_login(std::string address) {
    auto name = core_->normalize(address);
    if (!name) co_return pass_on(name);
    if (!core_->is_outside(name->domain)) co_return co_await core_->account(std::move(*name));
    auto nobody = [&] { return fail(Errc::not_found, "no account " + mail::to_string(*name)); };
    auto own = co_await core_->entity(*name);
    if (!own) co_return pass_on(own);
    if (*own && std::holds_alternative<Alias>(**own)) co_return nobody();
    std::optional<Account> account;
    if (*own) account = std::get<Account>(std::move(**own));
    auto sighting = co_await core_->outside->look_up(*name);
    if (sighting.presence == Presence::there) {
        auto seen = co_await core_->seen_outside(*name, std::move(account));
        if (!seen) co_return pass_on(seen);
        account = std::move(*seen);
    }
    // It answers, but not about this address, whose password may be right; the same whether it was known here or not.
    if (sighting.presence == Presence::in_doubt && !core_->outside->is_silent(name->domain))
        co_return fail(Errc::timed_out, "the directory outside says nothing usable of " + mail::to_string(*name));
    if (!account || sighting.presence == Presence::gone) co_return nobody();
    // Nobody gets in by anything, because the account may be gone.
    if (sighting.presence == Presence::in_doubt) account->status = AccountStatus::disabled;
    account->scram_keys.clear();
    account->shared_secret = clear_text(sighting.credential);
    account->password = std::move(sighting.credential);
    co_return std::move(*account);
}

Task<Result<std::string>> Directory::kept_outside(std::string address) {
    auto account = co_await find_account(std::move(address));
    if (!account && account.error().code() == Errc::not_found) co_return std::string();
    if (!account) co_return pass_on(account);
    auto value = co_await core_->read(outside_key(account->id));
    if (!value) co_return pass_on(value);
    co_return value->value_or("");
}

Task<Result<>> Directory::keep_outside(std::vector<KeptOutside> all) {
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        for (const auto& one : all) {
            auto account = co_await find_account(one.address);
            if (!account && account.error().code() == Errc::not_found) continue;
            if (!account) co_return pass_on(account);
            if (one.record.empty())
                draft.batch.erase(outside_key(account->id));
            else
                draft.batch.put(outside_key(account->id), one.record);
        }
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare, AliasesLead::as_before);
}

}  // namespace poplar::directory
