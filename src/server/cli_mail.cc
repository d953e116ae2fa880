// poplar mail, poplar deliver
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/units.h"
#include "http/target.h"
#include "server/admin_api.h"
#include "server/cli.h"

namespace poplar::server {

namespace {

constexpr std::size_t kPage = 200;

struct MailOptions {
    std::string address, id, sender;
    bool no_headers = false;
};

std::string shorten(std::string text, std::size_t most) {
    std::size_t characters = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if ((text[i] & 0xc0) == 0x80) continue;
        if (++characters > most) return text.substr(0, i) + "…";
    }
    return text;
}

std::string subject_of(const Json& message) {
    if (message.contains("error")) return fmt::format("(can't be read: {})", message.value("error", ""));
    return shorten(message.value("subject", ""), 50);
}

// Walks all pages of `target` ("...?x=y"); `step` takes a message and returns the parameter of the next page.
int each_page(const Cli& cli, const std::string& target, const std::function<std::string(const Json&)>& step,
              const std::function<void(bool last)>& page_done) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    std::string next;
    for (;;) {
        auto page = server->call("GET", fmt::format("{}?limit={}{}", target, kPage, next));
        if (!page) return complain(page.error());
        const auto& messages = (*page)["messages"];
        for (const auto& message : messages) next = step(message);
        bool last = messages.size() < kPage;
        page_done(last);
        if (last) return 0;
    }
}

int list_mail(const Cli& cli, const MailOptions& o) {
    auto all = Json::array();
    std::size_t number = 0;
    const std::vector<Table::Column> columns = {
        {"NR", Table::Align::right}, {"UNIQUE-ID"}, {"SIZE", Table::Align::right}, {"RECEIVED"}, {"FROM"}, {"SUBJECT"}};
    Table table(columns);
    auto step = [&](const Json& message) {
        ++number;
        if (cli.json) {
            all.push_back(message);
            all.back()["number"] = number;
        } else {
            table.add({std::to_string(number), message.value("unique_id", ""),
                       std::to_string(message.value("octets", 0ull)), message.value("received", ""),
                       shorten(message.value("from", ""), 30), subject_of(message)});
        }
        return fmt::format("&after={}", message.value("order", 0ull));
    };
    auto done = [&](bool last) {
        if (cli.json && last) cli.print_json({{"messages", all}});
        if (!cli.json && (!table.empty() || number == 0)) fmt::print("{}", table.text());
        table = Table(columns);
    };
    return each_page(cli, route({"accounts", o.address, "messages"}), step, done);
}

int list_deleted(const Cli& cli, const MailOptions& o) {
    auto all = Json::array();
    std::size_t count = 0;
    Table table(
        {{"UNIQUE-ID"}, {"SIZE", Table::Align::right}, {"DELETED"}, {"KEPT UNTIL"}, {"BY"}, {"FROM"}, {"SUBJECT"}});
    auto step = [&](const Json& message) {
        ++count;
        if (cli.json)
            all.push_back(message);
        else
            table.add({message.value("unique_id", ""), std::to_string(message.value("octets", 0ull)),
                       message.value("deleted", ""), message.value("expires", ""), message.value("reason", ""),
                       shorten(message.value("from", ""), 30), subject_of(message)});
        return fmt::format("&offset={}", count);
    };
    auto done = [&](bool last) {
        if (!last) return;
        if (cli.json)
            cli.print_json({{"messages", all}});
        else
            fmt::print("{}", table.text());
    };
    return each_page(cli, route({"accounts", o.address, "retained"}), step, done);
}

// The unique-id of message number `text` of the list. Empty: no number, or no such message.
std::string id_of_number(AdminClient& server, const std::string& address, const std::string& text) {
    if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) return {};
    std::size_t wanted = std::stoul(text), seen = 0;
    std::uint64_t after = 0;
    for (;;) {
        auto page = server.call(
            "GET", fmt::format("{}?headers=no&limit=10000&after={}", route({"accounts", address, "messages"}), after));
        if (!page || wanted == 0) return {};
        const auto& messages = (*page)["messages"];
        if (wanted <= seen + messages.size()) return messages[wanted - seen - 1].value("unique_id", "");
        if (messages.size() < 10'000) return {};
        seen += messages.size();
        after = messages.back().value("order", 0ull);
    }
}

