// poplar mail, poplar deliver
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "api/messages.h"
#include "base/units.h"
#include "cli/program.h"
#include "cli/table.h"

namespace poplar::cli {

namespace {

constexpr std::size_t kPage = 200;

std::string shorten(std::string text, std::size_t most) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((text[i] & 0xc0) == 0x80) continue;
        if (++characters > most) return text.substr(0, i) + "…";
    }
    return text;
}

std::string subject_of(const api::Message& message) {
    if (message.error) return fmt::format("(can't be read: {})", *message.error);
    return shorten(message.subject.value_or(""), 50);
}

std::string sender_of(const api::Message& message) { return shorten(message.from.value_or(""), 30); }

int list_mail(const Cli& cli, api::ListMessages asked) {
    asked.limit = kPage;
    auto all = api::Json::array();
    std::size_t number = 0;
    const std::vector<Table::Column> columns = {
        {"NR", Table::Align::right}, {"UNIQUE-ID"}, {"SIZE", Table::Align::right}, {"RECEIVED"}, {"FROM"}, {"SUBJECT"}};
    Table table(columns);
    auto step = [&](api::ListMessages& next, const api::Message& message) {
        next.after = message.order;
        ++number;
        if (cli.json) {
            all.push_back(api::to_json(message));
            all.back()["number"] = number;
        } else {
            table.add({std::to_string(number), message.unique_id, std::to_string(message.octets), message.received,
                       sender_of(message), subject_of(message)});
        }
    };
    auto done = [&](bool last) {
        if (cli.json && last) cli.print_json({{"messages", all}});
        if (!cli.json && (!table.empty() || number == 0)) fmt::print("{}", table.text());
        table = Table(columns);
    };
    return each_page<api::ListMessages, api::Message>(cli, asked, &api::MessageList::messages, step, done);
}

Table deleted_table(const std::vector<api::Message>& messages) {
    Table table(
        {{"UNIQUE-ID"}, {"SIZE", Table::Align::right}, {"DELETED"}, {"KEPT UNTIL"}, {"BY"}, {"FROM"}, {"SUBJECT"}});
    for (const auto& message : messages)
        table.add({message.unique_id, std::to_string(message.octets), message.deleted.value_or(""),
                   message.expires.value_or(""), message.deleted_by.value_or(""), sender_of(message),
                   subject_of(message)});
    return table;
}

int list_deleted(const Cli& cli, api::ListRetained asked) {
    asked.limit = kPage;
    api::MessageList all;
    auto step = [&](api::ListRetained& next, const api::Message& message) {
        ++next.offset;
        all.messages.push_back(message);
    };
    auto done = [&](bool last) {
        if (!last) return;
        if (cli.json)
            cli.print_json(api::to_json(all));
        else
            fmt::print("{}", deleted_table(all.messages).text());
    };
    return each_page<api::ListRetained, api::Message>(cli, asked, &api::MessageList::messages, step, done);
}

// The unique-id of message number `text` of the list. Empty: no number, or no such message.
std::string id_of_number(Client& server, const std::string& address, const std::string& text) {
    if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) return {};
    std::size_t wanted = std::stoul(text), seen = 0;
    api::ListMessages asked;
    asked.address = address;
    asked.limit = 10'000;
    asked.headers = false;
    for (;;) {
        auto page = server.call(asked);
        if (!page || wanted == 0) return {};
        const auto& messages = page->messages;
        if (wanted <= seen + messages.size()) return messages[wanted - seen - 1].unique_id;
        if (messages.size() < asked.limit) return {};
        seen += messages.size();
        asked.after = messages.back().order;
    }
}

int show_mail(const Cli& cli, const api::FetchMessage& asked) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto out = [](std::string_view bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); };
    auto show = [&](const std::string& id) -> CallResult<> {
        if (!cli.json) return server->download(api::FetchMessage{asked.address, id}, out);
        auto described = server->call(api::ShowMessage{asked.address, id});
        if (!described) return std::unexpected(std::move(described.error()));
        cli.print_json(api::to_json(*described));
        return {};
    };
    auto shown = show(asked.id);
    if (!shown && shown.error().code == "not_found")
        if (auto id = id_of_number(*server, asked.address, asked.id); !id.empty()) shown = show(id);
    return shown ? 0 : complain(shown.error());
}

