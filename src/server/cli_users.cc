// poplar user (user import: cli_import.cc)
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/units.h"
#include "http/target.h"
#include "server/admin_api.h"
#include "server/cli.h"
#include "server/password_input.h"

namespace poplar::server {

namespace {

struct UserOptions {
    std::string address, domain, hash, expire_days, login_delay;
    bool from_stdin = false, generate = false, no_password = false, purge = false, remove = false;
};
using Options = std::shared_ptr<UserOptions>;

void add_password_options(CLI::App* command, const Options& o) {
    auto* group = command->add_option_group("Password", "One of these; without any, it is asked for at the terminal");
    group->add_flag("--password-stdin", o->from_stdin, "Read the password from the first line of standard input");
    group->add_option("--password-hash", o->hash, "A stored hash with its scheme, as in '{SHA512-CRYPT}$6$...'")
        ->type_name("HASH");
    group->add_flag("--generate", o->generate, "Make a strong password and print it");
    group->require_option(0, 1);
}

// The members that say which password is wanted. Errors: invalid.
Result<Json> password_members(const UserOptions& o) {
    if (o.no_password) return Json::object();
    if (o.generate) return Json{{"generate", true}};
    if (!o.hash.empty()) return Json{{"password_hash", o.hash}};
    auto password = o.from_stdin ? password_from_stdin() : password_from_terminal();
    if (!password) return pass_on(password);
    return Json{{"password", std::move(*password)}};
}

void show_generated(const Json& reply) {
    if (reply.contains("password")) fmt::print("password: {}\n", reply.value("password", ""));
}

int list_users(const Cli& cli, const UserOptions& o) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto all = Json::array();
    Table table({{"ADDRESS"}, {"STATUS"}, {"PASSWORD"}, {"CREATED"}});
    std::string after;
    for (;;) {
        auto page = server->call("GET", fmt::format("/v1/accounts?limit=1000&domain={}&after={}",
                                                    http::percent_encode(o.domain), http::percent_encode(after)));
        if (!page) return complain(page.error());
        const auto& accounts = (*page)["accounts"];
        for (const auto& account : accounts) {
            after = account.value("address", "");
            const auto& scheme = account["password_scheme"];
            table.add({after, account.value("status", ""), scheme.is_string() ? scheme.get<std::string>() : "none",
                       account.value("created", "")});
            if (cli.json) all.push_back(account);
        }
        if (accounts.size() < 1000) break;
    }
    if (cli.json)
        cli.print_json({{"accounts", std::move(all)}});
    else
        fmt::print("{}", table.text());
    return 0;
}

void show_user(const Json& account) {
    const auto& scheme = account["password_scheme"];
    fmt::print("address   {}\n", account.value("address", ""));
    fmt::print("status    {}\n", account.value("status", ""));
    fmt::print("password  {}\n", scheme.is_string() ? scheme.get<std::string>() : "none");
    fmt::print("scram     {}\n", fmt::join(account.value("scram", std::vector<std::string>{"none"}), ", "));
    fmt::print("apop      {}\n", account.value("shared_secret", false) ? "shared secret set" : "no shared secret");
    fmt::print("created   {}\n", account.value("created", ""));
    if (!account["expire_days"].is_null())
        fmt::print("expire    {}\n", account["expire_days"].is_string()
                                         ? std::string("never")
                                         : fmt::format("{} days", account["expire_days"].get<std::uint64_t>()));
    if (!account["login_delay"].is_null()) {
        std::chrono::seconds delay(account["login_delay"].get<std::uint64_t>());
        fmt::print("delay     {} between logins\n", format_duration(delay));
    }
    fmt::print("id        {}\n", account.value("id", 0ull));
    fmt::print("mail      {} messages, {}\n", account.value("messages", 0ull),
               human_size(account.value("octets", 0ull)));
    fmt::print("deleted   {} messages, {}, still kept\n", account.value("retained_messages", 0ull),
               human_size(account.value("retained_octets", 0ull)));
}

int set_status(const Cli& cli, const std::string& address, const char* status) {
    return cli.call("PUT", route({"accounts", address, "status"}), {{"status", status}}, [&](const Json& reply) {
        fmt::print("{} is {}\n", reply.value("address", ""), reply.value("status", ""));
    });
}

int set_secret(const Cli& cli, const UserOptions& o) {
    auto target = route({"accounts", o.address, "shared-secret"});
    if (o.remove)
        return cli.call("DELETE", target, nullptr, [](const Json& reply) {
            fmt::print("removed the shared secret of {}\n", reply.value("address", ""));
        });
    Json body{{"generate", true}};
    if (!o.generate) {
        auto secret = password_from_stdin();
        if (!secret) return complain(secret.error().detail());
        body = {{"secret", std::move(*secret)}};
    }
    return cli.call("PUT", target, body, [](const Json& reply) {
        fmt::print("set the shared secret of {}\n", reply.value("address", ""));
        if (reply.contains("secret")) fmt::print("secret: {}\n", reply.value("secret", ""));
    });
}

// A setting; null is the server's.
std::string shown(const Json& setting) {
    if (setting.is_null()) return "default";
    return setting.is_string() ? setting.get<std::string>() : setting.dump();
}

// The members of the settings that are to change. Errors: invalid.
Result<Json> settings_members(const UserOptions& o) {
    auto members = Json::object();
    if (o.expire_days == "default") {
        members["expire_days"] = nullptr;
    } else if (o.expire_days == "never") {
        members["expire_days"] = "never";
    } else if (!o.expire_days.empty()) {
        auto days = Json::parse(o.expire_days, nullptr, false);
        if (!days.is_number_unsigned())
            return fail(Errc::invalid, "--expire-days takes a number, \"never\" or \"default\"");
        members["expire_days"] = days;
    }
    if (o.login_delay == "default") {
        members["login_delay"] = nullptr;
    } else if (!o.login_delay.empty()) {
        auto delay = parse_duration(o.login_delay);
        if (!delay) return pass_on(delay);
        members["login_delay"] = std::chrono::ceil<std::chrono::seconds>(*delay).count();
    }
    if (members.empty()) return fail(Errc::invalid, "say what to set: see poplar user set --help");
    return members;
}

void show_removed(const Json& reply) {
    if (reply["mail_kept_until"].is_string())
        fmt::print("removed {}; its mail is kept until {} (poplar mail list id:{})\n", reply.value("removed", ""),
                   reply.value("mail_kept_until", ""), reply.value("id", 0ull));
    else
        fmt::print("removed {} and its mail\n", reply.value("removed", ""));
}

}  // namespace

