// Prints the outcome of a run.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "bench/load/run.h"

namespace poplar::bench {

namespace {

nlohmann::json latencies(const Histogram& histogram) {
    return {{"count", histogram.count()},        {"mean", histogram.mean()},
            {"p50", histogram.percentile(0.5)},  {"p90", histogram.percentile(0.9)},
            {"p99", histogram.percentile(0.99)}, {"p999", histogram.percentile(0.999)},
            {"max", histogram.longest()}};
}

void print_latencies(std::string_view of, const Histogram& histogram) {
    if (histogram.count() == 0) return;
    fmt::print("  {:<10} ms: median {:.3f}, 90 % {:.3f}, 99 % {:.3f}, 99.9 % {:.3f}, longest {:.3f}\n", of,
               histogram.percentile(0.5) / 1000, histogram.percentile(0.9) / 1000, histogram.percentile(0.99) / 1000,
               histogram.percentile(0.999) / 1000, histogram.longest() / 1000);
}

std::string_view security_name(const Options& options) {
    if (options.security == Security::plain) return "plain";
    bool resumed = options.sessions == TlsSessions::resumed;
    if (options.security == Security::stls) return resumed ? "stls, sessions resumed" : "stls, new sessions";
    return resumed ? "tls, sessions resumed" : "tls, new sessions";
}

}  // namespace

int report(const Run& run, std::string_view name, const Outcome& outcome) {
    const Options& options = run.options;
    const Statistics& seen = outcome.statistics;
    auto operations = static_cast<double>(seen.completed.load());
    auto an_operation = [&](double seconds) { return operations == 0 ? 0 : seconds * 1e6 / operations; };
    double rate = outcome.seconds > 0 ? operations / outcome.seconds : 0;
    double cpu = outcome.after.cpu - outcome.before.cpu;
    double ticks = outcome.after.user + outcome.after.system - outcome.before.user - outcome.before.system;
    double system_part = ticks > 0 ? (outcome.after.system - outcome.before.system) / ticks : 0;
    auto written = static_cast<double>(outcome.after.written - outcome.before.written);
    auto octets = static_cast<double>(seen.octets.load());
    bool with_server = !options.pids.empty();

    if (options.json) {
        nlohmann::json json = {
            {"work", name},
            {"security", security_name(options)},
            {"connections", options.connections},
            {"accounts", options.accounts.count},
            {"seconds", outcome.seconds},
            {"operations", seen.completed.load()},
            {"operations_a_second", rate},
            {"octets", seen.octets.load()},
            {"failed", seen.failed.load()},
            {"errors", seen.errors},
            {"verified", seen.verified},
            {"unmarked", seen.unmarked},
            {"tls", {{"resumed", seen.resumed}, {"full", seen.full_handshakes}}},
            {"latency_us", latencies(seen.operations)},
            {"session_us", latencies(seen.sessions)},
            {"client_cpu_us", an_operation(outcome.own_cpu)},
        };
        if (with_server)
            json["server"] = {
                {"cpu_seconds", cpu},
                {"cpu_us", an_operation(cpu)},
                {"system_part", system_part},
                {"written", written},
                {"written_an_octet", octets > 0 ? written / octets : 0},
                {"switches", operations == 0
                                 ? 0
                                 : static_cast<double>(outcome.after.switches - outcome.before.switches) / operations},
                {"pss", outcome.after.pss},
                {"rss", outcome.after.rss},
                {"descriptors", outcome.after.descriptors},
                {"processes", outcome.after.processes},
                {"threads", outcome.after.threads},
            };
        fmt::print("{}\n", json.dump());
    } else {
        fmt::print("{}, {}, {} connections, {:.1f} s: {} operations, {:.0f} a second, {} failed\n", name,
                   security_name(options), options.connections, outcome.seconds, seen.completed.load(), rate,
                   seen.failed.load());
        print_latencies("operation", seen.operations);
        if (seen.sessions.count() != seen.operations.count()) print_latencies("session", seen.sessions);
        if (octets > 0) fmt::print("  {:.1f} MB/s\n", octets / 1e6 / outcome.seconds);
        if (seen.verified + seen.unmarked > 0)
            fmt::print("  content verified: {} messages, {} are not ours\n", seen.verified, seen.unmarked);
        if (seen.resumed + seen.full_handshakes > 0)
            fmt::print("  TLS handshakes: {} full, {} resumed\n", seen.full_handshakes, seen.resumed);
        if (with_server) {
            fmt::print("  server CPU: {:.2f} us an operation ({:.0f} % in the kernel), {:.0f} % of a processor\n",
                       an_operation(cpu), system_part * 100, cpu / outcome.seconds * 100);
            fmt::print("  server memory {:.1f} MB; wrote {:.1f} MB to the disk",
                       static_cast<double>(outcome.after.pss) / 1e6, written / 1e6);
            if (octets > 0 && written > 0) fmt::print(", {:.2f} octets an octet", written / octets);
            fmt::print("\n");
        }
        fmt::print("  own CPU: {:.2f} us an operation\n", an_operation(outcome.own_cpu));
        for (const auto& [kind, count] : seen.errors) fmt::print("  {:>8} x {}\n", count, kind);
    }
    return seen.failed == 0 && operations > 0 ? 0 : 1;
}

}  // namespace poplar::bench
