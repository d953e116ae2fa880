// A running server hears signals: it reloads, and it stops in order.
#include <fmt/format.h>

#include <algorithm>
#include <future>
#include <utility>

#include "base/log.h"
#include "process/systemd.h"
#include "server/running_server.h"

namespace poplar::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr auto kValues = asio::as_tuple(use_awaitable);

constexpr auto kCutPatience = seconds(10);  // for commits under way, once connections are cut
constexpr auto kAdminPatience = seconds(5);
constexpr auto kOutboundPatience = seconds(10);  // for messages that are on their way out, and for what is written then

}  // namespace

void Server::run() {
    control_.run();
    workers_.stop();
    abroad_.worker->stop();
    log::info("server.stopped");
}

Task<> Server::watch_signals() {
    for (int asked = 0; !stopped_;) {  // stop() may be over before the next wait begins
        auto [error, signal] = co_await signals_.async_wait(kValues);
        if (error) co_return;
        if (signal == SIGHUP) {
            if (!stopping_) reload();
            continue;
        }
        std::string_view name = signal == SIGTERM ? "SIGTERM" : "SIGINT";
        if (++asked == 1) {
            log::info("server.stopping", {{"signal", name}, {"drain_seconds", config_.drain_time.count()}});
            stopping_ = true;
            spawn(stop());
        } else if (asked == 2) {
            log::warning("server.stopping_at_once", {{"signal", name}});
            net_.close_all();
        } else {
            log::warning("server.aborted", {{"signal", name}});
            std::_Exit(1);
        }
    }
}

Task<> Server::stop() {
    process::systemd::stopping();
    net_.stop_accepting();
    authenticator_.stop();
    net_.drain();
    if (!co_await net_.idle(config_.drain_time)) {
        log::warning("server.drain_timed_out", {{"connections", net_.live()}});
        net_.close_all();
        if (!co_await net_.idle(kCutPatience)) {
            // Something waits for a disk that does not answer. The process ends as in a crash; acknowledged mail is
            // safe.
            log::error("server.sessions_stuck", {{"connections", net_.live()}});
            std::_Exit(1);
        }
    }
    co_await stop_outbound();
    admin_.stop_accepting();
    admin_.drain();
    if (!co_await admin_.idle(kAdminPatience)) {
        admin_.close_all();
        co_await admin_.idle(kAdminPatience);
    }
    if (outside_) co_await outside_->stop();
    co_await authenticator_.flush();
    co_await device_uses_.flush();
    (void)co_await keep_outside_.flush();
    co_await ledger_.flush_all();
    if (auto kept = co_await authenticator_.keep_limits(server_records_, system_clock()); !kept)
        log::warning("auth.limits_not_kept", {{"reason", kept.error().detail()}});
    jobs_.stop();
    watchdog_timer_.cancel();
    stopped_ = true;
    signals_.cancel();
}

// Messages on their way out may take until the end of the drain time; what is cut is tried again after the next start.
Task<> Server::stop_outbound() {
    const auto executor = abroad_.worker->executor(0);
    asio::steady_timer timer(control_);
    auto idle = [&]() -> bool {
        std::promise<bool> answer;
        asio::post(executor, [&] { answer.set_value(outbound_.idle()); });
        return answer.get_future().get();
    };
    asio::post(executor, [this] { outbound_.stop(); });
    const auto end = SteadyClock::now() + std::min<SteadyClock::duration>(config_.drain_time, kOutboundPatience);
    for (bool cut = false; !idle();) {
        if (SteadyClock::now() >= end && !std::exchange(cut, true))
            asio::post(executor, [this] {
                outbound_.cut();
                abroad_.dns->stop();
            });
        if (SteadyClock::now() >= end + kOutboundPatience) {
            log::error("server.outbound_stuck");
            std::_Exit(1);
        }
        timer.expires_after(milliseconds(20));
        co_await timer.async_wait(kValues);
    }
    asio::post(executor, [this] { abroad_.dns->stop(); });
}

Task<> Server::feed_watchdog() {
    auto period = *process::systemd::watchdog();
    while (!stopping_) {
        process::systemd::alive();
        watchdog_timer_.expires_after(period);
        co_await watchdog_timer_.async_wait(kValues);
    }
}

void Server::reload() {
    process::systemd::reloading();
    auto refuse = [](const std::vector<std::string>& lines) {
        for (const auto& line : lines) log::error("server.reload_refused", {{"reason", line}});
        process::systemd::ready("Serving; the last reload was refused: see the log");
    };
    // First, and even if the configuration is wrong, because logrotate sends SIGHUP only for this.
    try {
        log::reopen();
    } catch (const std::exception& e) {
        log::error("server.log_not_reopened", {{"reason", std::string_view(e.what())}});
    }
    auto config = load_config(config_.file);
    if (!config) return refuse(config.error().lines);
    TlsContexts contexts;
    if (config_.tls.configured()) {
        auto loaded = load_tls(*config);
        if (!loaded) return refuse({loaded.error().detail()});
        contexts = std::move(*loaded);
        log_warnings(tls_warnings(*config, contexts));
    }
    auto changes = compare(config_, *config);
    if (changes.appliers.contains("log"))
        if (auto opened = open_log(*config); !opened) return refuse({opened.error().detail()});
    // The settings that keys with a Key::applied_by change. A certificate, below, is loaded anew in any case.
    config_.log = config->log;
    config_.drain_time = config->drain_time;
    config_.smtp_ciphers = config->smtp_ciphers;
    auto needs_restart = changes.restart;
    if (config->tls.configured() != config_.tls.configured()) {
        needs_restart.push_back("tls");  // the listeners learn only at the start whether there is TLS
    } else if (contexts.readers) {
        config_.tls = config->tls;
        set_tls(contexts);
    }
    log::info("server.reloaded",
              {{"certificate_expires", contexts.readers ? contexts.readers->not_after() : std::string("-")},
               {"changed", changes.live.empty() ? std::string("-") : fmt::format("{}", fmt::join(changes.live, ","))}});
    if (!needs_restart.empty())
        log::warning("server.restart_needed", {{"keys", fmt::format("{}", fmt::join(needs_restart, ","))}});
    process::systemd::ready("Serving");
}

}  // namespace poplar::server
