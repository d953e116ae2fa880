// poplar sieve test: the interpreter with answers from files and options in place of a server's.
#include "cli/sieve_test.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>

#include "api/json.h"
#include "base/ascii.h"
#include "base/version.h"
#include "cli/program.h"
#include "mail/address_list.h"
#include "sieve/dates.h"
#include "sieve/message.h"
#include "sieve/run.h"

namespace poplar::cli {

namespace {

using sieve::Action;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

struct TestOptions {
    std::string script, message, now, include_dir, seen, fixture;
    std::optional<std::string> from, to, original_to, auth;
    std::vector<std::string> mailboxes;
    std::optional<unsigned> spam_percent;
    bool explain = false;
};

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return std::nullopt;
    std::ostringstream out;
    out << in.rdbuf();
    if (in.bad()) return std::nullopt;
    return std::move(out).str();
}

/// The answers that options and files give.
class FileWorld final : public sieve::World {
public:
    struct KnownMailbox {
        std::string name, id, use;
    };
    std::vector<KnownMailbox> known;
    std::map<std::string, std::string> server_annotations;
    std::map<std::pair<std::string, std::string>, std::string> annotations;
    std::map<std::string, std::vector<std::string>> lists;
    std::map<std::string, std::int64_t> seen;  // when each is forgotten, in milliseconds
    std::int64_t now = 0;
    std::string folder;
    sieve::Options options;

