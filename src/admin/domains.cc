// Domains and aliases.
#include "api/domains.h"

#include <fmt/format.h>

#include "admin/factor_policy.h"
#include "admin/names.h"
#include "admin/row.h"
#include "auth/authenticator.h"
#include "auth/new_policy.h"
#include "base/log.h"

namespace poplar::admin {

namespace {

api::Domain described(const directory::Domain& domain) {
    api::Domain out;
    out.name = domain.name;
    out.created = time_text(domain.created);
    describe(domain.second_factor, out);
    if (!domain.catch_all.empty()) out.catch_all = domain.catch_all;
    if (const auto& keep = domain.retention) out.retention = api::Seconds{static_cast<std::uint64_t>(keep->count())};
    return out;
}

Task<Result<api::DomainList>> list_domains(Context& context, Caller, api::ListDomains) {
    auto domains = co_await context.directory.domains();
    if (!domains) co_return pass_on(domains);
    api::DomainList list;
    for (const auto& domain : *domains) list.domains.push_back(described(domain));
    co_return list;
}

Task<Result<api::Domain>> add_domain(Context& context, Caller, api::AddDomain wanted) {
    auto postmaster = wanted.postmaster.value_or("");
    auto domain = co_await context.directory.add_domain(wanted.name, postmaster);
    if (!domain)
        co_return explain(domain.error(), Errc::exists, fmt::format("the domain {} is there already", wanted.name));
    log::info("admin.domain_added", {{"domain", domain->name}, {"postmaster", postmaster}});
    co_return described(*domain);
}

Task<Result<api::Removal>> remove_domain(Context& context, Caller, api::RemoveDomain wanted) {
    auto removed = co_await context.directory.remove_domain(wanted.name);
    if (!removed && removed.error().code() == Errc::busy)
        co_return fail(Errc::busy, fmt::format("the domain {} still has accounts or aliases", wanted.name));
    if (!removed) co_return explain(removed.error(), Errc::not_found, fmt::format("no domain {}", wanted.name));
    log::info("admin.domain_removed", {{"domain", wanted.name}});
    co_return api::Removal{wanted.name};
}

Task<Result<api::CatchAll>> set_catch_all(Context& context, Caller, api::SetCatchAll wanted) {
    auto set = co_await context.directory.set_catch_all(wanted.name, wanted.address);
    if (!set)
        co_return explain(set.error(), Errc::not_found,
                          fmt::format("no domain {}, or no address {}", wanted.name, wanted.address));
    log::info("admin.catch_all_set", {{"domain", wanted.name}, {"address", wanted.address}});
    co_return api::CatchAll{wanted.name, wanted.address};
}

Task<Result<api::Domain>> set_domain(Context& context, Caller, api::SetDomain wanted) {
    bool new_policy = false;
    auto change = [&](std::optional<directory::FactorPolicy>& stored) -> Result<> {
        auto policy = wanted_policy(wanted, stored);
        if (!policy) return pass_on(policy);
        new_policy = *policy != stored;
        stored = *policy;
        return {};
    };
    auto set = co_await context.directory.change_second_factor(wanted.name, change);
    if (const auto& given = wanted.retention; set && given) {
        std::optional<std::chrono::seconds> keep;
        if (*given) keep = std::chrono::seconds((*given)->count);
        set = co_await context.directory.set_retention(set->name, keep);
    }
    if (!set) co_return explain(set.error(), Errc::not_found, fmt::format("no domain {}", wanted.name));
    auto reply = described(*set);
    const auto json = api::to_json(reply);
    if (new_policy) {
        auto& factors = context.auth.second_factors();
        reply.sessions_ended =
            co_await auth::end_unfit_sessions(context.open_sessions, factors, context.directory, reply.name);
    }
    log::info("admin.domain_set", {{"domain", reply.name},
                                   {"second_factor", api::dump(json["second_factor"])},
                                   {"ways", api::dump(json["second_factor_ways"])},
                                   {"sessions_ended", reply.sessions_ended.value_or(0)},
                                   {"retention", api::dump(json["retention"])}});
    co_return reply;
}

Task<Result<api::AliasList>> list_aliases(Context& context, Caller, api::ListAliases wanted) {
    auto aliases = co_await context.directory.aliases(wanted.domain, wanted.after, wanted.limit);
    if (!aliases) co_return pass_on(aliases);
    api::AliasList list;
    for (auto& alias : *aliases) list.aliases.push_back({std::move(alias.address), std::move(alias.targets)});
    co_return list;
}

Task<Result<api::Alias>> add_alias(Context& context, Caller, api::AddAlias wanted) {
    auto alias = co_await context.directory.add_alias(wanted.address, std::move(wanted.targets));
    if (!alias) co_return explain(alias.error(), Errc::exists, fmt::format("{} is there already", wanted.address));
    log::info("admin.alias_added", {{"alias", alias->address}});
    co_return api::Alias{std::move(alias->address), std::move(alias->targets)};
}

Task<Result<api::Removal>> remove_alias(Context& context, Caller, api::RemoveAlias wanted) {
    auto removed = co_await context.directory.remove_alias(wanted.address);
    if (!removed) co_return explain(removed.error(), Errc::not_found, fmt::format("no alias {}", wanted.address));
    log::info("admin.alias_removed", {{"alias", wanted.address}});
    co_return api::Removal{wanted.address};
}

}  // namespace

const std::vector<Row>& domain_rows() {
    static const std::vector<Row> rows = {
        row<api::ListDomains, list_domains>(),   row<api::AddDomain, add_domain>(),
        row<api::RemoveDomain, remove_domain>(), row<api::SetCatchAll, set_catch_all>(),
        row<api::SetDomain, set_domain>(),
    };
    return rows;
}

const std::vector<Row>& alias_rows() {
    static const std::vector<Row> rows = {
        row<api::ListAliases, list_aliases>(),
        row<api::AddAlias, add_alias>(),
        row<api::RemoveAlias, remove_alias>(),
    };
    return rows;
}

}  // namespace poplar::admin
