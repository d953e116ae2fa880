// poplar-bench: the load tool for POP3 servers, and the server that does no work. bench/README.md has examples.
#include <fmt/format.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <iterator>
#include <thread>

#include "bench/load/null.h"
#include "bench/load/run.h"

namespace poplar::bench {

namespace {

void add_common(CLI::App& app, Options& options) {
    app.add_option("--connections,-c", options.connections, "Connections at work at once")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--threads", options.threads, "Threads of this tool; default: one a processor, at most 4");
    app.add_option("--duration,-d", options.seconds, "Seconds that are measured (idle: that the connections are held)")
        ->capture_default_str();
    app.add_option("--warm-up", options.warm_up, "Seconds before them")->capture_default_str();
    app.add_option("--count,-n", options.count,
                   "So many polls, maildrops or messages in place of a duration, measured from the first");
    app.add_option("--rate", options.rate, "Operations a second at even distances, in place of as many as go");
    app.add_option("--timeout", options.timeout, "Seconds any one wait may last")->capture_default_str();
    app.add_option("--user", options.accounts.user, "Accounts; {} is the number")->capture_default_str();
    app.add_option("--password", options.accounts.password, "The password of all of them")->capture_default_str();
    app.add_option("--accounts", options.accounts.count, "How many there are; default: as many as connections");
    app.add_option("--first", options.accounts.first, "The number of the first")->capture_default_str();
    app.add_option("--pid", options.pids,
                   "A process of the server, whose CPU and memory (and its children's) are told; repeatable");
    app.add_flag("--json", options.json, "The report as one line of JSON");
}

void add_security(CLI::App& app, Options& options, bool& resume) {
    std::map<std::string, Security> kinds{{"plain", Security::plain}, {"stls", Security::stls}, {"tls", Security::tls}};
    app.add_option("--tls", options.security, "plain, stls (upgraded) or tls (from the first octet)")
        ->transform(CLI::CheckedTransformer(kinds, CLI::ignore_case))
        ->default_str("plain");
    app.add_flag("--resume", resume, "Resume TLS sessions");
}

void add_pop3(CLI::App& app, Options& options) {
    app.add_option("--server,-s", options.server, "127.0.0.1:110, [::1]:110 or unix:/path")->capture_default_str();
}

void add_mail(CLI::App& app, Options& options, bool& mix, bool& smtp, bool& serial) {
    app.add_option("--size", options.sizes.fixed, "Octets of a message")->capture_default_str();
    app.add_flag("--mix", mix, "Sizes as in people's mailboxes: median 10 KB, mean 40 KB, up to 5 MB");
    app.add_option("--recipients", options.recipients, "Recipients of a message")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--per-connection", options.messages_per_connection, "Messages on a connection; 0: no limit")
        ->capture_default_str();
    app.add_flag("--smtp", smtp, "SMTP in place of LMTP");
    app.add_flag("--no-pipelining", serial, "Each command waits for its reply (RFC 2920 not used)");
}

void raise_descriptor_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    rlimit wanted{std::max<rlim_t>(limit.rlim_max, 1 << 20), std::max<rlim_t>(limit.rlim_max, 1 << 20)};
    if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;  // root may
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/// Makes the flags one whole, or refuses them. Returns a complaint, or nothing.
std::string complete(Options& options, bool pop3, bool mail) {
    if (options.threads == 0) options.threads = std::clamp(std::thread::hardware_concurrency(), 1U, 4U);
    if (options.accounts.count == 0) options.accounts.count = options.connections;
    if (pop3) {
        auto endpoint = Endpoint::parse(options.server);
        if (!endpoint) return endpoint.error().detail();
        options.pop3 = *endpoint;
        // A maildrop is for one client at a time: more connections than accounts would only measure refusals.
        if (options.accounts.count < options.connections) return "--accounts must be at least --connections";
    }
    if (mail) {
        auto endpoint = Endpoint::parse(options.mail_server);
        if (!endpoint) return endpoint.error().detail();
        options.mail = *endpoint;
    }
    return {};
}

int run_work(Options options, std::string_view name, const Work& work, bool mail) {
    Run run(std::move(options));
    if (mail) run.pool.emplace(run.options.sizes);
    auto outcome = perform(run, work);
    return report(run, name, *outcome);
}

int run_main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    raise_descriptor_limit();
    CLI::App app(
        "Load for POP3 servers: rates, latencies, and what an operation costs the server. See bench/README.md.");
    app.require_subcommand(1);
    Options options;
    NullOptions null;
    bool resume = false, mix = false, smtp = false, serial = false;

