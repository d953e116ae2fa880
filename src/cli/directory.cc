// poplar domain, poplar alias
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "api/domains.h"
#include "base/units.h"
#include "cli/factor_words.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

void show_added_domain(const api::AddDomain& asked, const api::Domain& added) {
    fmt::print("added {}\n", added.name);
    // RFC 5321 s4.5.1: every domain that takes mail has one.
    if (asked.postmaster.value_or("").empty())
        fmt::print("Name its postmaster once there is an account for it: poplar alias add postmaster@{} ADDRESS\n",
                   added.name);
    else
        fmt::print("mail to postmaster@{} leads to {}\n", added.name, *asked.postmaster);
}

void show_domains(const api::ListDomains&, const api::DomainList& list) {
    Table table({{"DOMAIN"}, {"CATCH-ALL"}, {"CREATED"}});
    for (const auto& domain : list.domains) table.add({domain.name, domain.catch_all.value_or("-"), domain.created});
    fmt::print("{}", table.text());
}

void show_removal(const auto&, const api::Removal& removal) { fmt::print("removed {}\n", removal.removed); }

void show_catch_all(const api::SetCatchAll&, const api::CatchAll& set) {
    if (set.catch_all.empty())
        fmt::print("{}: unknown addresses are refused\n", set.name);
    else
        fmt::print("{}: unknown addresses lead to {}\n", set.name, set.catch_all);
}

void show_set_domain(const api::SetDomain&, const api::Domain& domain) {
    fmt::print(
        "set {}: second_factor {}, retention {}\n", domain.name,
        shown_policy(domain.second_factor, domain.second_factor_ways),
        domain.retention ? format_duration(std::chrono::seconds(domain.retention->count)) : std::string("default"));
}

void add_domain_commands(CLI::App& app, Cli& cli) {
    auto* domain = app.add_subcommand("domain", "Domains that mail is taken for");
    domain->require_subcommand(1);
    add_command<api::AddDomain>(domain, cli, "add", show_added_domain);
    add_command<api::ListDomains>(domain, cli, "list", show_domains);
    add_command<api::RemoveDomain>(domain, cli, "remove", show_removal<api::RemoveDomain>);
    add_command<api::SetCatchAll>(domain, cli, "catch-all", show_catch_all)->get_option("ADDRESS")->required(false);
    add_command<api::SetDomain>(domain, cli, "set", show_set_domain);
}

int list_aliases(const Cli& cli, const api::ListAliases& asked) {
    api::AliasList all;
    Table table({{"ALIAS"}, {"TARGETS"}});
    auto step = [&](api::ListAliases& next, const api::Alias& alias) {
        next.after = alias.address;
        table.add({alias.address, fmt::format("{}", fmt::join(alias.targets, ", "))});
        if (cli.json) all.aliases.push_back(alias);
    };
    auto done = [&](bool last) {
        if (last && cli.json) cli.print_json(api::to_json(all));
        if (last && !cli.json) fmt::print("{}", table.text());
    };
    return each_page<api::ListAliases, api::Alias>(cli, asked, &api::AliasList::aliases, step, done);
}

void add_alias_commands(CLI::App& app, Cli& cli) {
    auto* alias = app.add_subcommand("alias", "Addresses that lead to other addresses");
    alias->require_subcommand(1);
    add_command<api::AddAlias>(alias, cli, "add", [](const api::AddAlias&, const api::Alias& added) {
        fmt::print("added {}\n", added.address);
    });
    auto asked = std::make_shared<api::ListAliases>();
    auto* list = alias->add_subcommand("list", std::string(api::ListAliases::operation().request.words));
    add_options(list, cli, api::ListAliases::operation(), asked.get());
    list->callback([&cli, asked] { cli.action = [&cli, asked] { return list_aliases(cli, *asked); }; });
    add_command<api::RemoveAlias>(alias, cli, "remove", show_removal<api::RemoveAlias>);
}

}  // namespace

void add_directory_commands(CLI::App& app, Cli& cli) {
    add_domain_commands(app, cli);
    add_alias_commands(app, cli);
}

}  // namespace poplar::cli