void add_user_commands(CLI::App& app, Cli& cli) {
    auto* user = app.add_subcommand("user", "Accounts: who receives mail and logs in");
    user->require_subcommand(1);
    auto o = std::make_shared<UserOptions>();
    auto command = [&](const char* name, const char* help) {
        auto* sub = user->add_subcommand(name, help);
        sub->add_option("ADDRESS", o->address, "The account, for example jane@example.org")->required();
        return sub;
    };

    auto* add = command("add", "Add an account");
    add_password_options(add, o);
    add->get_option_group("Password")
        ->add_flag("--no-password", o->no_password, "Nobody can log in until a password is set");
    add->callback([&cli, o] {
        cli.action = [&cli, o] {
            auto body = password_members(*o);
            if (!body) return complain(body.error().detail());
            (*body)["address"] = o->address;
            return cli.call("POST", "/v1/accounts", *body, [](const Json& reply) {
                fmt::print("added {}\n", reply.value("address", ""));
                show_generated(reply);
            });
        };
    });

    auto* list = user->add_subcommand("list", "List accounts");
    list->add_option("--domain", o->domain, "Only those of this domain")->type_name("NAME");
    list->callback([&cli, o] { cli.action = [&cli, o] { return list_users(cli, *o); }; });

    command("show", "Show one account and how much mail it has")->callback([&cli, o] {
        cli.action = [&cli, o] { return cli.call("GET", route({"accounts", o->address}), nullptr, show_user); };
    });

    auto* password = command("password", "Set an account's password");
    add_password_options(password, o);
    password->callback([&cli, o] {
        cli.action = [&cli, o] {
            auto body = password_members(*o);
            if (!body) return complain(body.error().detail());
            return cli.call("PUT", route({"accounts", o->address, "password"}), *body, [](const Json& reply) {
                fmt::print("changed the password of {}\n", reply.value("address", ""));
                show_generated(reply);
            });
        };
    });

    auto* secret = command("secret", "Set or remove the secret for APOP and CRAM-MD5; it is stored in clear");
    auto* which = secret->add_option_group("Secret", "One of these");
    which->add_flag("--generate", o->generate, "Make one and print it");
    which->add_flag("--secret-stdin", o->from_stdin, "Read it from the first line of standard input");
    which->add_flag("--remove", o->remove, "The account can't use APOP and CRAM-MD5 any more");
    which->require_option(1);
    secret->callback([&cli, o] { cli.action = [&cli, o] { return set_secret(cli, *o); }; });

    command("disable", "Refuse an account's logins and its mail, from now on, and end its open sessions")
        ->callback([&cli, o] { cli.action = [&cli, o] { return set_status(cli, o->address, "disabled"); }; });
    command("enable", "Undo disable")->callback([&cli, o] {
        cli.action = [&cli, o] { return set_status(cli, o->address, "enabled"); };
    });

    auto* set = command("set", "Set what an account has of its own in place of the configuration");
    set->add_option("--expire-days", o->expire_days,
                    "Days that its mail stays (pop3.expire); 0: until it was retrieved; never; default")
        ->type_name("DAYS");
    set->add_option("--login-delay", o->login_delay, "Time between two logins (pop3.login_delay), as in 15m; default")
        ->type_name("TIME");
    set->callback([&cli, o] {
        cli.action = [&cli, o] {
            auto body = settings_members(*o);
            if (!body) return complain(body.error().detail());
            return cli.call("PUT", route({"accounts", o->address, "settings"}), *body, [](const Json& reply) {
                fmt::print("set {}: expire_days {}, login_delay {}\n", reply.value("address", ""),
                           shown(reply["expire_days"]), shown(reply["login_delay"]));
            });
        };
    });

    auto* remove = command("remove", "Remove an account; its mail is kept for storage.retention");
    remove->add_flag("--purge", o->purge, "Destroy its mail at once");
    remove->callback([&cli, o] {
        cli.action = [&cli, o] {
            auto target = route({"accounts", o->address}) + (o->purge ? "?purge=yes" : "");
            return cli.call("DELETE", target, nullptr, show_removed);
        };
    });

    user->add_subcommand("removed", "List removed accounts whose mail is still kept")->callback([&cli] {
        cli.action = [&cli] {
            return cli.call("GET", "/v1/removed-accounts", nullptr, [](const Json& reply) {
                Table table({{"ADDRESS"}, {"MAIL IN"}, {"REMOVED"}, {"KEPT UNTIL"}});
                for (const auto& one : reply["removed_accounts"])
                    table.add({one.value("address", ""), fmt::format("id:{}", one.value("id", 0ull)),
                               one.value("removed", ""), one.value("mail_kept_until", "")});
                fmt::print("{}", table.text());
            });
        };
    });

    add_import_command(*user, cli);
}

}  // namespace poplar::server
