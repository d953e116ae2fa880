// poplar sieve
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>

#include "api/common_scripts.h"
#include "api/json.h"
#include "api/mail_work.h"
#include "api/scripts.h"
#include "cli/program.h"
#include "cli/sieve_test.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

void show_scripts(const api::ListScripts&, const api::ScriptList& list) {
    Table table({{"NAME"}, {"ACTIVE"}, {"OCTETS", Table::Align::right}, {"MODIFIED"}});
    for (const auto& one : list.scripts)
        table.add({one.name, one.active ? "yes" : "-", std::to_string(one.octets), one.modified});
    fmt::print("{}", table.text());
}

void show_active(const api::ActiveScript& now) {
    if (now.active)
        fmt::print("{} is active\n", *now.active);
    else
        fmt::print("no script is active\n");
}

/// Of a file, or of standard input where none is named.
std::optional<std::string> read_text(const std::string& file) {
    std::ostringstream out;
    if (file.empty()) {
        out << std::cin.rdbuf();
        return std::move(out).str();
    }
    std::ifstream in(file, std::ios::binary);
    if (!in) return std::nullopt;
    out << in.rdbuf();
    if (in.bad()) return std::nullopt;
    return std::move(out).str();
}

/// Sends a script's text; 1 if there is something wrong with it.
template <class Request>
int send_text(const Cli& cli, Request request, const std::string& file, const std::string& done) {
    auto text = read_text(file);
    if (!text) return complain(fmt::format("{} can't be read", file));
    request.text = std::move(*text);
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto reply = server->call(request);
    if (!reply) return complain(reply.error());
    if (cli.json)
        cli.print_json(api::to_json(*reply));
    else if (reply->valid)
        fmt::print("{}\n", done);
    if (cli.json) return reply->valid ? 0 : 1;
    const auto tell = [&](const char* kind, const std::vector<api::ScriptProblem>& problems) {
        for (const auto& one : problems)
            complain(fmt::format("{}{}line {}, column {}: {}", kind, file.empty() ? "" : file + ", ", one.line,
                                 one.column, one.message));
    };
    tell("", reply->errors);
    tell("warning: ", reply->warnings);
    return reply->valid ? 0 : 1;
}

template <class Request>
CLI::App* add_text_command(CLI::App* family, Cli& cli, const char* name,
                           std::function<std::string(const Request&)> done) {
    auto request = std::make_shared<Request>();
    auto file = std::make_shared<std::string>();
    auto* command = family->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    command->add_option("FILE", *file, "The file with the script; standard input if none is named");
    command->callback([&cli, request, file, done] {
        cli.action = [&cli, request, file, done] { return send_text(cli, *request, *file, done(*request)); };
    });
    return command;
}

void add_common_commands(CLI::App& sieve, Cli& cli) {
    auto* family = sieve.add_subcommand(
        "common",
        "The administrator's scripts: before and after those of all accounts or of a domain's, and the library");
    family->require_subcommand(1);
    add_text_command<api::PutCommonScript>(family, cli, "put", [](const api::PutCommonScript& asked) {
        return fmt::format("put {}/{}", asked.place, asked.name);
    });
    add_command<api::GetCommonScript>(family, cli, "get",
                                      [](const api::GetCommonScript&, const api::CommonScriptText& script) {
                                          std::fwrite(script.text.data(), 1, script.text.size(), stdout);
                                      });
    add_command<api::ListCommonScripts>(
        family, cli, "list", [](const api::ListCommonScripts&, const api::CommonScriptList& list) {
            Table table({{"PLACE"}, {"NAME"}, {"OCTETS", Table::Align::right}, {"MODIFIED"}});
            for (const auto& one : list.scripts)
                table.add({one.place, one.name, std::to_string(one.octets), one.modified.value_or("built in")});
            fmt::print("{}", table.text());
        });
    add_command<api::DeleteCommonScript>(family, cli, "delete",
                                         [](const api::DeleteCommonScript&, const api::Removal& removal) {
                                             fmt::print("deleted {}\n", removal.removed);
                                         });
}

void show_event(const api::MailWorkEvent& event) {
    const auto count = [](const std::optional<std::uint64_t>& value) { return value.value_or(0); };
    if (event.type == "message") {
        std::string text;
        for (const auto& one : event.done.value_or(std::vector<std::string>())) text += ", " + one;
        for (const auto& one : event.skipped.value_or(std::vector<std::string>())) text += ", not done: " + one;
        if (event.error) text += ", failed: " + *event.error;
        fmt::print("{}: {}\n", event.message.value_or(""), text.substr(std::min<std::size_t>(2, text.size())));
    } else if (event.mailboxes) {
        if (event.type == "done") fmt::print("{} moved to {} mailboxes\n", count(event.moved), count(event.mailboxes));
    } else if (event.type == "done") {
        fmt::print(
            "{} messages: {} moved, {} copied, {} with other flags, {} discarded, {} with something not done, {} "
            "failed\n",
            count(event.looked_at), count(event.moved), count(event.copied), count(event.flagged),
            count(event.discarded), count(event.left_out), count(event.failed));
    }
    if (event.type == "progress" && isatty(STDERR_FILENO))
        fmt::print(stderr, "\r{} of {}\r", count(event.mailboxes ? event.moved : event.looked_at),
                   event.messages ? std::to_string(*event.messages) : "?");
}

