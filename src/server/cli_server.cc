// poplar serve, check-config, status, verify, rebuild, version
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "base/printable.h"
#include "base/units.h"
#include "base/version.h"
#include "server/admin_api.h"
#include "server/cli.h"
#include "server/privileges.h"
#include "server/server.h"
#include "upkeep/verify.h"

namespace poplar::server {

namespace {

int check_config(const Cli& cli, bool show) {
    auto config = load_config(cli.config_path());
    Findings found = config ? check_environment(*config) : Findings{config.error().lines, {}};
    const auto& wrong = found.errors;
    if (cli.json) {
        Json out{{"file", cli.config_path()}, {"errors", wrong}, {"warnings", found.warnings}};
        if (config && show)
            for (const auto& key : config_keys()) out["values"][key.name] = key.show(*config);
        cli.print_json(out);
        return wrong.empty() ? 0 : kExitConfig;
    }
    for (const auto& line : found.warnings) complain("warning: " + line);
    for (const auto& line : wrong) complain(line);
    if (!wrong.empty()) return kExitConfig;
    if (show)
        for (const auto& key : config_keys()) fmt::print("{} = {}\n", key.name, key.show(*config));
    else
        fmt::print("{}: ok\n", cli.config_path());
    return 0;
}

// "FILE at OFFSET: account A message M: what"
std::string damage_sentence(const Json& e) {
    std::string text;
    if (e.contains("file")) text += fmt::format("{} at {}: ", e.value("file", ""), e.value("offset", 0ull));
    std::string whose;
    if (e.contains("account"))
        whose += fmt::format("account {} ", e.value("account", ""));
    else if (e.contains("partition"))
        whose += fmt::format("partition {} ", e.value("partition", 0ull));
    if (e.contains("message")) whose += fmt::format("message {} ", e.value("message", ""));
    if (e.contains("body")) whose += fmt::format("body {} ", e.value("body", 0ull));
    if (!whose.empty()) {
        whose.back() = ':';
        text += whose + " ";
    }
    return text + e.value("what", "");
}

void show_status(const Json& s) {
    const auto& storage = s["storage"];
    const auto& directory = s["directory"];
    auto number = [](const Json& from, const char* name) { return from.value(name, 0ull); };
    fmt::print("Poplar {} at {}, process {}, up {}{}\n", s.value("version", ""), s.value("hostname", ""),
               number(s, "pid"), human_duration(std::chrono::seconds(s.value("uptime_seconds", 0))),
               s.value("stopping", false) ? ", stopping" : "");
    for (const auto& one : s["listening"])
        fmt::print("  {:<6} {}\n", one.value("protocol", ""), one.value("address", ""));
    if (s["certificate_expires"].is_string())
        fmt::print("certificate   valid until {}\n", s.value("certificate_expires", ""));
    fmt::print("accounts      {} in {} domains, {} aliases\n", number(directory, "accounts"),
               number(directory, "domains"), number(directory, "aliases"));
    const auto& postmaster = s["postmaster"];
    auto kept = number(postmaster, "kept_messages");
    if (!postmaster.value("named", true))
        fmt::print(
            "postmaster    nobody: its mail is kept, {} messages (poplar mail list postmaster),\n"
            "              until there is one: poplar alias add postmaster@DOMAIN ADDRESS\n",
            kept);
    else if (kept > 0)
        fmt::print("postmaster    {} messages were kept while it was nobody: poplar mail list postmaster\n", kept);
    fmt::print("connections   ");
    std::string separator;
    for (const auto& [name, count] : s["connections"]["by_protocol"].items()) {
        fmt::print("{}{} {} now, {} in all", separator, name, number(count, "live"), number(count, "total"));
        separator = "; ";
    }
    auto refused = number(s["connections"], "refused_total_limit") + number(s["connections"], "refused_peer_limit");
    fmt::print("\n");
    if (refused > 0) fmt::print("refused       {} connections over a limit\n", refused);
    fmt::print("storage       {}: {} in {} segments, index {}, {} free\n", storage.value("state", ""),
               human_size(number(storage, "log_octets")), number(storage, "segments"),
               human_size(number(storage, "index_octets")), human_size(number(storage, "free_octets")));
    auto used = number(storage, "used_octets"), live = number(storage, "live_octets");
    fmt::print("space         {} of the log's {} count ({:.2f}), {} in large files\n", human_size(live),
               human_size(used), live == 0 ? 1.0 : static_cast<double>(used) / static_cast<double>(live),
               human_size(number(storage, "large_octets")));
    const auto& copying = storage["copying"];
    fmt::print("copying       {}; {} copied, {} freed in {} runs since start\n", copying.value("state", ""),
               human_size(number(copying, "copied_octets")), human_size(number(copying, "freed_octets")),
               number(copying, "copies"));
    fmt::print("commits       {} in {} groups since start\n", number(storage, "commits"), number(storage, "groups"));
    const auto& clock = s["clock"];
    if (clock.value("doubted", false)) {
        auto end = clock["believed_at"].is_string()
                       ? fmt::format(", or by itself at {}", clock.value("believed_at", ""))
                       : std::string();
        fmt::print(
            "CLOCK         {} where about {} was expected: nothing is forgotten until it is right again{}.\n"
            "              If it is right: poplar clock confirm\n",
            clock.value("time", ""), clock.value("expected", ""), end);
    }
    const auto& scrub = s["scrub"];
    auto when = [&](const char* name) {
        return scrub[name].is_string() ? scrub.value(name, "") : std::string("never");
    };
    fmt::print("scrubbing     {}; last ended {}, {} damaged\n",
               scrub.value("under_way", false)
                   ? fmt::format("since {}, {} bodies, {} read", when("begun"), number(scrub, "bodies"),
                                 human_size(number(scrub, "octets")))
                   : std::string("resting"),
               when("ended"), number(scrub, "damaged"));
    if (auto failure = scrub.value("failure", ""); !failure.empty()) fmt::print("              {}\n", failure);
    for (const auto& one : scrub["damage"]) fmt::print("DAMAGED       {}\n", with_hidden_shown(damage_sentence(one)));
    for (const auto& one : storage["damage_found_at_start"])
        fmt::print("DAMAGED       {} at {}: {}\n", one.value("file", ""), number(one, "offset"), one.value("what", ""));
}

// Prints the findings of a verification, from the server or our own.
class VerifyPrinter {
public:
    explicit VerifyPrinter(bool json) : json_(json), progress_(!json && isatty(STDERR_FILENO)) {}

