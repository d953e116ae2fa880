// poplar user (user import: import.cc)
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>

#include "api/accounts.h"
#include "base/units.h"
#include "cli/factor_words.h"
#include "cli/password_input.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

/// Ways to give a password beside the operation's own options.
struct PasswordSource {
    bool from_stdin = false, none = false;
    bool old_from_stdin = false;  ///< the line before it
    std::string escrow_file;      ///< has what opens encrypted mail in the old one's place
};

CLI::Option_group* add_password_options(CLI::App* command, const std::shared_ptr<PasswordSource>& source) {
    auto* group = command->add_option_group("Password", "One of these; without any, it is asked for at the terminal");
    group->add_flag("--password-stdin", source->from_stdin, "Read the password from the first line of standard input");
    group->add_option(command->get_option("--password-hash"));
    group->add_option(command->get_option("--generate"));
    group->require_option(0, 1);
    return group;
}

// Fills in the password, if the operation's options did not give one. Errors: invalid.
Result<> complete(const PasswordSource& source, auto& request) {
    if (source.none || request.generate || request.password_hash) return {};
    auto password = source.from_stdin ? password_from_stdin() : password_from_terminal();
    if (!password) return pass_on(password);
    request.password = std::move(*password);
    return {};
}

void show_generated(const std::optional<std::string>& password) {
    if (password) fmt::print("password: {}\n", *password);
}

int list_users(const Cli& cli, const api::ListAccounts& asked) {
    api::AccountList all;
    Table table({{"ADDRESS"}, {"STATUS"}, {"PASSWORD"}, {"CREATED"}});
    auto step = [&](api::ListAccounts& next, const api::Account& account) {
        next.after = account.address;
        table.add({account.address, account.status == api::AccountStatus::enabled ? "enabled" : "disabled",
                   account.password_scheme.value_or("none"), account.created});
        if (cli.json) all.accounts.push_back(account);
    };
    auto done = [&](bool last) {
        if (last && cli.json) cli.print_json(api::to_json(all));
        if (last && !cli.json) fmt::print("{}", table.text());
    };
    return each_page<api::ListAccounts, api::Account>(cli, asked, &api::AccountList::accounts, step, done);
}

void show_user(const api::ShowAccount&, const api::Account& account) {
    fmt::print("address   {}\n", account.address);
    fmt::print("status    {}\n", account.status == api::AccountStatus::enabled ? "enabled" : "disabled");
    fmt::print("password  {}\n", account.password_scheme.value_or("none"));
    fmt::print("scram     {}\n", fmt::join(account.scram, ", "));
    fmt::print("apop      {}\n", account.shared_secret ? "shared secret set" : "no shared secret");
    fmt::print("factor    {}; authenticator: {}; recovery codes left: {}\n",
               account.needs_second_factor.value_or(false) ? "needed beside the password" : "none needed",
               account.authenticator.value_or("none"), account.recovery_codes.value_or(0));
    fmt::print("created   {}\n", account.created);
    if (const auto& days = account.expire_days)
        fmt::print("expire    {}\n", days->never ? std::string("never") : fmt::format("{} days", days->count));
    if (const auto& delay = account.login_delay)
        fmt::print("delay     {} between logins\n", format_duration(std::chrono::seconds(delay->count)));
    if (account.when_all_deleted == "keep") fmt::print("keeps     messages that all have deleted by POP3\n");
    if (account.language) fmt::print("language  {}\n", *account.language);
    if (const auto& keep = account.retention)
        fmt::print("retention {} for deleted mail\n", format_duration(std::chrono::seconds(keep->count)));
    if (!account.may_send_as.empty()) fmt::print("sends as  {}\n", fmt::join(account.may_send_as, ", "));
    fmt::print("id        {}\n", account.id);
    fmt::print("mail      {} messages, {}\n", account.messages.value_or(0), human_size(account.octets.value_or(0)));
    fmt::print("deleted   {} messages, {}, still kept\n", account.retained_messages.value_or(0),
               human_size(account.retained_octets.value_or(0)));
}