    auto* poll_command = app.add_subcommand("poll", "Log in, STAT, QUIT: what most sessions are");
    auto* drain_command =
        app.add_subcommand("drain", "Log in, UIDL, RETR all, QUIT; each message is held against what was delivered");
    auto* deliver_command = app.add_subcommand("deliver", "Deliver by LMTP or SMTP");
    auto* idle_command = app.add_subcommand("idle", "Hold logged-in connections");
    auto* mixed_command = app.add_subcommand("mixed", "Polls, drains and deliveries in set proportions");
    auto* null_command = app.add_subcommand("null", "The server that does no work: the limit on this machine");

    for (auto* command : {poll_command, drain_command, deliver_command, idle_command, mixed_command}) {
        add_common(*command, options);
        add_security(*command, options, resume);
    }
    for (auto* command : {poll_command, drain_command, idle_command, mixed_command}) add_pop3(*command, options);
    for (auto* command : {poll_command, mixed_command}) {
        command->add_flag("--uidl", options.uidl, "UIDL in each poll");
        command->add_flag("--list", options.list, "LIST in each poll");
    }
    for (auto* command : {drain_command, mixed_command}) {
        command
            ->add_option("--window,-w", options.window, "RETR commands under way at once (pipelining); 1: one by one")
            ->capture_default_str()
            ->check(CLI::PositiveNumber);
        command->add_flag("--delete", options.remove, "DELE each message");
    }
    deliver_command->add_option("--server,-s", options.mail_server, "127.0.0.1:24, [::1]:24 or unix:/path")->required();
    mixed_command->add_option("--mail-server", options.mail_server, "Where to deliver")->required();
    add_mail(*deliver_command, options, mix, smtp, serial);
    add_mail(*mixed_command, options, mix, smtp, serial);
    mixed_command->add_option("--polls", options.poll_share, "Their part of all operations")->capture_default_str();
    mixed_command->add_option("--drains", options.drain_share, "")->capture_default_str();
    mixed_command->add_option("--deliveries", options.deliver_share, "")->capture_default_str();

    null_command->add_option("--pop3", null.pop3, "Address to listen on; port 0: any")->take_all();
    null_command->add_option("--pop3s", null.pop3s, "Address for TLS")->take_all();
    null_command->add_option("--lmtp", null.lmtp, "Address for LMTP")->take_all();
    null_command->add_option("--certificate", null.certificate, "PEM file; default: a new P-256 certificate");
    null_command->add_option("--key", null.key, "PEM file");
    null_command->add_option("--threads", null.threads, "Threads")->capture_default_str()->check(CLI::PositiveNumber);
    null_command->add_option("--messages", null.messages, "Messages in every maildrop")->capture_default_str();
    null_command->add_option("--size", null.size, "Octets of each")->capture_default_str();
    null_command->add_option("--sink", null.sink, "The file that LMTP appends to");
    CLI11_PARSE(app, argc, argv);

    if (null_command->parsed()) {
        if (!null.lmtp.empty() && null.sink.empty())
            return fmt::print(stderr, "poplar-bench: --lmtp needs --sink\n"), 2;
        return run_null(null);
    }
    if (resume) options.sessions = TlsSessions::resumed;
    if (mix) options.sizes.fixed = 0;
    if (smtp) options.protocol = MailProtocol::smtp;
    options.pipelining = !serial;
    bool delivers = deliver_command->parsed() || mixed_command->parsed();
    auto complaint = complete(options, !deliver_command->parsed(), delivers);
    if (!complaint.empty()) return fmt::print(stderr, "poplar-bench: {}\n", complaint), 2;

    if (idle_command->parsed()) {
        Run run(options);
        return run_idle(run);
    }
    if (poll_command->parsed()) return run_work(options, "poll", poll, false);
    if (drain_command->parsed()) return run_work(options, "drain", drain, false);
    if (deliver_command->parsed()) return run_work(options, "deliver", deliver, true);
    return run_work(options, "mixed", mixed, true);
}

}  // namespace

}  // namespace poplar::bench

int main(int argc, char** argv) {
    try {
        return poplar::bench::run_main(argc, argv);
    } catch (const std::exception& error) {
        fmt::print(stderr, "poplar-bench: {}\n", error.what());
        return 1;
    }
}