int show_mail(const Cli& cli, const MailOptions& o) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto out = [](std::string_view bytes) { std::fwrite(bytes.data(), 1, bytes.size(), stdout); };
    auto show = [&](const std::string& id) -> CallResult<> {
        auto target = route({"accounts", o.address, "messages", id});
        if (!cli.json) return server->download("GET", target + "/content", out);
        auto described = server->call("GET", target);
        if (!described) return std::unexpected(std::move(described.error()));
        cli.print_json(*described);
        return {};
    };
    auto shown = show(o.id);
    if (!shown && shown.error().code == "not_found")
        if (auto id = id_of_number(*server, o.address, o.id); !id.empty()) shown = show(id);
    return shown ? 0 : complain(shown.error());
}

int deliver(const Cli& cli, const MailOptions& o) {
    auto server = cli.client();
    if (!server) return kExitConfig;
    auto source = [](char* buffer, std::size_t size) -> std::ptrdiff_t {
        for (;;) {
            auto got = ::read(STDIN_FILENO, buffer, size);
            if (got >= 0 || errno != EINTR) return got;
        }
    };
    auto target = fmt::format("/v1/deliver?recipient={}&sender={}", http::percent_encode(o.address),
                              http::percent_encode(o.sender));
    auto reply = server->upload("POST", target, source);
    if (!reply) return complain(reply.error());
    if (cli.json)
        cli.print_json(*reply);
    else
        fmt::print("delivered {} octets to {}\n", reply->value("octets", 0ull), o.address);
    return 0;
}

}  // namespace

void add_mail_commands(CLI::App& app, Cli& cli) {
    auto* mail = app.add_subcommand("mail", "Look at an account's mail; bring back what was deleted");
    mail->require_subcommand(1);
    auto o = std::make_shared<MailOptions>();
    auto command = [&](const char* name, const char* help) {
        auto* sub = mail->add_subcommand(name, help);
        sub->add_option("ADDRESS", o->address,
                        "The account, id:NUMBER for one that was removed, or postmaster for mail that is kept for "
                        "nobody named yet")
            ->required();
        return sub;
    };
    command("list", "List the messages of an account")->callback([&cli, o] {
        cli.action = [&cli, o] { return list_mail(cli, *o); };
    });
    auto* show = command("show", "Print one message as it was received");
    show->add_option("ID", o->id, "Its unique-id, or its number in the list")->required();
    show->callback([&cli, o] { cli.action = [&cli, o] { return show_mail(cli, *o); }; });
    command("deleted", "List deleted messages that are still kept")->callback([&cli, o] {
        cli.action = [&cli, o] { return list_deleted(cli, *o); };
    });
    auto* restore = command("restore", "Put a deleted message back where it was");
    restore->add_option("ID", o->id, "Its unique-id")->required();
    restore->callback([&cli, o] {
        cli.action = [&cli, o] {
            return cli.call("POST", route({"accounts", o->address, "retained", o->id, "restore"}), nullptr,
                            [&](const Json& reply) { fmt::print("restored {}\n", reply.value("unique_id", "")); });
        };
    });
    auto* remove = command("remove", "Delete a message; it is kept for storage.retention");
    remove->add_option("ID", o->id, "Its unique-id")->required();
    remove->callback([&cli, o] {
        cli.action = [&cli, o] {
            return cli.call("DELETE", route({"accounts", o->address, "messages", o->id}), nullptr,
                            [&](const Json&) { fmt::print("deleted {}\n", o->id); });
        };
    });

    auto* send = app.add_subcommand("deliver", "Deliver a message from standard input, the way LMTP would");
    send->add_option("ADDRESS", o->address, "The recipient")->required();
    send->add_option("--sender", o->sender, "The reverse-path; without it, the null one: <>")->type_name("ADDRESS");
    send->callback([&cli, o] { cli.action = [&cli, o] { return deliver(cli, *o); }; });
}

}  // namespace poplar::server
