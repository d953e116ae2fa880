// Idle connections: logged in and held, to see what each costs the server in memory.
#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "bench/load/pop3_session.h"
#include "bench/load/run.h"

namespace poplar::bench {

namespace {

constexpr unsigned kOpeners = 64;  ///< connections that log in at the same time

/// Opens connections index, index + openers, ... and keeps them until the loop stops.
Detached hold(Worker& worker, unsigned index, unsigned openers, std::vector<std::unique_ptr<Channel>>& held) {
    const Options& options = worker.options;
    for (unsigned account = index; account < options.connections && !worker.loop.stopping(); account += openers) {
        auto channel = std::make_unique<Channel>(worker.loop, 512, std::chrono::seconds(options.timeout));
        Pop3Session session(worker, *channel);
        auto begun = Clock::now();
        if (auto done = co_await session.log_in(account); !done) {
            worker.failed(done.error());
            continue;
        }
        worker.finished(begun, 0);
        worker.run.connections_up.fetch_add(1, std::memory_order_relaxed);
        held.push_back(std::move(channel));
    }
    worker.one_less();
}

}  // namespace

int run_idle(Run& run) {
    const Options& options = run.options;
    run.measuring = true;
    run.begun = Clock::now();
    Worker worker(run);
    std::vector<std::unique_ptr<Channel>> held;
    Outcome outcome;
    outcome.before = usage_of(options.pids, WithMemory::yes);

    unsigned openers = std::min(kOpeners, options.connections);
    worker.live = openers + 1;  // this function holds the loop open until all is measured
    std::thread thread([&] {
        for (unsigned i = 0; i < openers; ++i) hold(worker, i, openers, held);
        worker.loop.run();
    });
    auto tried = [&] { return run.connections_up + worker.statistics.failed; };
    while (tried() < options.connections) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        if (isatty(STDERR_FILENO)) fmt::print(stderr, "\r{:>8} connections up ", run.connections_up.load());
    }
    double opening = std::chrono::duration<double>(Clock::now() - run.begun).count();
    auto open = usage_of(options.pids, WithMemory::yes);
    // Held for a while: what the server gives back when a connection idles counts.
    std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
    outcome.after = usage_of(options.pids, WithMemory::yes);
    worker.loop.stop();
    thread.join();
    if (isatty(STDERR_FILENO)) fmt::print(stderr, "\r\x1b[K");

    auto up = run.connections_up.load();
    auto each = [&](std::uint64_t now, std::uint64_t before) {
        return up == 0 ? 0 : (static_cast<double>(now) - static_cast<double>(before)) / up;
    };
    double idle_cpu = (outcome.after.cpu - open.cpu) / options.seconds;
    if (options.json) {
        nlohmann::json errors = worker.statistics.errors;
        nlohmann::json json = {
            {"work", "idle"},
            {"connections", up},
            {"failed", worker.statistics.failed.load()},
            {"errors", worker.statistics.errors},
            {"seconds_to_open", opening},
            {"server",
             {{"pss_before", outcome.before.pss},
              {"pss_after", outcome.after.pss},
              {"rss_before", outcome.before.rss},
              {"rss_after", outcome.after.rss},
              {"octets_a_connection", each(outcome.after.pss, outcome.before.pss)},
              {"processes", outcome.after.processes},
              {"threads", outcome.after.threads},
              {"descriptors", outcome.after.descriptors},
              {"cpu_while_idle", idle_cpu}}},
        };
        fmt::print("{}\n", json.dump());
    } else {
        fmt::print("idle: {} connections logged in within {:.1f} s, held {:.0f} s, {} failed\n", up, opening,
                   options.seconds, worker.statistics.failed.load());
        for (const auto& [kind, count] : worker.statistics.errors) fmt::print("  {:>8} x {}\n", count, kind);
        if (!options.pids.empty())
            fmt::print(
                "server: {:.1f} MB, before {:.1f} MB: {:.2f} KB a connection; {} processes, {} threads; {:.2f} % CPU\n",
                static_cast<double>(outcome.after.pss) / 1e6, static_cast<double>(outcome.before.pss) / 1e6,
                each(outcome.after.pss, outcome.before.pss) / 1000, outcome.after.processes, outcome.after.threads,
                idle_cpu * 100);
    }
    return worker.statistics.failed == 0 && up > 0 ? 0 : 1;
}

}  // namespace poplar::bench
