// poplar mailbox; poplar mail move, copy, flag, changes
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <thread>
#include <utility>

#include "api/mailboxes.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);  // for new changes, with --follow

void show_mailboxes(const api::ListMailboxes&, const api::MailboxList& list) {
    Table table({{"NAME"},
                 {"USE"},
                 {"MESSAGES", Table::Align::right},
                 {"UNSEEN", Table::Align::right},
                 {"OCTETS", Table::Align::right},
                 {"ID", Table::Align::right},
                 {"SUBSCRIBED"}});
    for (const auto& one : list.mailboxes)
        table.add({one.name, one.use.value_or("-"), std::to_string(one.messages), std::to_string(one.unseen),
                   std::to_string(one.octets), std::to_string(one.id), one.subscribed ? "yes" : "no"});
    fmt::print("{}", table.text());
}

void show_change(const api::Change& change) {
    fmt::print("{} {} mailbox={}", change.number, change.kind, change.mailbox);
    if (!change.uids.empty()) fmt::print(" uids={}", fmt::join(change.uids, ","));
    if (change.to)
        fmt::print(" to={} to_uids={}", *change.to,
                   fmt::join(change.to_uids.value_or(std::vector<std::string>()), ","));
    fmt::print("\n");
}

int list_changes(const Cli& cli, api::ListChanges asked, bool follow) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    api::ChangeList all;  // for JSON: all pages together; with --follow, printed each time that something happened
    for (;;) {
        auto reply = server->call(asked);
        if (!reply) return complain(reply.error());
        if (!cli.json && reply->forgotten) fmt::print("{} forgotten: read everything anew\n", reply->number);
        if (!cli.json) std::ranges::for_each(reply->changes, show_change);
        const bool ended = reply->changes.empty();
        asked.since = all.number = reply->number;
        all.forgotten |= reply->forgotten;
        std::ranges::move(reply->changes, std::back_inserter(all.changes));
        if (cli.json && ended && (!follow || !all.changes.empty()))
            cli.print_json(api::to_json(std::exchange(all, {})));
        std::fflush(stdout);
        if (ended && !follow) return 0;
        if (ended) std::this_thread::sleep_for(kLookEvery);
        if (!cli.json) all.changes.clear();
    }
}

void add_subscription_command(CLI::App* family, Cli& cli, const char* name, const char* words, bool subscribed) {
    auto request = std::make_shared<api::SubscribeMailbox>();
    request->subscribed = subscribed;
    auto* command = family->add_subcommand(name, words);
    add_options(command, cli, api::SubscribeMailbox::operation(), request.get());
    command->callback([&cli, request, subscribed] {
        cli.action = [&cli, request, subscribed] {
            return cli.call<api::SubscribeMailbox>(*request, [subscribed](const api::Mailbox& mailbox) {
                fmt::print("{} is {}\n", mailbox.name, subscribed ? "subscribed" : "not subscribed any more");
            });
        };
    });
}

}  // namespace

void add_mailbox_commands(CLI::App& app, CLI::App& mail, Cli& cli) {
    auto* family = app.add_subcommand("mailbox", "An account's mailboxes");
    family->require_subcommand(1);
    add_command<api::ListMailboxes>(family, cli, "list", show_mailboxes);
    add_command<api::AddMailbox>(family, cli, "add", [](const api::AddMailbox&, const api::Mailbox& added) {
        fmt::print("added {}\n", added.name);
    });
    add_command<api::RenameMailbox>(family, cli, "rename",
                                    [](const api::RenameMailbox& asked, const api::Mailbox& now) {
                                        fmt::print("{} is {} now\n", asked.name, now.name);
                                    });
    add_subscription_command(family, cli, "subscribe", "Let mail programs show a mailbox", true);
    add_subscription_command(family, cli, "unsubscribe", "Undo subscribe", false);
    add_command<api::RemoveMailbox>(family, cli, "remove", [](const api::RemoveMailbox&, const api::Removal& removal) {
        fmt::print("removed {}\n", removal.removed);
    });

    add_command<api::MoveMessage>(&mail, cli, "move", [](const api::MoveMessage& asked, const api::Message& message) {
        fmt::print("moved {} to {}\n", message.unique_id, asked.mailbox);
    });
    add_command<api::CopyMessage>(&mail, cli, "copy", [](const api::CopyMessage& asked, const api::Message& message) {
        fmt::print("copied {} to {}: {}\n", asked.id, asked.mailbox, message.unique_id);
    });
    add_command<api::FlagMessage>(&mail, cli, "flag", [](const api::FlagMessage&, const api::Message& message) {
        fmt::print("{}: {}\n", message.unique_id,
                   message.flags.empty() ? "no flags" : fmt::format("{}", fmt::join(message.flags, ", ")));
    });
    auto asked = std::make_shared<api::ListChanges>();
    auto follow = std::make_shared<bool>(false);
    auto* changes = mail.add_subcommand("changes", std::string(api::ListChanges::operation().request.words));
    add_options(changes, cli, api::ListChanges::operation(), asked.get());
    changes->add_flag("--follow", *follow, "Go on, and print what happens from now on");
    changes->callback(
        [&cli, asked, follow] { cli.action = [&cli, asked, follow] { return list_changes(cli, *asked, *follow); }; });
}

}  // namespace poplar::cli
