// Limits of mail: as they are set, and as they hold for one account.
#include "directory/quota.h"

#include "directory/bounds.h"
#include "directory/core.h"

namespace poplar::directory {

std::shared_ptr<const Bounds> bounds_of(const Domain& domain) {
    Bounds bounds{domain.quota.octets.value_or(0), domain.quota.messages.value_or(0), domain.name,
                  domain.total.octets.value_or(0), domain.total.messages.value_or(0)};
    if (!bounds.of_account() && !bounds.of_domain()) return nullptr;
    return std::make_shared<const Bounds>(std::move(bounds));
}

std::shared_ptr<const Bounds> bounds_of(const Account& account, std::shared_ptr<const Bounds> of_domain) {
    const auto& own = account.settings.quota;
    if (!own.octets && !own.messages) return of_domain;
    Bounds bounds = of_domain ? *of_domain : Bounds{.domain = domain_of(account)};
    bounds.octets = own.octets.value_or(bounds.octets);
    bounds.messages = own.messages.value_or(bounds.messages);
    if (!bounds.of_account() && !bounds.of_domain()) return nullptr;
    return std::make_shared<const Bounds>(std::move(bounds));
}

std::string domain_of(const Account& account) { return account.address.substr(account.address.rfind('@') + 1); }

Task<Result<std::shared_ptr<const Bounds>>> Core::bounds_in(std::string domain_name) {
    if (auto known = bounds.find(domain_name)) co_return std::move(*known);
    const auto changes = bounds.changes();
    auto record = co_await domain(domain_name);
    if (!record) co_return pass_on(record);
    if (!*record) co_return nullptr;  // it was removed, and with it all its accounts
    auto found = bounds_of(**record);
    bounds.remember(domain_name, found, changes);
    co_return found;
}

Task<Result<Domain>> Directory::domain(std::string name) {
    auto canonical = mail::canonical_domain(name);
    if (!canonical) co_return pass_on(canonical);
    auto record = co_await core_->domain(*canonical);
    if (!record) co_return pass_on(record);
    if (!*record) co_return fail(Errc::not_found, "no domain " + *canonical);
    co_return std::move(**record);
}

Task<Result<Domain>> Directory::change_quota(std::string name, ChangeLimits change) {
    auto canonical = mail::canonical_domain(name);
    if (!canonical) co_return pass_on(canonical);
    auto prepare = [&](Draft& draft) -> Task<Result<Domain>> {
        auto record = co_await core_->domain(*canonical);
        if (!record) co_return pass_on(record);
        if (!*record) co_return fail(Errc::not_found, "no domain " + *canonical);
        change((*record)->quota, (*record)->total);
        draft.batch.put(domain_key(*canonical), encode(**record));
        co_return std::move(**record);
    };
    auto changed = co_await core_->write<Domain>(prepare);  // what is kept of aliases has bounds in it, too
    core_->forget_domains();
    co_return changed;
}

Task<Result<std::shared_ptr<const Bounds>>> Directory::bounds_of(Account account) {
    auto of_domain = co_await core_->bounds_in(domain_of(account));
    if (!of_domain) co_return pass_on(of_domain);
    co_return directory::bounds_of(account, std::move(*of_domain));
}

}  // namespace poplar::directory