    bool has_mailbox(std::string_view name) override {
        return ascii::same(name, "INBOX") || std::ranges::find(known, name, &KnownMailbox::name) != known.end();
    }
    std::vector<std::string> mailboxes_for(std::string_view use) override {
        std::vector<std::string> out;
        for (const auto& one : known)
            if (!one.use.empty() && ascii::same(one.use, use)) out.push_back(one.name);
        return out;
    }
    std::optional<std::string> mailbox_by_id(std::string_view id) override {
        const auto found = std::ranges::find(known, id, &KnownMailbox::id);
        if (id.empty() || found == known.end()) return std::nullopt;
        return found->name;
    }
    std::optional<std::string> metadata(std::string_view mailbox, std::string_view annotation) override {
        const auto found = annotations.find({std::string(mailbox), std::string(annotation)});
        if (found == annotations.end()) return std::nullopt;
        return found->second;
    }
    std::optional<std::string> server_metadata(std::string_view annotation) override {
        const auto found = server_annotations.find(std::string(annotation));
        if (found == server_annotations.end()) return std::nullopt;
        return found->second;
    }
    std::optional<std::vector<std::string>> list(std::string_view name) override {
        const auto found = lists.find(std::string(name));
        if (found != lists.end()) return found->second;
        constexpr std::string_view kPrefix = "urn:ietf:params:sieve:";
        if (name.starts_with(kPrefix))
            if (const auto shorter = lists.find(":" + std::string(name.substr(kPrefix.size()))); shorter != lists.end())
                return shorter->second;
        return std::nullopt;
    }
    Included script(sieve::ScriptPlace place, std::string_view name) override {
        if (folder.empty() || name == "." || name == "..") return {};
        const std::string inner = place == sieve::ScriptPlace::global ? "global" : "personal";
        for (const auto& path : {fmt::format("{}/{}/{}", folder, inner, name), fmt::format("{}/{}", folder, name)})
            for (const auto* ending : {"", ".sieve"}) {
                const auto text = read_file(path + ending);
                if (!text) continue;
                auto compiled = sieve::compile(*text, options);
                if (compiled.script) return {std::move(compiled.script), {}};
                const auto& first = compiled.errors.front();
                return {nullptr, fmt::format("line {}, column {}: {}", first.at.line, first.at.column, first.message)};
            }
        return {};
    }
    bool remembers(std::string_view key) override {
        const auto found = seen.find(std::string(key));
        return found != seen.end() && found->second > now;
    }
};

/// "" or what is wrong with the file.
std::string read_fixture(const std::string& path, FileWorld& world) {
    const auto text = read_file(path);
    if (!text) return fmt::format("{} can't be read", path);
    const auto json = api::Json::parse(*text, nullptr, false);
    if (!json.is_object()) return fmt::format("{} is no JSON object", path);
    const auto text_of = [](const api::Json& value) {
        return value.is_string() ? value.get<std::string>() : value.dump();
    };
    const auto mailboxes = json.value("mailboxes", api::Json::array());
    for (const auto& one : mailboxes) {
        if (one.is_string()) {
            world.known.push_back({one.get<std::string>(), {}, {}});
            continue;
        }
        if (!one.is_object() || !one.contains("name")) return fmt::format("{}: a mailbox has a name", path);
        const auto id = one.find("id"), use = one.find("special_use");
        std::vector<std::string> uses;
        if (use != one.end() && use->is_string()) uses.push_back(use->get<std::string>());
        if (use != one.end() && use->is_array())
            for (const auto& each : *use) uses.push_back(text_of(each));
        if (uses.empty()) uses.emplace_back();
        for (auto& each : uses) {
            if (!each.empty() && !each.starts_with('\\')) each.insert(0, "\\");
            world.known.push_back({text_of(one["name"]), id == one.end() || id->is_null() ? "" : text_of(*id), each});
        }
    }
    const auto none = api::Json::object();
    const auto metadata = json.value("metadata", none), of_server = json.value("server_metadata", none),
               lists = json.value("lists", none);
    for (const auto& [mailbox, entries] : metadata.items())
        if (entries.is_object())
            for (const auto& [name, value] : entries.items())
                if (!value.is_null()) world.annotations[{mailbox, name}] = text_of(value);
    for (const auto& [name, value] : of_server.items())
        if (!value.is_null()) world.server_annotations[name] = text_of(value);
    for (const auto& [name, members] : lists.items()) {
        auto& list = world.lists[name];
        if (members.is_array())
            for (const auto& one : members) list.push_back(text_of(one));
    }
    return {};
}

std::string read_seen(const std::string& path, FileWorld& world) {
    const auto text = read_file(path);
    if (!text || text->empty()) return {};  // the first run
    const auto json = api::Json::parse(*text, nullptr, false);
    if (!json.is_object()) return fmt::format("{} is no memory of an earlier run", path);
    for (const auto& [key, until] : json.items())
        if (until.is_number_integer()) world.seen[key] = until.get<std::int64_t>();
    return {};
}

std::string write_seen(const std::string& path, const FileWorld& world) {
    api::Json json = api::Json::object();
    for (const auto& [key, until] : world.seen) json[key] = until;
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    out << api::dump(json, 2) << '\n';
    out.flush();
    return out ? std::string() : fmt::format("{} can't be written", path);
}

std::string first_address(const std::vector<sieve::Field>& fields, std::string_view name) {
    for (const auto& field : fields)
        if (ascii::same(field.name, name))
            for (const auto& one : mail::parse_address_list(field.unfolded()))
                if (one.valid) return one.local + "@" + one.domain;
    return {};
}

std::string_view name_of(Action::Kind kind) {
    switch (kind) {
        case Action::Kind::keep: return "keep";
        case Action::Kind::fileinto: return "fileinto";
        case Action::Kind::redirect: return "redirect";
        case Action::Kind::discard: return "discard";
        case Action::Kind::reject: return "reject";
        case Action::Kind::ereject: return "ereject";
        case Action::Kind::vacation: return "vacation";
        case Action::Kind::notify: return "notify";
    }
    return "";
}

void describe_filing(api::Json& out, const sieve::Filing& filing) {
    out["flags"] = filing.flags;
    out["create"] = filing.create;
    if (!filing.special_use.empty()) out["special_use"] = filing.special_use;
}

/// A mail that the script sends by itself.
void describe_mail(api::Json& out, const Action& action) {
    out["from"] = action.from;
    out["text"] = action.text;
    out["message"] = action.message;
    out["envelope_from"] = action.envelope_from;
}

api::Json described(const Action& action, std::string_view original) {
    api::Json out{{"action", name_of(action.kind)}};
    using Kind = Action::Kind;
    switch (action.kind) {
        case Kind::keep:
        case Kind::fileinto:
            if (action.kind == Kind::fileinto) {
                out["mailbox"] = action.filing.mailbox;
                out["copy"] = action.copy;
            }
            describe_filing(out, action.filing);
            if (action.state.changed()) out["message"] = action.state.text(original);
            break;
        case Kind::redirect:
            out["address"] = action.address;
            out["copy"] = action.copy;
            out["message"] = action.state.text(original);
            out["envelope_from"] = action.envelope_from;
            if (!action.dsn_notify.empty()) out["notify"] = action.dsn_notify;
            if (!action.dsn_ret.empty()) out["ret"] = action.dsn_ret;
            if (action.by_seconds) {
                out["by_seconds"] = *action.by_seconds;
                out["by_mode"] = action.by_mode.empty() ? "return" : action.by_mode;
                out["by_trace"] = action.by_trace;
            }
            break;
        case Kind::discard: break;
        case Kind::reject:
        case Kind::ereject:
            out["text"] = action.text;
            if (!action.message.empty()) {
                out["message"] = action.message;
                out["envelope_from"] = action.envelope_from;
            }
            break;
        case Kind::vacation:
            out["address"] = action.address;
            out["subject"] = action.subject;
            describe_mail(out, action);
            break;
        case Kind::notify:
            out["method"] = action.method;
            out["importance"] = action.importance;
            out["options"] = action.options;
            out["addresses"] = action.recipients;
            describe_mail(out, action);
            break;
    }
    if (action.fcc) {
        out["fcc"] = action.fcc->mailbox;
        describe_filing(out, *action.fcc);
    }
    return out;
}

api::Json described(const std::vector<sieve::Problem>& problems) {
    auto out = api::Json::array();
    for (const auto& one : problems)
        out.push_back({{"line", one.at.line}, {"column", one.at.column}, {"message", one.message}});
    return out;
}

std::string for_people(const Action& action) {
    std::string out(name_of(action.kind));
    if (action.kind == Action::Kind::fileinto) out += " \"" + action.filing.mailbox + "\"";
    if (!action.address.empty()) out += " " + action.address;
    if (!action.method.empty()) out += " " + action.method;
    for (const auto& flag : action.filing.flags) out += " " + flag;
    if (!action.text.empty()) out += ": " + action.text.substr(0, action.text.find_first_of("\r\n"));
    return out;
}

int show_errors(const Cli& cli, const std::vector<sieve::Problem>& errors) {
    if (cli.json)
        cli.print_json({{"actions", api::Json::array()},
                        {"implicit_keep", true},
                        {"errors", described(errors)},
                        {"message_changed", false}});
    else
        for (const auto& one : errors)
            complain(fmt::format("line {}, column {}: {}", one.at.line, one.at.column, one.message));
    return 1;
}

void show(const Cli& cli, const sieve::Outcome& outcome, std::string_view original,
          const std::vector<sieve::Problem>& warnings) {
    if (!cli.json) {
        for (const auto& one : warnings)
            complain(fmt::format("warning: line {}, column {}: {}", one.at.line, one.at.column, one.message));
        for (const auto& line : outcome.trace) fmt::print("{}\n", line);
        for (const auto& action : outcome.actions) fmt::print("{}\n", for_people(action));
        if (outcome.implicit_keep) fmt::print("keep (because nothing else cancels it)\n");
        if (outcome.error)
            fmt::print("error at line {}, column {}: {}\n", outcome.error->at.line, outcome.error->at.column,
                       outcome.error->message);
        return;
    }
    auto actions = api::Json::array();
    for (const auto& action : outcome.actions) actions.push_back(described(action, original));
    api::Json out{{"actions", std::move(actions)},
                  {"implicit_keep", outcome.implicit_keep},
                  {"errors", api::Json::array()},
                  {"message_changed", outcome.message_changed}};
    if (outcome.implicit_keep) {
        out["implicit_flags"] = outcome.implicit.flags;
        if (outcome.implicit_state.changed()) out["implicit_message"] = outcome.implicit_state.text(original);
    }
    if (outcome.error) {
        out["error"] = outcome.error->message;
        out["error_at"] = {{"line", outcome.error->at.line}, {"column", outcome.error->at.column}};
    }
    if (!outcome.trace.empty()) out["trace"] = outcome.trace;
    if (!warnings.empty()) out["warnings"] = described(warnings);
    cli.print_json(out);
}

int test_script(const Cli& cli, const TestOptions& asked) {
    const auto script = read_file(asked.script);
    if (!script) return complain(fmt::format("{} can't be read", asked.script), 2);
    FileWorld world;
    auto compiled = sieve::compile(*script, world.options);
    if (!compiled.script) return show_errors(cli, compiled.errors);
    std::string message;
    if (!asked.message.empty()) {
        const auto octets = read_file(asked.message);
        if (!octets) return complain(fmt::format("{} can't be read", asked.message), 2);
        message = sieve::with_crlf(*octets);
    }
    sieve::Job job;
    job.script = compiled.script;
    job.message = message;
    job.message_octets = message.size();
    job.explain = asked.explain;
    const auto fields = sieve::read_fields(message);
    job.envelope.from = asked.from ? *asked.from : first_address(fields, "return-path");
    if (!asked.from && job.envelope.from.empty()) job.envelope.from = first_address(fields, "from");
    job.envelope.to = asked.to ? *asked.to : first_address(fields, "delivered-to");
    if (!asked.to && job.envelope.to.empty()) job.envelope.to = first_address(fields, "to");
    job.envelope.original_to = asked.original_to;
    job.envelope.auth = asked.auth;
    auto& environment = job.environment;
    environment.version = version();
    environment.host = "localhost";
    const auto at = job.envelope.to.rfind('@');
    environment.domain = at == std::string::npos ? "localhost" : job.envelope.to.substr(at + 1);
    if (!job.envelope.to.empty()) environment.addresses = {job.envelope.to};
    environment.spam_percent = asked.spam_percent;
    environment.now = system_clock().now();
    if (!asked.now.empty()) {
        const auto now = sieve::parse_iso8601(asked.now);
        if (!now) return complain(fmt::format("--now {}: no time of RFC 3339, as 2026-12-20T10:00:00Z", asked.now), 2);
        environment.now = now->time;
    }
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(environment.now).time_since_epoch().count();
    std::tm local{};
    if (localtime_r(&seconds, &local)) environment.zone = std::chrono::minutes(local.tm_gmtoff / 60);

    world.now = environment.now.time_since_epoch().count();
    world.folder = asked.include_dir;
    for (const auto& name : asked.mailboxes) world.known.push_back({name, {}, {}});
    if (!asked.fixture.empty())
        if (auto wrong = read_fixture(asked.fixture, world); !wrong.empty()) return complain(wrong, 2);
    if (!asked.seen.empty())
        if (auto wrong = read_seen(asked.seen, world); !wrong.empty()) return complain(wrong, 2);

    const auto outcome = sieve::run(job, world, world.options);
    if (!asked.seen.empty() && !outcome.error) {
        for (const auto& memory : outcome.memories)
            if (memory.renew || !world.remembers(memory.key))
                world.seen[memory.key] = world.now + duration_cast<milliseconds>(memory.lasts).count();
        if (auto wrong = write_seen(asked.seen, world); !wrong.empty()) return complain(wrong);
    }
    show(cli, outcome, message, compiled.warnings);
    return 0;
}

}  // namespace