// A setting; null is the server's.
std::string shown(const api::Nullable<api::Days>& days) {
    if (!days) return "default";
    return days->never ? "never" : std::to_string(days->count);
}
std::string shown(const api::Nullable<api::Seconds>& delay) { return delay ? std::to_string(delay->count) : "default"; }

void show_removed(const api::RemoveAccount&, const api::AccountRemoval& removal) {
    if (removal.mail_kept_until)
        fmt::print("removed {}; its mail is kept until {} (poplar mail list id:{})\n", removal.removed,
                   *removal.mail_kept_until, removal.id);
    else
        fmt::print("removed {} and its mail\n", removal.removed);
}

void show_removed_accounts(const api::ListRemovedAccounts&, const api::RemovedAccountList& list) {
    Table table({{"ADDRESS"}, {"MAIL IN"}, {"REMOVED"}, {"KEPT UNTIL"}});
    for (const auto& one : list.removed_accounts)
        table.add({one.address, fmt::format("id:{}", one.id), one.removed, one.mail_kept_until});
    fmt::print("{}", table.text());
}

void add_mail_openers(CLI::App* command, const std::shared_ptr<PasswordSource>& source) {
    command->add_flag("--old-password-stdin", source->old_from_stdin,
                      "Read the present password, which opens encrypted mail, from standard input's first line; with "
                      "--password-stdin the new one is the next");
    command->add_option("--escrow-key", source->escrow_file,
                        "A file with the secret half of the operator's key, which opens encrypted mail, too");
}

Result<> read_mail_openers(const PasswordSource& source, api::SetPassword& request) {
    if (source.old_from_stdin) {
        auto old = password_from_stdin();
        if (!old) return pass_on(old);
        request.old_password = std::move(*old);
    }
    if (source.escrow_file.empty()) return {};
    std::ifstream file(source.escrow_file);
    std::string line;
    if (!std::getline(file, line)) return fail(Errc::invalid, "the escrow key can't be read: " + source.escrow_file);
    request.escrow_key = std::move(line);
    return {};
}

// A command that needs a password before it can ask.
template <class Request>
void add_with_password(CLI::App* user, Cli& cli, const char* name, bool may_have_none,
                       std::function<void(const typename Request::Reply&)> show) {
    auto request = std::make_shared<Request>();
    auto source = std::make_shared<PasswordSource>();
    auto* command = user->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    auto* group = add_password_options(command, source);
    if constexpr (requires { request->old_password; }) add_mail_openers(command, source);
    if (may_have_none) group->add_flag("--no-password", source->none, "Nobody can log in until a password is set");
    command->callback([&cli, request, source, show] {
        cli.action = [&cli, request, source, show] {
            if constexpr (requires { request->old_password; })
                if (auto read = read_mail_openers(*source, *request); !read) return complain(read.error().detail());
            if (auto completed = complete(*source, *request); !completed) return complain(completed.error().detail());
            return cli.call(*request, show);
        };
    });
}

int set_secret(const Cli& cli, api::SetSharedSecret request, bool remove) {
    if (remove) {
        api::RemoveSharedSecret removal{request.address};
        return cli.call<api::RemoveSharedSecret>(removal, [](const api::CredentialChange& change) {
            fmt::print("removed the shared secret of {}\n", change.address);
        });
    }
    if (!request.generate) {
        auto secret = password_from_stdin();
        if (!secret) return complain(secret.error().detail());
        request.secret = std::move(*secret);
    }
    return cli.call<api::SetSharedSecret>(request, [](const api::CredentialChange& change) {
        fmt::print("set the shared secret of {}\n", change.address);
        if (change.secret) fmt::print("secret: {}\n", *change.secret);
    });
}

