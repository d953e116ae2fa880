// poplar queue
#include "api/queue.h"

#include <fmt/format.h>

#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

void add_rows(Table& table, const api::QueuedMessage& message) {
    bool first = true;
    for (const auto& one : message.recipients) {
        const auto sender = message.sender.empty() ? std::string("<>") : message.sender;
        table.add({first ? message.id : "", first ? sender : "", one.address, one.state, std::to_string(one.attempts),
                   one.next_attempt.value_or("-"), one.last_reply.empty() ? "-" : one.last_reply});
        first = false;
    }
}

Table queue_table() {
    return Table(
        {{"ID"}, {"SENDER"}, {"RECIPIENT"}, {"STATE"}, {"TRIED", Table::Align::right}, {"NEXT"}, {"LAST REPLY"}});
}

int list_queue(const Cli& cli, const api::ListQueue& asked) {
    api::Queue all;
    auto table = queue_table();
    auto step = [&](api::ListQueue& next, const api::QueuedMessage& message) {
        next.after = message.id;
        add_rows(table, message);
        if (cli.json) all.messages.push_back(message);
    };
    auto done = [&](bool last) {
        if (last && cli.json) cli.print_json(api::to_json(all));
        if (last && !cli.json) fmt::print("{}", table.text());
    };
    return each_page<api::ListQueue, api::QueuedMessage>(cli, asked, &api::Queue::messages, step, done);
}

void show_queued(const api::ShowQueued&, const api::QueuedMessage& message) {
    fmt::print("id        {}\n", message.id);
    fmt::print("sender    {}\n", message.sender.empty() ? "<>" : message.sender);
    if (message.account) fmt::print("account   {}\n", *message.account);
    fmt::print("size      {}\n", message.octets);
    fmt::print("arrived   {}\n", message.arrived);
    if (message.finished) fmt::print("finished  {}\n", *message.finished);
    for (const auto& one : message.recipients) {
        fmt::print("{}\n  {}, tried {} times{}{}\n", one.address, one.state, one.attempts,
                   one.next_attempt ? ", next attempt " : "", one.next_attempt.value_or(""));
        if (!one.last_reply.empty()) fmt::print("  {}{}{}\n", one.host, one.host.empty() ? "" : ": ", one.last_reply);
    }
}

template <class Request>
void add_change(CLI::App* family, Cli& cli, const char* name, std::string_view done) {
    add_command<Request>(family, cli, name, [done](const Request&, const api::QueueChange& change) {
        fmt::print("{} {} messages, {} recipients\n", done, change.messages, change.recipients);
        if (change.busy > 0)
            fmt::print("{} recipients are being tried at this moment and were left alone\n", change.busy);
    });
}

}  // namespace

void add_queue_commands(CLI::App& app, Cli& cli) {
    auto* queue = app.add_subcommand("queue", "Mail that waits to leave");
    queue->require_subcommand(1);
    auto asked = std::make_shared<api::ListQueue>();
    auto* list = queue->add_subcommand("list", std::string(api::ListQueue::operation().request.words));
    add_options(list, cli, api::ListQueue::operation(), asked.get());
    list->callback([&cli, asked] { cli.action = [&cli, asked] { return list_queue(cli, *asked); }; });
    add_command<api::ShowQueued>(queue, cli, "show", show_queued);
    add_change<api::RetryQueue>(queue, cli, "retry", "trying");
    add_change<api::HoldQueued>(queue, cli, "hold", "holding");
    add_change<api::ReleaseQueued>(queue, cli, "release", "released");
    add_change<api::RemoveQueued>(queue, cli, "remove", "removed");
}

}  // namespace poplar::cli