void add_sieve_test_command(CLI::App& family, Cli& cli) {
    auto asked = std::make_shared<TestOptions>();
    auto* command =
        family.add_subcommand("test", "Run a script over a message, without a server, and tell what would be done");
    command->add_option("SCRIPT", asked->script, "The file with the script")->required();
    command->add_option("--message", asked->message, "The file with the message")->type_name("FILE");
    // By functions, because an optional takes an empty text for none, and '' is the null sender.
    const auto add_address = [&](const char* name, std::optional<std::string>& address, const char* words) {
        command
            ->add_option_function<std::string>(
                name, [asked, &address](const std::string& text) { address = text; }, words)
            ->type_name("ADDRESS");
    };
    add_address("--from", asked->from,
                "The envelope's sender; '' is the null sender. Else as Return-Path or From has it");
    add_address("--to", asked->to, "The envelope's recipient, whose script it is. Else as Delivered-To or To has it");
    add_address("--orig-to", asked->original_to, "The recipient before aliases were resolved");
    add_address("--auth", asked->auth, "The address that the sender had logged in by");
    command->add_option("--mailboxes", asked->mailboxes, "Mailboxes that there are, beside INBOX")
        ->delimiter(',')
        ->type_name("NAMES");
    command->add_option("--now", asked->now, "The time that all clocks show, as 2026-12-20T10:00:00Z")
        ->type_name("RFC3339");
    command
        ->add_option_function<unsigned>(
            "--spam-score", [asked](unsigned percent) { asked->spam_percent = percent; },
            "How surely the message is spam, in percent")
        ->type_name("N");
    command
        ->add_option("--include-dir", asked->include_dir,
                     "The folder of scripts that `include` finds: NAME or NAME.sieve, in it or in its folders personal "
                     "and global")
        ->type_name("DIR");
    command
        ->add_option("--seen", asked->seen, "The file that remembers answered senders and duplicates from run to run")
        ->type_name("FILE");
    command
        ->add_option("--fixture", asked->fixture,
                     "JSON: {\"mailboxes\":[{\"name\",\"id\",\"special_use\"}],\"metadata\":{MAILBOX:{NAME:VALUE}},"
                     "\"server_metadata\":{NAME:VALUE},\"lists\":{NAME:[MEMBER]}}")
        ->type_name("FILE");
    command->add_flag("--explain", asked->explain,
                      "Tell of each test whether it was true and why, and of each command that ran");
    command->callback([&cli, asked] { cli.action = [&cli, asked] { return test_script(cli, *asked); }; });
}

}  // namespace poplar::cli
