// poplar domain, poplar alias
#include <fmt/format.h>

#include "http/target.h"
#include "server/admin_api.h"
#include "server/cli.h"

namespace poplar::server {

namespace {

void add_domain_commands(CLI::App& app, Cli& cli) {
    auto* domain = app.add_subcommand("domain", "Domains that mail is taken for");
    domain->require_subcommand(1);
    auto name = std::make_shared<std::string>();
    auto address = std::make_shared<std::string>();
    auto with_name = [&](const char* command, const char* help) {
        auto* sub = domain->add_subcommand(command, help);
        sub->add_option("NAME", *name, "The domain, for example example.org")->required();
        return sub;
    };

    auto* add = with_name("add", "Add a domain");
    auto postmaster = std::make_shared<std::string>();
    add->add_option("--postmaster", *postmaster,
                    "Where mail to its postmaster goes: an address that there is, or one of this domain, also before "
                    "its account is added")
        ->type_name("ADDRESS");
    add->callback([&cli, name, postmaster] {
        cli.action = [&cli, name, postmaster] {
            Json request{{"name", *name}};
            if (!postmaster->empty()) request["postmaster"] = *postmaster;
            return cli.call("POST", "/v1/domains", request, [&](const Json& reply) {
                auto added = reply.value("name", "");
                fmt::print("added {}\n", added);
                // RFC 5321 s4.5.1: every domain that takes mail has one.
                if (postmaster->empty())
                    fmt::print(
                        "Name its postmaster once there is an account for it: "
                        "poplar alias add postmaster@{} ADDRESS\n",
                        added);
                else
                    fmt::print("mail to postmaster@{} leads to {}\n", added, *postmaster);
            });
        };
    });
    domain->add_subcommand("list", "List all domains")->callback([&cli] {
        cli.action = [&cli] {
            return cli.call("GET", "/v1/domains", nullptr, [](const Json& reply) {
                Table table({{"DOMAIN"}, {"CATCH-ALL"}, {"CREATED"}});
                for (const auto& d : reply["domains"])
                    table.add({d.value("name", ""), d["catch_all"].is_string() ? d.value("catch_all", "") : "-",
                               d.value("created", "")});
                fmt::print("{}", table.text());
            });
        };
    });
    with_name("remove", "Remove a domain that has no accounts and aliases any more")->callback([&cli, name] {
        cli.action = [&cli, name] {
            return cli.call("DELETE", route({"domains", *name}), nullptr,
                            [&](const Json&) { fmt::print("removed {}\n", *name); });
        };
    });
    auto* catch_all = with_name("catch-all", "Say who gets the mail to unknown addresses of a domain");
    catch_all->add_option("ADDRESS", *address, "An account or alias; without it, unknown addresses are refused again");
    catch_all->callback([&cli, name, address] {
        cli.action = [&cli, name, address] {
            return cli.call("PUT", route({"domains", *name, "catch-all"}), {{"address", *address}}, [&](const Json&) {
                if (address->empty())
                    fmt::print("{}: unknown addresses are refused\n", *name);
                else
                    fmt::print("{}: unknown addresses lead to {}\n", *name, *address);
            });
        };
    });
}

void add_alias_commands(CLI::App& app, Cli& cli) {
    auto* alias = app.add_subcommand("alias", "Addresses that lead to other addresses");
    alias->require_subcommand(1);
    auto address = std::make_shared<std::string>();
    auto domain = std::make_shared<std::string>();
    auto targets = std::make_shared<std::vector<std::string>>();

    auto* add = alias->add_subcommand("add", "Add an alias");
    add->add_option("ADDRESS", *address, "The new address")->required();
    add->add_option("TARGET", *targets, "Where its mail goes: addresses of accounts or other aliases")->required();
    add->callback([&cli, address, targets] {
        cli.action = [&cli, address, targets] {
            return cli.call("POST", "/v1/aliases", {{"address", *address}, {"targets", *targets}},
                            [](const Json& reply) { fmt::print("added {}\n", reply.value("address", "")); });
        };
    });

    auto* list = alias->add_subcommand("list", "List aliases");
    list->add_option("--domain", *domain, "Only those of this domain")->type_name("NAME");
    list->callback([&cli, domain] {
        cli.action = [&cli, domain] {
            auto server = cli.client();
            if (!server) return kExitConfig;
            auto all = Json::array();
            Table table({{"ALIAS"}, {"TARGETS"}});
            std::string after;
            for (;;) {
                auto page =
                    server->call("GET", fmt::format("/v1/aliases?limit=1000&domain={}&after={}",
                                                    http::percent_encode(*domain), http::percent_encode(after)));
                if (!page) return complain(page.error());
                const auto& aliases = (*page)["aliases"];
                for (const auto& one : aliases) {
                    after = one.value("address", "");
                    table.add(
                        {after, fmt::format("{}", fmt::join(one["targets"].get<std::vector<std::string>>(), ", "))});
                    if (cli.json) all.push_back(one);
                }
                if (aliases.size() < 1000) break;
            }
            if (cli.json)
                cli.print_json({{"aliases", std::move(all)}});
            else
                fmt::print("{}", table.text());
            return 0;
        };
    });

    auto* remove = alias->add_subcommand("remove", "Remove an alias");
    remove->add_option("ADDRESS", *address, "The alias")->required();
    remove->callback([&cli, address] {
        cli.action = [&cli, address] {
            return cli.call("DELETE", route({"aliases", *address}), nullptr,
                            [&](const Json&) { fmt::print("removed {}\n", *address); });
        };
    });
}

}  // namespace

void add_directory_commands(CLI::App& app, Cli& cli) {
    add_domain_commands(app, cli);
    add_alias_commands(app, cli);
}

}  // namespace poplar::server
