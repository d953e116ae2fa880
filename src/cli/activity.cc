// poplar activity, sessions, blocked
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>

#include "api/activity.h"
#include "base/units.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

constexpr auto kLookEvery = std::chrono::seconds(1);
constexpr std::string_view kDeleted = "deleted", kOwnView = "in its own view";

std::string described(const api::Activity& entry) {
    std::string text = entry.kind;
    if (entry.kind == "fetched" || entry.kind == kDeleted || entry.kind == "restored")
        text += fmt::format(" {} {}", entry.messages, entry.messages == 1 ? "message" : "messages");
    if (!entry.detail.empty()) text += ": " + entry.detail;
    return text;
}

Table table_of(const std::vector<api::Activity>& entries) {
    Table table({{"LAST"}, {"FIRST"}, {"TIMES", Table::Align::right}, {"WHAT"}, {"DEVICE"}, {"FROM"}, {"BY"}});
    for (const auto& entry : entries)
        table.add({entry.last, entry.first, std::to_string(entry.times), described(entry),
                   entry.device ? fmt::format("{} ({})", entry.device_name.value_or(""), *entry.device) : "-",
                   entry.sum            ? "more places"
                   : entry.from.empty() ? "-"
                                        : entry.from,
                   entry.protocol.empty() ? "-" : entry.protocol});
    return table;
}

/// How to undo the largest deletion of the list. What a device deletes in its own view stays in the mailbox, so there
/// is nothing to bring back.
std::string restore_hint(const std::string& address, const std::vector<api::Activity>& entries) {
    const api::Activity* largest = nullptr;
    for (const auto& entry : entries)
        if (entry.kind == kDeleted && entry.detail != kOwnView &&
            (largest == nullptr || entry.messages >= largest->messages))
            largest = &entry;
    if (largest == nullptr) return {};
    // Mail that an administrator or the server itself deleted has no device.
    std::string device;
    if (largest->device)
        device = " --device " + *largest->device;
    else if (largest->protocol == "pop3")
        device = " --device none";
    const auto by = largest->device               ? largest->device_name.value_or(*largest->device)
                    : largest->protocol == "pop3" ? "the account's own password"
                                                  : largest->protocol;
    const auto restore = fmt::format("  poplar mail restore {} --since {} --until {}{}\n", address, largest->first,
                                     largest->last, device);
    if (largest->sum)
        return fmt::format(
            "\nThe most was deleted from so many places that the ledger can't tell them apart: {} in all. Deleted mail "
            "is kept for a time; to bring back all that was deleted in that time:\n{}",
            largest->messages, restore);
    return fmt::format("\nThe largest deletion: {} by {}. Deleted mail is kept for a time; to bring this back:\n{}",
                       largest->messages, by, restore);
}

int show_activity(const Cli& cli, api::ListActivity asked, bool follow) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    for (bool first = true;; first = false) {
        auto reply = server->call(asked);
        if (!reply) return complain(reply.error());
        if (cli.json && (first || !reply->entries.empty())) cli.print_json(api::to_json(*reply));
        if (!cli.json && (first || !reply->entries.empty())) fmt::print("{}", table_of(reply->entries).text());
        if (!cli.json && first && reply->damaged != 0)
            fmt::print("{} entries of that time are damaged and can't be shown\n", reply->damaged);
        if (!cli.json && !follow) fmt::print("{}", restore_hint(asked.address, reply->entries));
        std::fflush(stdout);
        if (!follow) return 0;
        asked.after = std::max(asked.after, reply->next);
        std::this_thread::sleep_for(kLookEvery);
    }
}

void show_sessions(const api::ListSessions&, const api::SessionList& list) {
    Table table({{"ID"}, {"PROTOCOL"}, {"ACCOUNT"}, {"DEVICE"}, {"FROM"}, {"TLS"}, {"SINCE"}, {"STATE"}, {"IDLE"}});
    for (const auto& session : list.sessions)
        table.add({session.id.empty() ? "-" : session.id, session.protocol,
                   session.account.empty() ? "-" : session.account, session.device.empty() ? "-" : session.device,
                   session.from, session.tls ? "yes" : "no", session.since, session.state,
                   human_duration(std::chrono::seconds(session.idle_seconds))});
    fmt::print("{}", table.text());
    if (list.more) fmt::print("There are more; name an account to see all of it.\n");
}

void show_blocked(const api::ListBlocked&, const api::BlockedList& list) {
    Table table(
        {{"LIMIT"}, {"ACCOUNT"}, {"FROM"}, {"FAILURES", Table::Align::right}, {"NEXT ATTEMPT IN"}, {"FORGOTTEN IN"}});
    for (const auto& one : list.blocked)
        table.add({one.limit, one.account.empty() ? "any" : one.account, one.from.empty() ? "anywhere" : one.from,
                   std::to_string(one.failures), human_duration(std::chrono::seconds(one.delay_seconds)),
                   human_duration(std::chrono::seconds(one.lasts_seconds))});
    fmt::print("{}", table.text());
    if (list.total > list.blocked.size()) fmt::print("{} more\n", list.total - list.blocked.size());
}

}  // namespace

void add_activity_commands(CLI::App& app, Cli& cli) {
    auto asked = std::make_shared<api::ListActivity>();
    auto follow = std::make_shared<bool>(false);
    auto* activity = app.add_subcommand("activity", std::string(api::ListActivity::operation().request.words));
    add_options(activity, cli, api::ListActivity::operation(), asked.get());
    activity->add_flag("--follow", *follow, "Go on, and print what happens from now on");
    activity->callback(
        [&cli, asked, follow] { cli.action = [&cli, asked, follow] { return show_activity(cli, *asked, *follow); }; });

    auto* sessions = app.add_subcommand("sessions", "Open sessions: who is connected")->require_subcommand(1);
    add_command<api::ListSessions>(sessions, cli, "list", show_sessions);
    add_command<api::EndSession>(sessions, cli, "end", [](const api::EndSession&, const api::Session& session) {
        fmt::print("ended {} from {}\n", session.id, session.from);
    });

    auto* blocked = app.add_subcommand("blocked", "Logins that are held up after failures")->require_subcommand(1);
    add_command<api::ListBlocked>(blocked, cli, "list", show_blocked);
    add_command<api::ClearBlocked>(blocked, cli, "clear",
                                   [](const api::ClearBlocked& cleared, const api::Release& done) {
                                       fmt::print("{} limits do not hold up {} any more\n", done.released, cleared.who);
                                   });
}

}  // namespace poplar::cli
