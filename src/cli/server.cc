// poplar status, verify, scrub, clock, version
#include <fmt/format.h>

#include <cstdio>

#include "api/server.h"
#include "base/printable.h"
#include "base/units.h"
#include "cli/program.h"
#include "cli/verify_printer.h"

namespace poplar::cli {

namespace {

void show_status(const api::ShowStatus&, const api::Status& s) {
    const auto& storage = s.storage;
    fmt::print("Poplar {} at {}, process {}, up {}{}\n", s.version, s.hostname, s.pid,
               human_duration(std::chrono::seconds(s.uptime_seconds)), s.stopping ? ", stopping" : "");
    for (const auto& one : s.listening) fmt::print("  {:<6} {}\n", one.protocol, one.address);
    if (s.certificate_expires) fmt::print("certificate   valid until {}\n", *s.certificate_expires);
    fmt::print("accounts      {} in {} domains, {} aliases\n", s.directory.accounts.value_or(0),
               s.directory.domains.value_or(0), s.directory.aliases.value_or(0));
    const auto kept = s.postmaster.kept_messages.value_or(0);
    if (!s.postmaster.named.value_or(true))
        fmt::print(
            "postmaster    nobody: its mail is kept, {} messages (poplar mail list postmaster),\n"
            "              until there is one: poplar alias add postmaster@DOMAIN ADDRESS\n",
            kept);
    else if (kept > 0)
        fmt::print("postmaster    {} messages were kept while it was nobody: poplar mail list postmaster\n", kept);
    fmt::print("connections   ");
    std::string separator;
    for (const auto& [name, count] : s.connections.by_protocol) {
        fmt::print("{}{} {} now, {} in all", separator, name, count.live, count.total);
        separator = "; ";
    }
    auto refused = s.connections.refused_total_limit + s.connections.refused_peer_limit;
    fmt::print("\n");
    if (refused > 0) fmt::print("refused       {} connections over a limit\n", refused);
    fmt::print("storage       {}: {} in {} segments, index {}, {} free\n", storage.state,
               human_size(storage.log_octets), storage.segments, human_size(storage.index_octets),
               human_size(storage.free_octets));
    auto used = storage.used_octets, live = storage.live_octets;
    fmt::print("space         {} of the log's {} count ({:.2f}), {} in large files\n", human_size(live),
               human_size(used), live == 0 ? 1.0 : static_cast<double>(used) / static_cast<double>(live),
               human_size(storage.large_octets));
    const auto& copying = storage.copying;
    fmt::print("copying       {}; {} copied, {} freed in {} runs since start\n", copying.state,
               human_size(copying.copied_octets), human_size(copying.freed_octets), copying.copies);
    fmt::print("commits       {} in {} groups since start\n", storage.commits, storage.groups);
    const auto& clock = s.clock;
    if (clock.doubted) {
        const bool by_itself = clock.believed_at && *clock.believed_at;
        auto end = by_itself ? fmt::format(", or by itself at {}", **clock.believed_at) : std::string();
        fmt::print(
            "CLOCK         {} where about {} was expected: nothing is forgotten until it is right again{}.\n"
            "              If it is right: poplar clock confirm\n",
            clock.time, clock.expected.value_or(""), end);
    }
    const auto& scrub = s.scrub;
    fmt::print("scrubbing     {}; last ended {}, {} damaged\n",
               scrub.under_way ? fmt::format("since {}, {} bodies, {} read", scrub.begun.value_or("never"),
                                             scrub.bodies, human_size(scrub.octets))
                               : std::string("resting"),
               scrub.ended.value_or("never"), scrub.damaged);
    if (!scrub.failure.empty()) fmt::print("              {}\n", scrub.failure);
    for (const auto& one : scrub.damage) fmt::print("DAMAGED       {}\n", with_hidden_shown(damage_sentence(one)));
    for (const auto& one : storage.damage_found_at_start)
        fmt::print("DAMAGED       {} at {}: {}\n", one.file, one.offset, one.what);
}

int verify(const Cli& cli) {
    VerifyPrinter printer(cli.json);
    auto server = cli.client();
    if (!server) return kExitConfig;
    std::string line;
    auto take = [&](std::string_view bytes) {
        line.append(bytes);
        for (auto end = line.find('\n'); end != std::string::npos; end = line.find('\n')) {
            auto json = api::Json::parse(line.substr(0, end), nullptr, false);
            api::VerifyEvent event;
            if (api::read_json(api::VerifyEvent::shape(), json, &event)) printer.event(event);
            line.erase(0, end + 1);
        }
    };
    auto done = server->download(api::Verify(), take);
    if (done) return printer.exit_code();
    // The files are opened here if no server runs, but not with --socket, which means a running one.
    const bool may_open = done.error().exit_code == kExitUnavailable && cli.socket.empty();
    return may_open ? cli.host.verify_stopped(cli, printer) : complain(done.error());
}

}  // namespace

void add_server_commands(CLI::App& app, Cli& cli) {
    add_command<api::ShowStatus>(&app, cli, "status", show_status);
    app.add_subcommand("verify", std::string(api::Verify::operation().request.words))->callback([&cli] {
        cli.action = [&cli] { return verify(cli); };
    });
    add_command<api::BeginScrub>(&app, cli, "scrub", [](const api::BeginScrub&, const api::Scrubbing&) {
        fmt::print("reading everything; see poplar status\n");
    });
    auto* clock = app.add_subcommand("clock", "The time by which deleted mail is forgotten")->require_subcommand(1);
    add_command<api::ConfirmClock>(clock, cli, "confirm", [](const api::ConfirmClock&, const api::Confirmation&) {
        fmt::print("the clock is believed\n");
    });
    app.add_subcommand("version", "Print the version")->callback([&cli] {
        cli.action = [&cli] {
            if (cli.json)
                cli.print_json({{"version", cli.host.version}});
            else
                fmt::print("poplar {}\n", cli.host.version);
            return 0;
        };
    });
}

}  // namespace poplar::cli