    void event(const Json& e) {
        auto type = e.value("type", "");
        if (json_) {
            fmt::print("{}\n", with_hidden_shown(dump(e)));
            std::fflush(stdout);
        } else if (type == "damage") {
            clear_progress();
            fmt::print("damaged: {}\n", with_hidden_shown(damage_sentence(e)));
        } else if (type == "progress" && progress_) {
            fmt::print(stderr, "\r{} segments, {} records, {} bodies, {} read", e.value("segments", 0ull),
                       e.value("records", 0ull), e.value("bodies", 0ull), human_size(e.value("octets", 0ull)));
            std::fflush(stderr);
            shown_ = true;
        } else if (type == "done") {
            clear_progress();
            fmt::print("checked {} segments, {} records, {} bodies ({}), {} accounts: {}\n", e.value("segments", 0ull),
                       e.value("records", 0ull), e.value("bodies", 0ull), human_size(e.value("octets", 0ull)),
                       e.value("accounts", 0ull),
                       e.value("damaged", 0ull) == 0 ? std::string("no damage")
                                                     : fmt::format("{} damaged", e.value("damaged", 0ull)));
        }
        if (type == "damage") damaged_ = true;
        if (type == "done") done_ = true;
    }
    int exit_code() const { return damaged_ || !done_ ? 1 : 0; }

private:
    void clear_progress() {
        if (shown_) fmt::print(stderr, "\r{:<79}\r", "");
        shown_ = false;
    }
    bool json_, progress_, shown_ = false, damaged_ = false, done_ = false;
};

class Printer final : public upkeep::VerifyListener {
public:
    explicit Printer(VerifyPrinter& printer) : printer_(printer) {}
    Task<Result<>> damaged(upkeep::NamedDamage damage) override {
        printer_.event(json_damage(damage));
        co_return Result<>();
    }
    Task<Result<>> progress(engine::VerifyTotals totals) override {
        printer_.event(json_progress(totals));
        co_return Result<>();
    }

private:
    VerifyPrinter& printer_;
};

// Files of root would lock the server out, and root must follow no link that the files' owner has put there.
Result<> become_owner(const Config& config) {
    umask(0077);
    auto owner = owner_to_become(config.data_dir, config.user);
    if (!owner) return pass_on(owner);
    if (!*owner) return {};
    if (auto became = drop_privileges(**owner); !became) return pass_on(became);
    fmt::print(stderr, "poplar: going on as {}, in place of root, as the server does\n", (*owner)->user);
    return {};
}

int complain_of_store(const Config& config, const Error& error) {
    auto foreign = foreign_entry(config.data_dir, geteuid());
    return complain(fmt::format("{}: {}{}{}", config.data_dir, error.detail(), foreign.empty() ? "" : "; ", foreign));
}

int verify_stopped(const Config& config, VerifyPrinter& printer) {
    if (auto became = become_owner(config); !became) return complain(became.error().detail());
    auto engine = engine::local::LocalEngine::open(config.engine);
    if (!engine) return complain_of_store(config, engine.error());
    directory::Directory directory(**engine, system_clock(), config.directory);
    mailstore::MailStore store(**engine, system_clock(), config.mailstore);
    directory::RemovedAccounts removed(**engine, system_clock(), config.mailstore.retention);
    Printer listener(printer);
    asio::io_context context(1);
    Result<upkeep::VerifyOutcome> done;
    asio::co_spawn(context, upkeep::verify_store(**engine, directory, store, removed, listener),
                   [&](std::exception_ptr failure, Result<upkeep::VerifyOutcome> result) {
                       if (failure) std::rethrow_exception(failure);
                       done = std::move(result);
                   });
    context.run();
    if (!done) return complain(done.error().detail());
    printer.event(json_done(*done));
    return printer.exit_code();
}

int verify(const Cli& cli) {
    VerifyPrinter printer(cli.json);
    auto server = cli.client();
    if (!server) return kExitConfig;
    std::string line;
    auto take = [&](std::string_view bytes) {
        line.append(bytes);
        for (auto end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
            auto event = Json::parse(line.substr(0, end), nullptr, false);
            if (event.is_object()) printer.event(event);
            line.erase(0, end + 1);
        }
    };
    auto done = server->download("POST", "/v1/verify", take);
    if (done) return printer.exit_code();
    // Only --socket: a running server was meant.
    bool may_open = done.error().exit_code == kExitUnavailable && cli.socket.empty();
    if (!may_open) return complain(done.error());
    auto config = cli.load();
    if (!config) return kExitConfig;
    if (!std::filesystem::exists(config->data_dir))
        return complain(config->error_at("data_dir", config->data_dir + " does not exist"));
    return verify_stopped(*config, printer);
}

// What the lost records said of counters must not outlive them.
Result<std::uint64_t> repair_all(engine::local::LocalEngine& engine, const Config& config) {
    directory::Directory directory(engine, system_clock(), config.directory);
    mailstore::MailStore store(engine, system_clock(), config.mailstore);
    auto repair = [](directory::Directory& accounts, mailstore::MailStore& mail) -> Task<Result<std::uint64_t>> {
        constexpr std::size_t kPage = 1000;
        auto kept = co_await mail.repair(directory::kPostmasterMailbox);
        if (!kept) co_return pass_on(kept);
        std::uint64_t repaired = *kept;
        std::string after;
        for (;;) {
            auto page = co_await accounts.accounts("", after, kPage);
            if (!page) co_return pass_on(page);
            for (const auto& account : *page) {
                auto changed = co_await mail.repair(account.id);
                if (!changed) co_return pass_on(changed);
                repaired += *changed;
                after = account.address;
            }
            if (page->size() < kPage) co_return repaired;
        }
    };
    asio::io_context context(1);
    Result<std::uint64_t> repaired;
    asio::co_spawn(context, repair(directory, store), [&](std::exception_ptr failure, Result<std::uint64_t> result) {
        if (failure) std::rethrow_exception(failure);
        repaired = std::move(result);
    });
    context.run();
    return repaired;
}

int rebuild(const Cli& cli) {
    auto config = cli.load();
    if (!config) return kExitConfig;
    if (!std::filesystem::exists(config->data_dir))
        return complain(config->error_at("data_dir", config->data_dir + " does not exist"));
    if (auto became = become_owner(*config); !became) return complain(became.error().detail());
    std::uint64_t repaired = 0;
    auto repair = [&](engine::local::LocalEngine& engine) -> Result<> {
        auto counted = repair_all(engine, *config);
        if (!counted) return pass_on(counted);
        repaired = *counted;
        return {};
    };
    auto found = engine::local::LocalEngine::rebuild(config->engine, repair);
    if (!found) return complain_of_store(*config, found.error());
    if (cli.json) {
        auto damage = Json::array();
        for (const auto& one : *found)
            damage.push_back({{"file", one.file}, {"offset", one.offset}, {"what", one.what}});
        cli.print_json({{"rebuilt", config->data_dir}, {"damage", std::move(damage)}, {"accounts_repaired", repaired}});
    } else {
        for (const auto& one : *found) fmt::print("damaged: {} at {}: {}\n", one.file, one.offset, one.what);
        fmt::print("rebuilt the index of {}{}\n", config->data_dir,
                   found->empty() ? std::string()
                                  : fmt::format("; {} damaged places left out, {} accounts counted anew", found->size(),
                                                repaired));
    }
    return found->empty() ? 0 : 1;
}

}  // namespace

void add_server_commands(CLI::App& app, Cli& cli) {
    app.add_subcommand("serve", "Run the server in the foreground, until SIGTERM; SIGHUP reloads")->callback([&cli] {
        cli.action = [&cli] {
            auto config = cli.load();
            return config ? serve(std::move(*config)) : kExitConfig;
        };
    });

    auto* check = app.add_subcommand("check-config", "Check the configuration, certificates included");
    auto show = std::make_shared<bool>(false);
    check->add_flag("--show", *show, "Print every key with the value it has");
    check->callback([&cli, show] { cli.action = [&cli, show] { return check_config(cli, *show); }; });

    app.add_subcommand("status", "How the server is")->callback([&cli] {
        cli.action = [&cli] { return cli.call("GET", "/v1/status", nullptr, show_status); };
    });
    app.add_subcommand("verify", "Check everything stored, with the server running or stopped")->callback([&cli] {
        cli.action = [&cli] { return verify(cli); };
    });
    app.add_subcommand("scrub",
                       "Begin to read everything stored at the configured pace; poplar status tells how far it is")
        ->callback([&cli] {
            cli.action = [&cli] {
                return cli.call("POST", "/v1/scrub", nullptr,
                                [](const Json&) { fmt::print("reading everything; see poplar status\n"); });
            };
        });
    auto* clock = app.add_subcommand("clock", "The time by which deleted mail is forgotten")->require_subcommand(1);
    clock->add_subcommand("confirm", "The machine's clock is right, though it has jumped: forgetting goes on")
        ->callback([&cli] {
            cli.action = [&cli] {
                return cli.call("POST", "/v1/clock/confirm", nullptr,
                                [](const Json&) { fmt::print("the clock is believed\n"); });
            };
        });
    app.add_subcommand("rebuild", "Make the index anew from the segments; the server must be stopped")
        ->callback([&cli] { cli.action = [&cli] { return rebuild(cli); }; });
    app.add_subcommand("version", "Print the version")->callback([&cli] {
        cli.action = [&cli] {
            if (cli.json)
                cli.print_json({{"version", version()}});
            else
                fmt::print("poplar {}\n", version());
            return 0;
        };
    });
}

}  // namespace poplar::server