int deliver(const Cli& cli, const api::Deliver& asked) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto source = [](char* buffer, std::size_t size) -> std::ptrdiff_t {
        for (;;) {
            auto got = ::read(STDIN_FILENO, buffer, size);
            if (got >= 0 || errno != EINTR) return got;
        }
    };
    auto reply = server->upload(asked, source);
    if (!reply) return complain(reply.error());
    if (cli.json)
        cli.print_json(api::to_json(*reply));
    else
        fmt::print("delivered {} octets to {}\n", reply->octets, asked.recipient);
    return 0;
}

int show_deleted(const Cli& cli, api::FetchRetained asked) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto out = [](std::string_view bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); };
    auto shown = server->download(asked, out);
    return shown ? 0 : complain(shown.error());
}

void show_restored(const api::RestoreMessages& asked, const api::Restoration& all) {
    if (asked.dry_run) {
        fmt::print("{}", deleted_table(all.messages).text());
        fmt::print("{} messages, {}, would be restored\n", all.restored, human_size(all.octets));
    } else {
        fmt::print("restored {} messages\n", all.restored);
    }
    if (all.already != 0) fmt::print("{} are not deleted, or back already\n", all.already);
}

int restore(const Cli& cli, const api::RestoreMessages& asked) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    api::Restoration all;
    for (bool more = true; more;) {
        auto some = server->call(asked);
        if (!some) return complain(some.error());
        more = some->more && some->restored != 0;
        all.restored += some->restored;
        all.octets += some->octets;
        all.already = some->already;
        all.missing = std::move(some->missing);
        all.messages = std::move(some->messages);
    }
    if (cli.json)
        cli.print_json(api::to_json(all));
    else
        show_restored(asked, all);
    for (const auto& id : all.missing)
        complain(fmt::format("no message {}: it was never there, or is gone for good", id));
    return all.missing.empty() ? 0 : 1;
}

void add_restore_command(CLI::App* mail, Cli& cli) {
    auto asked = std::make_shared<api::RestoreMessages>();
    auto* command = mail->add_subcommand("restore", std::string(api::RestoreMessages::operation().request.words));
    add_options(command, cli, api::RestoreMessages::operation(), asked.get());
    command->get_option("ID")->required(false);
    command->callback([&cli, asked] { cli.action = [&cli, asked] { return restore(cli, *asked); }; });
}

// Adds a command that does more than call() does: its reply has pages, or is octets.
template <class Request>
void add(CLI::App* family, Cli& cli, const char* name, int (*run)(const Cli&, Request)) {
    auto request = std::make_shared<Request>();
    auto* command = family->add_subcommand(name, std::string(Request::operation().request.words));
    add_options(command, cli, Request::operation(), request.get());
    command->callback([&cli, request, run] { cli.action = [&cli, request, run] { return run(cli, *request); }; });
}

}  // namespace

CLI::App* add_mail_commands(CLI::App& app, Cli& cli) {
    auto* mail = app.add_subcommand("mail", "Look at an account's mail; bring back what was deleted");
    mail->require_subcommand(1);
    add<api::ListMessages>(mail, cli, "list", list_mail);
    add<api::FetchMessage>(mail, cli, "show",
                           [](const Cli& c, api::FetchMessage asked) { return show_mail(c, asked); });
    add<api::ListRetained>(mail, cli, "deleted", list_deleted);
    add<api::FetchRetained>(mail, cli, "show-deleted", show_deleted);
    add_restore_command(mail, cli);
    add_command<api::RemoveMessage>(mail, cli, "remove", [](const api::RemoveMessage&, const api::Removal& removal) {
        fmt::print("deleted {}\n", removal.removed);
    });
    add_command<api::LearnMessage>(mail, cli, "learn", [](const api::LearnMessage&, const api::Learned& learned) {
        fmt::print("learned {} as {}\n", learned.id, learned.kind);
    });
    add<api::Deliver>(&app, cli, "deliver", [](const Cli& c, api::Deliver asked) { return deliver(c, asked); });
    return mail;
}

}  // namespace poplar::cli