void add_secret_command(CLI::App* user, Cli& cli) {
    struct Source {
        bool from_stdin = false, remove = false;
    };
    const auto& operation = api::SetSharedSecret::operation();
    auto request = std::make_shared<api::SetSharedSecret>();
    auto source = std::make_shared<Source>();
    auto* secret =
        user->add_subcommand("secret", "Set or remove the secret for APOP and CRAM-MD5; it is stored in clear");
    add_options(secret, cli, operation, request.get());
    auto* which = secret->add_option_group("Secret", "One of these");
    which->add_option(secret->get_option("--generate"));
    which->add_flag("--secret-stdin", source->from_stdin, "Read it from the first line of standard input");
    which->add_flag("--remove", source->remove, std::string(api::RemoveSharedSecret::operation().request.words));
    which->require_option(1);
    secret->callback([&cli, request, source] {
        cli.action = [&cli, request, source] { return set_secret(cli, *request, source->remove); };
    });
}

void add_status_command(CLI::App* user, Cli& cli, const char* name, const char* words, api::AccountStatus status) {
    auto request = std::make_shared<api::SetStatus>();
    request->status = status;
    auto* command = user->add_subcommand(name, words);
    add_options(command, cli, api::SetStatus::operation(), request.get());
    command->callback([&cli, request] {
        cli.action = [&cli, request] {
            return cli.call<api::SetStatus>(*request, [](const api::Account& account) {
                fmt::print("{} is {}\n", account.address,
                           account.status == api::AccountStatus::enabled ? "enabled" : "disabled");
            });
        };
    });
}

void add_set_command(CLI::App* user, Cli& cli) {
    auto request = std::make_shared<api::SetSettings>();
    auto* set = user->add_subcommand("set", std::string(api::SetSettings::operation().request.words));
    add_options(set, cli, api::SetSettings::operation(), request.get());
    set->callback([&cli, request] {
        cli.action = [&cli, request] {
            if (!request->expire_days && !request->login_delay && !request->second_factor &&
                !request->second_factor_ways && !request->when_all_deleted && !request->language &&
                !request->retention && !request->may_send_as)
                return complain("say what to set: see poplar user set --help");
            return cli.call<api::SetSettings>(*request, [](const api::Account& account) {
                const auto senders = fmt::format("{}", fmt::join(account.may_send_as, " "));
                fmt::print(
                    "set {}: expire_days {}, login_delay {}, second_factor {}, when_all_deleted {}, language {}, "
                    "retention {}\nmay_send_as {}\n",
                    account.address, shown(account.expire_days), shown(account.login_delay),
                    shown_policy(account.second_factor, account.second_factor_ways), account.when_all_deleted,
                    account.language.value_or("default"),
                    account.retention ? format_duration(std::chrono::seconds(account.retention->count))
                                      : std::string("default"),
                    senders.empty() ? "none" : senders);
            });
        };
    });
}

}  // namespace

void add_user_commands(CLI::App& app, Cli& cli) {
    using api::AccountStatus;
    auto* user = app.add_subcommand("user", "Accounts: who receives mail and logs in");
    user->require_subcommand(1);
    add_with_password<api::AddAccount>(user, cli, "add", true, [](const api::Account& account) {
        fmt::print("added {}\n", account.address);
        show_generated(account.password);
    });
    auto asked = std::make_shared<api::ListAccounts>();
    auto* list = user->add_subcommand("list", std::string(api::ListAccounts::operation().request.words));
    add_options(list, cli, api::ListAccounts::operation(), asked.get());
    list->callback([&cli, asked] { cli.action = [&cli, asked] { return list_users(cli, *asked); }; });
    add_command<api::ShowAccount>(user, cli, "show", show_user);
    add_with_password<api::SetPassword>(user, cli, "password", false, [](const api::CredentialChange& change) {
        fmt::print("changed the password of {}\n", change.address);
        show_generated(change.password);
    });
    add_secret_command(user, cli);
    add_status_command(user, cli, "disable",
                       "Refuse an account's logins and its mail, from now on, and end its open sessions",
                       AccountStatus::disabled);
    add_status_command(user, cli, "enable", "Undo disable", AccountStatus::enabled);
    add_set_command(user, cli);
    add_command<api::RemoveAccount>(user, cli, "remove", show_removed);
    add_command<api::ListRemovedAccounts>(user, cli, "removed", show_removed_accounts);
    add_import_command(*user, cli);
}

}  // namespace poplar::cli
