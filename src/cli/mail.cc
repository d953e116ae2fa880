// poplar mail, poplar deliver
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "api/messages.h"
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

int list_deleted(const Cli& cli, api::ListRetained asked) {
    asked.limit = kPage;
    api::MessageList all;
    Table table(
        {{"UNIQUE-ID"}, {"SIZE", Table::Align::right}, {"DELETED"}, {"KEPT UNTIL"}, {"BY"}, {"FROM"}, {"SUBJECT"}});
    auto step = [&](api::ListRetained& next, const api::Message& message) {
        ++next.offset;
        if (cli.json)
            all.messages.push_back(message);
        else
            table.add({message.unique_id, std::to_string(message.octets), message.deleted.value_or(""),
                       message.expires.value_or(""), message.reason.value_or(""), sender_of(message),
                       subject_of(message)});
    };
    auto done = [&](bool last) {
        if (!last) return;
        if (cli.json)
            cli.print_json(api::to_json(all));
        else
            fmt::print("{}", table.text());
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

/// The request of `poplar mail restore`: one message, or all that was deleted in some time.
struct Restoring {
    api::RestoreMessages several;
    std::string id;
};

int restore(const Cli& cli, const Restoring& asked) {
    if (asked.id.empty() == asked.several.since.empty() || (!asked.id.empty() && asked.several.until))
        return complain("name one message, or give --since (and --until)", 2);
    if (!asked.id.empty())
        return cli.call<api::RestoreMessage>({asked.several.address, asked.id}, [](const api::Message& message) {
            fmt::print("restored {}\n", message.unique_id);
        });
    auto server = cli.client();
    if (!server) return kExitConfig;
    api::Restoration all;
    do {
        auto some = server->call(asked.several);
        if (!some) return complain(some.error());
        all.restored += some->restored;
        all.more = some->more && some->restored != 0;
    } while (all.more);
    if (cli.json)
        cli.print_json(api::to_json(all));
    else
        fmt::print("restored {} messages\n", all.restored);
    return 0;
}

void add_restore_command(CLI::App* mail, Cli& cli) {
    auto asked = std::make_shared<Restoring>();
    auto* command = mail->add_subcommand("restore", "Put deleted mail back where it was");
    command->add_option("ADDRESS", asked->several.address, "The account, id:NUMBER or postmaster")->required();
    command->add_option("ID", asked->id, "One message, by its unique-id");
    command
        ->add_option("--since", asked->several.since,
                     "All that was deleted since then: a time like 2026-11-22T03:05:09Z, or 7d for the last 7 days")
        ->type_name("TIME");
    command->add_option("--until", asked->several.until, "And not later than then; now if it is not said")
        ->type_name("TIME");
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
    add_restore_command(mail, cli);
    add_command<api::RemoveMessage>(mail, cli, "remove", [](const api::RemoveMessage&, const api::Removal& removal) {
        fmt::print("deleted {}\n", removal.removed);
    });
    add<api::Deliver>(&app, cli, "deliver", [](const Cli& c, api::Deliver asked) { return deliver(c, asked); });
    return mail;
}

}  // namespace poplar::cli
