// The commands that are the server itself: serve, check-config, rebuild, and verify with the server stopped.
#include "server/commands.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "admin/verify_events.h"
#include "api/json.h"
#include "base/version.h"
#include "cli/verify_printer.h"
#include "directory/removed.h"
#include "server/backup_commands.h"
#include "server/offline.h"
#include "server/server.h"
#include "server/settings.h"
#include "upkeep/verify.h"

namespace poplar::server {

namespace {

using cli::Cli;
using cli::complain;

int check_config(const Cli& cli, bool show) {
    auto config = load_config(cli.config_path());
    Findings found = config ? check_environment(*config) : Findings{config.error().lines, {}};
    const auto& wrong = found.errors;
    if (cli.json) {
        api::Json out{{"file", cli.config_path()}, {"errors", wrong}, {"warnings", found.warnings}};
        if (config && show)
            for (const auto& key : keys_of(*config)) out["values"][key.name] = key.show();
        cli.print_json(out);
        return wrong.empty() ? 0 : cli::kExitConfig;
    }
    for (const auto& line : found.warnings) complain("warning: " + line);
    for (const auto& line : wrong) complain(line);
    if (!wrong.empty()) return cli::kExitConfig;
    if (show)
        for (const auto& key : keys_of(*config)) fmt::print("{} = {}\n", key.name, key.show());
    else
        fmt::print("{}: ok\n", cli.config_path());
    return 0;
}

class Printer final : public upkeep::VerifyListener {
public:
    explicit Printer(cli::VerifyPrinter& printer) : printer_(printer) {}
    Task<Result<>> damaged(upkeep::NamedDamage damage) override {
        printer_.event(admin::damage_event(damage));
        co_return Result<>();
    }
    Task<Result<>> progress(engine::VerifyTotals totals) override {
        printer_.event(admin::progress_event(totals));
        co_return Result<>();
    }

private:
    cli::VerifyPrinter& printer_;
};

int verify_stopped(const Config& config, cli::VerifyPrinter& printer) {
    if (!std::filesystem::exists(config.data_dir))
        return complain(config.error_at("data_dir", config.data_dir + " does not exist"));
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
    printer.event(admin::done_event(*done));
    return printer.exit_code();
}

int rebuild(const Cli& cli) {
    auto config = load_or_complain(cli.config_path());
    if (!config) return cli::kExitConfig;
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
        auto damage = api::Json::array();
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

void add_commands(CLI::App& app, Cli& cli) {
    app.add_subcommand("serve", "Run the server in the foreground, until SIGTERM; SIGHUP reloads")->callback([&cli] {
        cli.action = [&cli] {
            auto config = load_or_complain(cli.config_path());
            return config ? serve(std::move(*config)) : cli::kExitConfig;
        };
    });
    auto* check = app.add_subcommand("check-config", "Check the configuration, certificates included");
    auto show = std::make_shared<bool>(false);
    check->add_flag("--show", *show, "Print every key with the value it has");
    check->callback([&cli, show] { cli.action = [&cli, show] { return check_config(cli, *show); }; });
    app.add_subcommand("rebuild", "Make the index anew from the segments; the server must be stopped")
        ->callback([&cli] { cli.action = [&cli] { return rebuild(cli); }; });
    add_backup_commands(app, cli);
}

}  // namespace

cli::Host host() {
    cli::Host host;
    host.default_config_file = kDefaultConfigFile;
    host.default_socket = Config().admin_socket;
    host.version = version();
    host.admin_socket = [](const std::string& file) -> std::optional<std::string> {
        auto config = load_or_complain(file);
        if (!config) return std::nullopt;
        return config->admin_socket;
    };
    host.add_commands = add_commands;
    host.verify_stopped = [](const Cli& cli, cli::VerifyPrinter& printer) {
        auto config = load_or_complain(cli.config_path());
        return config ? verify_stopped(*config, printer) : cli::kExitConfig;
    };
    return host;
}

}  // namespace poplar::server
