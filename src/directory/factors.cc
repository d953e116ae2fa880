// Second factors of accounts, in records of their own beside the accounts'; and what domains settle for their accounts.
#include "directory/core.h"

namespace poplar::directory {

Task<Result<Factors>> Core::factors(AccountId account) {
    auto value = co_await read(factors_key(account));
    if (!value) co_return pass_on(value);
    if (!*value) co_return Factors{};
    co_return decode_factors(**value);
}

Task<Result<>> Core::close_windows(Draft& draft, AccountId account) {
    auto there = co_await factors(account);
    if (!there && there.error().code() == Errc::corrupt) co_return Result<>();  // what can't be read lets nobody in
    if (!there) co_return pass_on(there);
    auto opened = [](const Site& site) { return site.kind == Site::Kind::window || site.kind == Site::Kind::pending; };
    const bool changed = std::erase_if(there->sites, opened) != 0 || there->mailed != Timestamp{};
    there->mailed_code.clear();
    there->mailed = {};  // only those who know the new password cause mail now
    if (changed) draft.batch.put(factors_key(account), encode(*there));
    co_return Result<>();
}

Task<Result<Factors>> Directory::factors(AccountId account) { return core_->factors(account); }

Task<Result<Factors>> Directory::change_factors(AccountId id, std::optional<std::uint64_t> credential_version,
                                                ChangeFactors change) {
    auto prepare = [&](Draft& draft) -> Task<Result<Factors>> {
        auto owner = co_await account(id);
        if (!owner) co_return pass_on(owner);
        if (credential_version && owner->credential_version != *credential_version)
            co_return fail(Errc::conflict, "the account has changed");
        auto before = co_await core_->factors(id);
        if (!before) co_return pass_on(before);
        auto after = *before;
        if (auto changed = change(after, core_->clock.now()); !changed) co_return pass_on(changed);
        if (after == *before) co_return after;
        if (after == Factors{})
            draft.batch.erase(factors_key(id));
        else
            draft.batch.put(factors_key(id), encode(after));
        co_return after;
    };
    co_return co_await core_->write<Factors>(prepare, AliasesLead::as_before);
}

Task<Result<>> Directory::forget_factors(AccountId id) {
    auto prepare = [&](Draft& draft) -> Task<Result<>> {
        auto owner = co_await account(id);
        if (!owner) co_return pass_on(owner);
        draft.batch.erase(factors_key(id));
        co_return Result<>();
    };
    co_return co_await core_->write<void>(prepare, AliasesLead::as_before);
}

Task<Result<std::vector<Directory::AccountFactors>>> Directory::all_factors(AccountId after, std::size_t limit) {
    auto range = engine::KeyRange::prefix(all_factors_prefix());
    range.begin_behind(factors_key(after));
    auto found = co_await core_->engine.scan(kDirectoryPartition, std::move(range), limit);
    if (!found) co_return pass_on(found);
    std::vector<AccountFactors> all;
    for (const auto [key, value] : *found) {
        auto factors = decode_factors(value);
        all.push_back({account_of_factors(key), factors ? std::optional(std::move(*factors)) : std::nullopt});
    }
    co_return all;
}

Task<Result<Domain>> Core::change_domain(std::string domain, std::function<Result<>(Domain&)> change) {
    auto canonical = mail::canonical_domain(domain);
    if (!canonical) co_return pass_on(canonical);
    auto prepare = [&](Draft& draft) -> Task<Result<Domain>> {
        auto record = co_await this->domain(*canonical);
        if (!record) co_return pass_on(record);
        if (!*record) co_return fail(Errc::not_found, "no domain " + *canonical);
        if (auto changed = change(**record); !changed) co_return pass_on(changed);
        draft.batch.put(domain_key(*canonical), encode(**record));
        co_return std::move(**record);
    };
    auto changed = co_await write<Domain>(prepare, AliasesLead::as_before);
    forget_domains();  // also after a failure: nobody knows whether that was stored
    co_return changed;
}

Task<Result<Domain>> Directory::set_retention(std::string domain, std::optional<std::chrono::seconds> keep) {
    auto change = [keep](Domain& record) -> Result<> {
        record.retention = keep;
        return {};
    };
    co_return co_await core_->change_domain(std::move(domain), change);
}

Task<Result<std::optional<std::chrono::seconds>>> Directory::retention_of(const Account& account) {
    if (account.settings.retention) co_return account.settings.retention;
    auto record = co_await core_->domain(account.address.substr(account.address.rfind('@') + 1));
    if (!record) co_return pass_on(record);
    if (!*record) co_return std::nullopt;
    co_return (*record)->retention;
}

Task<Result<Domain>> Directory::change_second_factor(std::string domain, ChangePolicy change) {
    auto change_policy = [&](Domain& record) { return change(record.second_factor); };
    co_return co_await core_->change_domain(std::move(domain), change_policy);
}

std::optional<FactorPolicy> Directory::second_factor_at_hand(const std::string& domain) {
    return core_->policies.find(domain);
}

Task<Result<FactorPolicy>> Directory::second_factor_of(std::string domain) {
    if (auto known = core_->policies.find(domain)) co_return *known;
    const auto changes = core_->policies.changes();
    auto record = co_await core_->domain(domain);
    if (!record) co_return pass_on(record);
    if (!*record) co_return FactorPolicy{};
    const auto policy = (*record)->second_factor.value_or(FactorPolicy{});
    core_->policies.remember(domain, policy, changes);
    co_return policy;
}

}  // namespace poplar::directory