/// Shows each event as it comes. 1: the work broke off.
template <class Request>
int follow(const Cli& cli, const Request& request) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    bool whole = false;
    std::string line;
    auto take = [&](std::string_view bytes) {
        line.append(bytes);
        for (auto end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
            const auto text = line.substr(0, end);
            line.erase(0, end + 1);
            api::MailWorkEvent event;
            if (!api::read_json(api::MailWorkEvent::shape(), api::Json::parse(text, nullptr, false), &event)) continue;
            whole = whole || event.type == "done";
            if (cli.json)
                fmt::print("{}\n", text);
            else
                show_event(event);
            std::fflush(stdout);
        }
    };
    auto done = server->download(request, take);
    if (!done) return complain(done.error());
    return whole ? 0 : complain("the work broke off; begin it again");
}

template <class Request>
void add_work_command(CLI::App* family, Cli& cli, const char* name) {
    auto request = std::make_shared<Request>();
    auto* command = family->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    command->callback([&cli, request] { cli.action = [&cli, request] { return follow(cli, *request); }; });
}

void show_forward(const api::Forward& forward) {
    for (const auto& to : forward.to) fmt::print("{}\n", to);
    fmt::print("{}\n", forward.keep ? "and kept here" : "and not kept here");
}

void show_vacation(const api::Vacation& vacation) {
    fmt::print("from {} to {}\nsubject: {}\n\n{}", vacation.from.empty() ? "now" : vacation.from,
               vacation.to.empty() ? "further notice" : vacation.to, vacation.subject, vacation.text);
}

/// `poplar NAME ADDRESS ...` sets something; `poplar NAME show ADDRESS` and `poplar NAME off ADDRESS` are its own.
template <class Set, class Get, class Remove>
void add_own_script(CLI::App& app, Cli& cli, const char* name, void (*show)(const typename Get::Reply&),
                    bool (*complete)(Set&)) {
    auto request = std::make_shared<Set>();
    auto* family = app.add_subcommand(name, std::string(Set::operation().request.words));
    add_options(family, cli, Set::operation(), request.get());
    for (auto* option : family->get_options()) option->required(false);  // `show` and `off` have their own
    family->require_subcommand(0, 1);
    family->callback([&cli, family, request, show, complete] {
        if (!family->get_subcommands().empty()) return;
        cli.action = [&cli, request, show, complete] {
            if (request->address.empty()) return complain("name an account, for example jane@example.org");
            if (!complete(*request)) return complain("standard input can't be read");
            return cli.call(*request, std::function<void(const typename Set::Reply&)>(show));
        };
    });
    add_command<Get>(family, cli, "show", [show](const Get&, const typename Get::Reply& reply) { show(reply); });
    add_command<Remove>(family, cli, "off", [](const Remove&, const api::Removal& removal) {
        fmt::print("off for {}\n", removal.removed);
    });
}

}  // namespace

void add_sieve_commands(CLI::App& app, Cli& cli) {
    auto* family = app.add_subcommand("sieve", "An account's filter scripts");
    family->require_subcommand(1);
    add_text_command<api::PutScript>(family, cli, "put",
                                     [](const api::PutScript& asked) { return fmt::format("put {}", asked.name); });
    add_command<api::GetScript>(family, cli, "get", [](const api::GetScript&, const api::ScriptText& script) {
        std::fwrite(script.text.data(), 1, script.text.size(), stdout);
    });
    add_command<api::ListScripts>(family, cli, "list", show_scripts);
    add_command<api::ActivateScript>(
        family, cli, "activate", [](const api::ActivateScript&, const api::ActiveScript& now) { show_active(now); });
    add_command<api::DeactivateScripts>(
        family, cli, "deactivate",
        [](const api::DeactivateScripts&, const api::ActiveScript& now) { show_active(now); });
    add_command<api::DeleteScript>(family, cli, "delete", [](const api::DeleteScript&, const api::Removal& removal) {
        fmt::print("deleted {}\n", removal.removed);
    });
    add_text_command<api::CheckScript>(family, cli, "check", [](const api::CheckScript&) { return "sound"; });
    add_sieve_test_command(*family, cli);
    add_common_commands(*family, cli);
    add_work_command<api::RunScript>(family, cli, "run");
    add_work_command<api::ArchiveMail>(&app, cli, "archive");
    add_own_script<api::SetForward, api::GetForward, api::RemoveForward>(app, cli, "forward", show_forward,
                                                                         [](api::SetForward&) { return true; });
    add_own_script<api::SetVacation, api::GetVacation, api::RemoveVacation>(app, cli, "vacation", show_vacation,
                                                                            [](api::SetVacation& asked) {
                                                                                auto text = read_text("");
                                                                                if (text) asked.text = std::move(*text);
                                                                                return text.has_value();
                                                                            });
}

}  // namespace poplar::cli
