#pragma once
// The command line: `poplar SUBCOMMAND ...`. Each family of commands has its file. Options, help and JSON are those of
// the operations' declarations in api/; what people see on the terminal is written here.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "cli/client.h"

namespace poplar::cli {

struct Cli;
class VerifyPrinter;

/// Given to the command line by the server's part of the program.
struct Host {
    std::string default_config_file, default_socket, version;
    /// The admin socket that a configuration names. On failure it has said why: exit with kExitConfig.
    std::function<std::optional<std::string>(const std::string& config_file)> admin_socket;
    /// Commands that are the server itself.
    std::function<void(CLI::App& app, Cli& cli)> add_commands;
    /// The check of everything stored, with the server stopped. Returns the exit code.
    std::function<int(const Cli& cli, VerifyPrinter& printer)> verify_stopped;
};

/// Runs the program and returns its exit code: 0, 1 (refused or failed), 2 (usage), 69 (no server answers), 78 (the
/// configuration is wrong).
int run(int argc, const char* const* argv, Host host);

/// Shared by all commands.
struct Cli {
    Host host;
    std::string config_file, socket;
    bool json = false;
    std::function<int()> action;  ///< the chosen command
    std::string wrong;            ///< what is wrong with an option's value; else empty

    std::string config_path() const;
    /// A client of the socket that --socket names, else the configuration, else the default. On failure it has said
    /// why: exit with kExitConfig.
    std::optional<Client> client() const;
    void print_json(const api::Json& json) const;

    /// Makes a call and prints what it answers: as JSON, or by `show`.
    template <class Request>
    int call(const Request& request, const std::function<void(const typename Request::Reply&)>& show) const;
};

void add_server_commands(CLI::App& app, Cli& cli);                   ///< verify, status, scrub, clock, version
void add_directory_commands(CLI::App& app, Cli& cli);                ///< domain, alias
void add_user_commands(CLI::App& app, Cli& cli);                     ///< user
void add_device_commands(CLI::App& app, Cli& cli);                   ///< device
void add_activity_commands(CLI::App& app, Cli& cli);                 ///< activity, sessions, blocked
void add_second_factor_commands(CLI::App& app, Cli& cli);            ///< totp, approve
void add_quota_commands(CLI::App& app, Cli& cli);                    ///< quota
void add_encryption_commands(CLI::App& app, Cli& cli);               ///< encryption
void add_queue_commands(CLI::App& app, Cli& cli);                    ///< queue
void add_dkim_commands(CLI::App& app, Cli& cli);                     ///< dkim
void add_import_command(CLI::App& user, Cli& cli);                   ///< user import
CLI::App* add_mail_commands(CLI::App& app, Cli& cli);                ///< mail, deliver; returns mail
void add_sieve_commands(CLI::App& app, Cli& cli);                    ///< sieve
void add_mailbox_commands(CLI::App& app, CLI::App& mail, Cli& cli);  ///< mailbox; mail move, copy, flag, changes

/// "poplar: message" on stderr; returns 1.
int complain(std::string_view message, int exit_code = 1);
int complain(const CallError& error);

/// Adds the options and arguments of an operation; they fill `request`.
void add_options(CLI::App* command, Cli& cli, const api::Operation& operation, void* request);

/// A subcommand that asks for one operation, with its words and its options, and shows the reply.
template <class Request>
CLI::App* add_command(CLI::App* family, Cli& cli, const char* name,
                      std::function<void(const Request&, const typename Request::Reply&)> show);

template <class Request>
int Cli::call(const Request& request, const std::function<void(const typename Request::Reply&)>& show) const {
    auto server = client();
    if (!server) return kExitConfig;
    auto reply = server->call(request);
    if (!reply) return complain(reply.error());
    if (json)
        print_json(api::to_json(*reply));
    else
        show(*reply);
    return 0;
}

template <class Request>
CLI::App* add_command(CLI::App* family, Cli& cli, const char* name,
                      std::function<void(const Request&, const typename Request::Reply&)> show) {
    auto request = std::make_shared<Request>();
    auto* command = family->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    command->callback([&cli, request, show] {
        cli.action = [&cli, request, show] {
            return cli.call(*request, [&](const typename Request::Reply& reply) { show(*request, reply); });
        };
    });
    return command;
}

/// Asks for page after page. `list` is the reply's list. `step` takes an element and lets the request begin behind it;
/// `page_done` is called with whether the page was the last. Returns the exit code.
template <class Request, class Element>
int each_page(const Cli& cli, Request request, std::vector<Element> Request::Reply::* list,
              const std::function<void(Request&, const Element&)>& step, const std::function<void(bool)>& page_done) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    for (;;) {
        auto page = server->call(request);
        if (!page) return complain(page.error());
        const auto& elements = (*page).*list;
        for (const auto& element : elements) step(request, element);
        const bool last = elements.size() < request.limit;
        page_done(last);
        if (last) return 0;
    }
}

}  // namespace poplar::cli
