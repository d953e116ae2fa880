// The life of the server: start, signals, reload, jobs, the end.
#include "server/server.h"

#include <fmt/format.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <future>

#include "activity/keeper.h"
#include "activity/mass_deletions.h"
#include "admin/api.h"
#include "admin/names.h"
#include "api/activity.h"
#include "api/server.h"
#include "auth/open_sessions.h"
#include "auth/password.h"
#include "base/log.h"
#include "base/steady.h"
#include "base/version.h"
#include "cli/exit_codes.h"
#include "directory/outside/outside.h"
#include "directory/outside/pam.h"
#include "directory/removed.h"
#include "directory/server_records.h"
#include "dns/resolver.h"
#include "http/session.h"
#include "jobs/runner.h"
#include "outbound/runner.h"
#include "process/privileges.h"
#include "process/systemd.h"
#include "server/bind.h"
#include "server/own_mail.h"
#include "server/services.h"
#include "upkeep/retention.h"
#include "upkeep/store_clock.h"
#include "upkeep/unusual_deletions.h"
#include "upkeep/verify.h"

namespace poplar::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
constexpr auto kValues = asio::as_tuple(use_awaitable);

constexpr auto kFirstHousekeeping = std::chrono::minutes(5);  // not among the logins after a restart
constexpr auto kDeviceUsesEvery = std::chrono::minutes(1);
constexpr auto kActivityEvery = std::chrono::minutes(1);
constexpr auto kLimitsEvery = std::chrono::minutes(1);
constexpr auto kOutsideEvery = std::chrono::minutes(1);
constexpr auto kDeletionsEvery = seconds(15);          // they are judged
constexpr auto kClockEvery = std::chrono::minutes(1);  // it is looked at; stored once an hour
constexpr auto kCutPatience = seconds(10);             // for commits under way, once connections are cut
constexpr auto kAdminPatience = seconds(5);
constexpr auto kOutboundPatience = seconds(10);  // for messages that are on their way out, and for what is written then
constexpr std::size_t kAdminConnections = 64;

int complain_lines(const std::vector<std::string>& lines, int exit_code) {
    for (const auto& line : lines) fmt::print(stderr, "poplar: {}\n", line);
    return exit_code;
}

/// The contexts of TLS handshakes. Null if TLS is not configured.
struct TlsContexts {
    std::shared_ptr<const net::TlsContext> readers, smtp;
};

std::string_view key_of(net::TlsFault::Option option, std::string_view ciphers_key) {
    switch (option) {
        case net::TlsFault::Option::certificate: break;
        case net::TlsFault::Option::private_key: return "tls.private_key";
        case net::TlsFault::Option::client_ca: return "tls.client_ca";
        case net::TlsFault::Option::ciphers: return ciphers_key;
    }
    return "tls.certificate";
}

Result<std::shared_ptr<const net::TlsContext>> load_tls(const Config& config, std::string_view ciphers_key,
                                                        const std::string& ciphers) {
    const auto& tls = config.tls;
    auto context = net::TlsContext::load({tls.certificate, tls.private_key, tls.client_ca, ciphers});
    if (context) return std::move(*context);
    const auto& fault = context.error();
    return fail(Errc::invalid, config.error_at(key_of(fault.option, ciphers_key), fault.why));
}

Result<TlsContexts> load_tls(const Config& config) {
    if (!config.tls.configured()) return TlsContexts();
    auto or_else = [](const std::string& given, const char* usual) { return given.empty() ? usual : given; };
    auto readers = load_tls(config, "tls.ciphers", or_else(config.tls.ciphers, net::kStrictCiphers));
    if (!readers) return pass_on(readers);
    auto smtp = load_tls(config, "smtp.tls_ciphers", or_else(config.smtp_ciphers, net::kOpportunisticCiphers));
    if (!smtp) return pass_on(smtp);
    return TlsContexts{std::move(*readers), std::move(*smtp)};
}

std::vector<std::string> tls_warnings(const Config& config, const TlsContexts& contexts) {
    std::vector<std::string> lines;
    if (!contexts.readers) return lines;
    for (const auto& warning : contexts.readers->warnings())
        lines.push_back(config.error_at("tls.certificate", warning));
    return lines;
}

void log_warnings(const std::vector<std::string>& lines) {
    for (const auto& line : lines) log::warning("server.config_warning", {{"reason", line}});
}

/// Null: tokens are not configured.
Result<std::shared_ptr<auth::TokenVerifier>> load_tokens(const Config& config) {
    if (!config.sasl.tokens.enabled()) return nullptr;
    auto verifier = auth::TokenVerifier::load(config.sasl.tokens, system_clock());
    if (!verifier) return fail(Errc::invalid, config.error_at("oauth", verifier.error().detail()));
    return verifier;
}

outbound::Options outbound_options(const Config& config) {
    auto options = config.outbound;
    options.hostname = config.hostname;
    return options;
}

/// What is needed to reach other servers.
struct Abroad {
    std::unique_ptr<net::Workers> worker;  ///< one thread: all that outbound/ does
    std::unique_ptr<dns::Resolver> dns;
    std::shared_ptr<const net::ClientTls> tls;
};

Result<Abroad> load_abroad(const Config& config) {
    Abroad abroad{std::make_unique<net::Workers>(std::size_t(1)), nullptr, nullptr};
    auto tls = net::ClientTls::load(config.outbound.ca_file);
    if (!tls) return fail(Errc::invalid, config.error_at("queue.ca_file", tls.error().detail()));
    abroad.tls = std::move(*tls);
    auto dns = dns::Resolver::make(abroad.worker->executor(0), config.dns);
    if (!dns) return fail(Errc::invalid, config.error_at("dns", dns.error().detail()));
    abroad.dns = std::move(*dns);
    return abroad;
}

auth::SaslOptions sasl_options(const Config& config) {
    auto options = config.sasl;
    options.hostname = config.hostname;
    return options;
}

Result<std::optional<process::Identity>> wanted_identity(const Config& config) {
    if (config.user.empty()) return std::optional<process::Identity>();
    auto identity = process::find_identity(config.user, config.group);
    if (!identity) {
        bool group = identity.error().code() == Errc::not_found;
        return fail(Errc::invalid, config.error_at(group ? "group" : "user", identity.error().detail()));
    }
    if (geteuid() != 0 && geteuid() != identity->uid)
        return fail(Errc::invalid, config.error_at("user", "only root can start the server for another user"));
    return std::optional(std::move(*identity));
}

Result<> open_log(const Config& config) {
    try {
        log::configure(config.log.level, config.log.format, config.log.file);
        log::limit_shares(config.log.shares);
        return {};
    } catch (const std::exception& e) {
        return fail(Errc::invalid, config.error_at("log.file", fmt::format("can't be opened: {}", e.what())));
    }
}

/// The limits of the admin socket. Its users are trusted, and it may use the descriptors that connections of mail must
/// leave free.
net::ServerLimits admin_limits() {
    net::ServerLimits limits;
    limits.connections = kAdminConnections;
    limits.connections_reserved = limits.spare_descriptors = 0;
    limits.connection.write_rate = 0;
    return limits;
}

/// Writes what devices were used for.
class KeepDeviceUses final : public jobs::Job {
public:
    explicit KeepDeviceUses(auth::DeviceUses& uses) : uses_(uses) {}
    std::string_view name() const override { return "device-uses"; }
    Task<Result<>> round(jobs::Control&) override {
        co_await uses_.flush();
        co_return Result<>();
    }

private:
    auth::DeviceUses& uses_;
};

/// Writes which limits of logins were passed, so that a restart does not forget them.
class KeepLimits final : public jobs::Job {
public:
    KeepLimits(auth::Authenticator& authenticator, directory::ServerRecords& records)
        : authenticator_(authenticator), records_(records) {}
    std::string_view name() const override { return "login-limits"; }
    Task<Result<>> round(jobs::Control&) override {
        auto kept = co_await authenticator_.keep_limits(records_, system_clock());
        if (!kept) log::warning("auth.limits_not_kept", {{"reason", kept.error().detail()}});
        co_return kept;
    }
    Task<> load() {
        auto loaded = co_await authenticator_.load_limits(records_, system_clock());
        if (!loaded) log::error("auth.limits_unreadable", {{"reason", loaded.error().detail()}});
    }

private:
    auth::Authenticator& authenticator_;
    directory::ServerRecords& records_;
};

using Outside = directory::outside::Outside;

/// Writes what other directories said, so that a restart while one is silent locks nobody out.
class KeepOutside final : public jobs::Job {
public:
    explicit KeepOutside(Outside* outside) : outside_(outside) {}
    std::string_view name() const override { return "other-directories"; }
    Task<Result<>> round(jobs::Control&) override { co_return co_await flush(); }
    Task<Result<>> flush() {
        if (outside_ == nullptr) co_return Result<>();
        auto kept = co_await outside_->flush();
        if (!kept) log::warning("outside.not_kept", {{"reason", kept.error().detail()}});
        co_return kept;
    }
    Task<> add_domains() {
        if (outside_ == nullptr) co_return;
        auto added = co_await outside_->add_domains();
        if (!added) log::error("outside.domains_not_added", {{"reason", added.error().detail()}});
    }

private:
    Outside* const outside_;
};

/// Null: there is none.
std::unique_ptr<Outside> consult(directory::Directory& directory, std::vector<Outside::Part> parts,
                                 const auth::Options& auth) {
    if (parts.empty()) return nullptr;
    Outside::Options options{
        .matches = auth::matches, .hash_threads = auth.hash_threads, .hash_queue = auth.hash_queue};
    auto outside = std::make_unique<Outside>(directory, system_clock(), std::move(parts), options);
    directory.consult(*outside);
    return outside;
}

/// What is read and forked with the rights of the user who starts the server becomes what is asked.
Result<std::vector<Outside::Part>> make_parts(const Config& config,
                                              const std::vector<directory::outside::Prepared>& all) {
    std::vector<Outside::Part> parts;
    for (const auto& one : all) {
        auto source = directory::outside::make_source(one, config.directory.local_case);
        if (!source) return fail(Errc::invalid, config.error_at("directory", source.error().detail()));
        parts.push_back({one.settings, std::move(*source)});
    }
    return parts;
}

Result<std::vector<directory::outside::Prepared>> prepare_directories(const Config& config) {
    auto prepared = directory::outside::prepare(config.directories);
    if (!prepared) return fail(Errc::invalid, config.error_at("directory", prepared.error().detail()));
    return prepared;
}

/// All that runs once sockets are bound and privileges are dropped. Members are destroyed in reverse: the engine last.
class Server {
public:
    Server(Config config, std::unique_ptr<engine::local::LocalEngine> engine, TlsContexts tls,
           std::shared_ptr<auth::TokenVerifier> tokens, std::vector<Outside::Part> outside, std::size_t workers,
           Abroad abroad);
    void start(std::vector<BoundListener> listeners, net::Listener admin);
    void run();

private:
    void set_tls(TlsContexts contexts);
    Task<> serve_admin(std::unique_ptr<net::Connection> connection);
    Task<> watch_signals();
    Task<> stop();
    Task<> stop_outbound();
    Task<> load_clock();
    Task<> feed_watchdog();
    Task<> announce();
    Task<> count_quotas();
    void warn(quota::Reached reached);
    Task<> send_warning(quota::Reached reached);
    void reload();
    void fill_status(api::Status& status);
    Task<api::SessionList> list_sessions(std::string account, std::size_t limit);
    Task<std::optional<api::Session>> end_session(std::string id);
    void spawn(Task<> task);

    Config config_;
    std::unique_ptr<engine::local::LocalEngine> engine_;
    upkeep::StoreClock clock_;
    directory::Directory directory_;
    std::unique_ptr<Outside> outside_;  ///< null: all accounts are our own
    KeepOutside keep_outside_{outside_.get()};
    mailstore::MailStore store_;
    activity::Ledger ledger_;
    activity::Keeper keeper_;
    activity::MassDeletions deletions_;
    auth::Authenticator authenticator_;
    directory::ServerRecords server_records_{*engine_};
    KeepLimits keep_limits_{authenticator_, server_records_};
    auth::Sasl sasl_;
    quota::Quotas quotas_;
    queue::Queue queue_;
    queue::SendingLimits sending_limits_;
    delivery::Delivery delivery_;
    Abroad abroad_;
    outbound::Runner outbound_;
    directory::RemovedAccounts removed_;
    upkeep::Retention retention_;
    upkeep::UnusualDeletions unusual_deletions_;
    net::CurrentTls tls_, smtp_tls_;
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, system_clock()};
    KeepDeviceUses keep_device_uses_{device_uses_};
    Services services_{
        config_,
        {authenticator_, sasl_, open_sessions_, device_uses_, ledger_, deletions_, store_, delivery_, tls_, smtp_tls_}};
    std::vector<api::ListeningAddress> bound_;

    asio::io_context control_{1};  ///< signals, the admin API, housekeeping: one thread, that of run()
    asio::signal_set signals_{control_, SIGTERM, SIGINT, SIGHUP};
    asio::steady_timer watchdog_timer_{control_};
    jobs::Runner jobs_{control_.get_executor(), system_clock()};
    admin::Api api_;
    net::Workers control_worker_{control_};
    net::Server admin_;
    net::Workers workers_;
    net::Server net_;

    Timestamp started_ = system_clock().now();
    SteadyTime started_steady_ = SteadyClock::now();
    bool stopping_ = false, stopped_ = false;
};

Server::Server(Config config, std::unique_ptr<engine::local::LocalEngine> engine, TlsContexts tls,
               std::shared_ptr<auth::TokenVerifier> tokens, std::vector<Outside::Part> outside, std::size_t workers,
               Abroad abroad)
    : config_(std::move(config)),
      engine_(std::move(engine)),
      clock_(*engine_, system_clock(), config_.believe_clock_after),
      directory_(*engine_, system_clock(), config_.directory),
      outside_(consult(directory_, std::move(outside), config_.auth)),
      store_(*engine_, clock_, config_.mailstore),
      ledger_(*engine_, clock_, config_.activity),
      keeper_(ledger_, [this] { return clock_.to_forget_by(); }),
      authenticator_(directory_, config_.auth, &ledger_),
      sasl_(authenticator_, system_clock(), sasl_options(config_), std::move(tokens)),
      quotas_(directory_, store_, config_.quota),
      queue_(*engine_, system_clock(), config_.queue),
      sending_limits_(*engine_, system_clock(), config_.sending),
      delivery_(directory_, store_, quotas_, system_clock(), config_.delivery, &queue_, &sending_limits_),
      abroad_(std::move(abroad)),
      outbound_(abroad_.worker->executor(0), {queue_, delivery_, *abroad_.dns, abroad_.tls}, outbound_options(config_)),
      removed_(*engine_, clock_, config_.mailstore.retention),
      retention_(
          directory_, store_, removed_, [this] { return clock_.to_forget_by(); }, config_.pop3.policy.expire_days, {},
          &ledger_),
      unusual_deletions_(deletions_, ledger_, store_, clock_,
                         [this](activity::Deletion deletion, std::uint64_t kept_twice) {
                             return deliver_unusual_deletion_mail(delivery_, config_.hostname, std::move(deletion),
                                                                  kept_twice);
                         }),
      api_({.directory = directory_,
            .mail = store_,
            .auth = authenticator_,
            .open_sessions = open_sessions_,
            .device_uses = device_uses_,
            .ledger = ledger_,
            .delivery = delivery_,
            .quotas = quotas_,
            .removed = removed_,
            .engine = *engine_,
            .clock = clock_,
            .retention = retention_,
            .hostname = config_.hostname,
            .body_limit = config_.admin_body,
            .queue = &queue_,
            .settings_changed = [this](const directory::AccountSettings& strictest) { services_.announce(strictest); },
            .own_status = [this](api::Status& status) { fill_status(status); },
            .sessions = [this](std::string account,
                               std::size_t limit) { return list_sessions(std::move(account), limit); },
            .end_session = [this](std::string id) { return end_session(std::move(id)); }}),
      admin_(control_worker_, admin_limits()),
      workers_(workers),
      net_(workers_, config_.net) {
    set_tls(std::move(tls));
}

void Server::set_tls(TlsContexts contexts) {
    tls_.set(std::move(contexts.readers));
    smtp_tls_.set(std::move(contexts.smtp));
}

Task<> Server::serve_admin(std::unique_ptr<net::Connection> connection) {
    auto handler = admin::handler(api_, admin::local_caller(connection->local_user()));
    co_await http::serve(std::move(connection), *handler);
}

void Server::spawn(Task<> task) {
    asio::co_spawn(control_, std::move(task), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);  // our own mistake: end loudly
    });
}

// Called before the listeners open, because CAPA announces it.
Task<> Server::announce() {
    auto strictest = co_await directory_.strictest_settings();
    if (strictest)
        services_.announce(*strictest);
    else
        log::error("server.settings_unreadable", {{"reason", strictest.error().detail()}});
}

Task<> Server::count_quotas() {
    auto counted = co_await quotas_.count_all();
    // Whoever needs a sum that is missing counts it then.
    if (!counted) log::warning("quota.not_counted", {{"reason", counted.error().detail()}});
}

// Called by whoever's commit it was, on that one's thread.
void Server::warn(quota::Reached reached) {
    const auto& [account, domain, percent, used, bounds] = reached;
    if (domain) {
        log::warning("quota.domain_reached", {{"domain", bounds.domain},
                                              {"percent", percent},
                                              {"messages", used.messages},
                                              {"octets", used.octets},
                                              {"most_messages", bounds.domain_messages},
                                              {"most_octets", bounds.domain_octets}});
        return;
    }
    log::info("quota.reached", {{"account_id", account.value},
                                {"percent", percent},
                                {"messages", used.messages},
                                {"octets", used.octets},
                                {"most_messages", bounds.messages},
                                {"most_octets", bounds.octets}});
    spawn(send_warning(std::move(reached)));
}

Task<> Server::send_warning(quota::Reached reached) {
    auto failed = [&](const Error& error) {
        log::warning("quota.warning_failed", {{"account_id", reached.account.value}, {"reason", error.detail()}});
    };
    auto account = co_await directory_.account(reached.account);
    if (!account) co_return failed(account.error());
    quota::Notice notice;
    notice.reached = reached;
    notice.address = account->address;
    notice.language = account->settings.language;
    notice.hostname = config_.hostname;
    notice.time = system_clock().now();
    notice.full_reply = quotas_.full_reply();
    auto delivered = co_await deliver_quota_mail(delivery_, std::move(notice));
    if (!delivered) co_return failed(delivered.error());
    log::info("quota.warned", {{"account", account->address}, {"percent", reached.percent}});
}

Task<> Server::load_clock() {
    auto loaded = co_await clock_.load();
    if (!loaded) log::error("clock.unreadable", {{"reason", loaded.error().detail()}});
}

void Server::start(std::vector<BoundListener> listeners, net::Listener admin) {
    authenticator_.keep_familiar_peers_on(control_.get_executor());
    auto tell = [this](auth::NewSite site) {
        return deliver_new_site_mail(delivery_, config_.hostname, std::move(site));
    };
    authenticator_.second_factors().on_new_site(tell);
    quotas_.on_reached([this](quota::Reached reached) { warn(std::move(reached)); });
    authenticator_.second_factors().count_by(clock_.to_count_by());
    spawn(load_clock());
    spawn(keep_limits_.load());
    spawn(keep_outside_.add_domains());
    spawn(announce());
    control_.run();
    control_.restart();
    workers_.start();
    queue_.on_due([this](queue::Due due) { outbound_.wake(std::move(due)); });
    asio::post(abroad_.worker->executor(0), [this] { outbound_.start(); });
    abroad_.worker->start();
    std::string where;
    for (auto& [row, listener, own] : listeners) {
        auto address = listener.address.text();
        const std::string name(listener_rows()[row].name);
        where += fmt::format("{}{}={}", where.empty() ? "" : " ", name, address);
        bound_.push_back({name, address});
        net_.add(std::move(listener), services_.service(row, own ? &config_.listeners[*own] : nullptr));
    }
    net::Service service;
    service.name = "admin";
    service.session = [this](std::unique_ptr<net::Connection> connection) {
        return serve_admin(std::move(connection));
    };
    admin_.add(std::move(admin), std::move(service));
    spawn(watch_signals());
    spawn(count_quotas());
    jobs_.add(clock_, {.every = kClockEvery});
    jobs_.add(keep_device_uses_, {.first = kDeviceUsesEvery, .every = kDeviceUsesEvery});
    jobs_.add(keep_limits_, {.first = kLimitsEvery, .every = kLimitsEvery});
    jobs_.add(keep_outside_, {.first = kOutsideEvery, .every = kOutsideEvery});
    jobs_.add(keeper_, {.first = kActivityEvery, .every = kActivityEvery});
    jobs_.add(unusual_deletions_, {.first = kDeletionsEvery, .every = kDeletionsEvery});
    jobs_.add(retention_, {.first = std::min<milliseconds>(kFirstHousekeeping, config_.expire_every),
                           .every = config_.expire_every});
    if (process::systemd::watchdog()) spawn(feed_watchdog());
    log::info("server.ready", {{"version", version()},
                               {"pid", getpid()},
                               {"hostname", config_.hostname},
                               {"data_dir", config_.data_dir},
                               {"admin_socket", config_.admin_socket},
                               {"workers", workers_.size()},
                               {"listening", where}});
    process::systemd::ready("Serving " + where);
}

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
    if (outside_) outside_->stop();
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

namespace {

api::Session described(const net::Server::OpenSession& session) {
    const auto now = SteadyClock::now();
    const auto since = system_clock().now() - std::chrono::duration_cast<milliseconds>(now - session.since);
    const auto idle = std::chrono::duration_cast<seconds>(now - session.heard);
    api::Session out;
    out.id = session.id;
    out.protocol = session.service;
    out.account = session.account;
    out.device = session.device;
    out.from = session.peer;
    out.since = admin::time_text(since);
    out.state = session.sending ? "sending" : "waiting";
    out.idle_seconds = static_cast<std::uint64_t>(idle.count());
    out.tls = session.tls;
    return out;
}

}  // namespace

Task<api::SessionList> Server::list_sessions(std::string account, std::size_t limit) {
    auto open = co_await net_.sessions(std::move(account), limit);
    api::SessionList list;
    for (const auto& session : open.some) list.sessions.push_back(described(session));
    list.more = open.more;
    co_return list;
}

Task<std::optional<api::Session>> Server::end_session(std::string id) {
    auto ended = co_await net_.end_session(std::move(id));
    if (!ended) co_return std::nullopt;
    co_return described(*ended);
}

// Fills in what only the server knows. admin/ asks for the rest itself.
void Server::fill_status(api::Status& status) {
    status.version = version();
    status.pid = static_cast<std::uint64_t>(getpid());
    status.started = admin::time_text(started_);
    const auto up = std::chrono::duration_cast<seconds>(SteadyClock::now() - started_steady_);
    status.uptime_seconds = static_cast<std::uint64_t>(up.count());
    status.stopping = stopping_;
    status.config = config_.file;
    status.listening = bound_;
    if (auto tls = tls_.get()) status.certificate_expires = tls->not_after();
    auto& connections = status.connections;
    services_.count_into(connections);
    const auto counters = net_.counters();
    connections.accepted = counters.accepted;
    connections.refused_total_limit = counters.refused_total;
    connections.refused_peer_limit = counters.refused_peer;
    status.storage.directory = config_.data_dir;
}

}  // namespace

Findings check_environment(const Config& config) {
    auto identity = wanted_identity(config);
    // Without `user` the server runs as the user who starts it, which need not be the one who runs check-config.
    auto findings = check_files(config, identity && *identity ? std::optional((*identity)->uid) : std::nullopt);
    if (!identity) findings.errors.push_back(identity.error().detail());
    auto tls = load_tls(config);
    if (!tls) findings.errors.push_back(tls.error().detail());
    if (tls) std::ranges::move(tls_warnings(config, *tls), std::back_inserter(findings.warnings));
    if (auto tokens = load_tokens(config); !tokens) findings.errors.push_back(tokens.error().detail());
    if (auto all = prepare_directories(config); !all) findings.errors.push_back(all.error().detail());
    if (auto abroad = load_abroad(config); !abroad) findings.errors.push_back(abroad.error().detail());
    return findings;
}

namespace {

// A message of up to 2 MB is in memory while it is sent. malloc would give that memory back to the kernel after each
// one, and the kernel would clear it again for the next: a tenth of what 1 MB over TLS costs. So an arena keeps up to 8
// MB.
void keep_freed_memory() {
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
}

}  // namespace

int serve(Config config) {
    std::vector<std::string> sockets;  // files to remove if the start fails
    std::optional<process::Identity> identity;
    auto refuse = [&](const Error& error, int exit_code) {
        remove_sockets(sockets, identity);
        return complain_lines({error.detail()}, exit_code);
    };
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGHUP, SIG_IGN);  // until the server is ready: a reload asked for too early must not end it
    umask(0077);                   // no other user may read mail
    keep_freed_memory();
    // First of all: the PAM process shall know no secret and have no socket.
    auto pam = directory::outside::start_pam(config.directories);
    if (!pam) return refuse(pam.error(), 1);
    auto prepared = prepare_directories(config);
    if (!prepared) return refuse(prepared.error(), cli::kExitConfig);
    for (std::size_t i = 0; i < pam->size(); ++i) (*prepared)[i].pam = std::move((*pam)[i]);
    auto tls = load_tls(config);
    if (!tls) return refuse(tls.error(), cli::kExitConfig);
    auto tokens = load_tokens(config);
    if (!tokens) return refuse(tokens.error(), cli::kExitConfig);
    auto abroad = load_abroad(config);
    if (!abroad) return refuse(abroad.error(), cli::kExitConfig);
    auto wanted = wanted_identity(config);
    if (!wanted) return refuse(wanted.error(), cli::kExitConfig);
    identity = std::move(*wanted);
    auto findings = check_files(config, identity ? identity->uid : geteuid());
    if (!findings.errors.empty()) return complain_lines(findings.errors, cli::kExitConfig);
    process::raise_file_limit();
    std::size_t workers = config.workers != 0 ? config.workers : std::max(1u, std::thread::hardware_concurrency());

    auto listeners = bind_all(config, workers, identity);
    if (!listeners) return refuse(listeners.error(), cli::kExitConfig);
    for (const auto& bound : *listeners)
        if (!bound.listener.inherited && !bound.listener.address.path.empty())
            sockets.push_back(bound.listener.address.path);
    auto admin = bind_admin_socket(config, identity);
    if (!admin) return refuse(admin.error(), cli::kExitConfig);
    sockets.push_back(config.admin_socket);
    if (auto made = prepare_data_dir(config, identity); !made) return refuse(made.error(), cli::kExitConfig);
    prepare_log_file(config, identity);
    if (geteuid() == 0 && identity)
        if (auto dropped = process::drop_privileges(*identity); !dropped) return refuse(dropped.error(), 1);
    process::forbid_new_privileges();  // before the log has a thread
    // Only now, without root's rights, because a user who may write in the log's folder could put a link there.
    if (auto opened = open_log(config); !opened) return refuse(opened.error(), cli::kExitConfig);
    if (geteuid() == 0) log::warning("server.running_as_root", {{"advice", "set user in the configuration"}});
    log_warnings(findings.warnings);
    if (tls) log_warnings(tls_warnings(config, *tls));

    process::systemd::status("Opening the store");
    auto engine = engine::local::LocalEngine::open(config.engine);
    if (!engine) {
        auto foreign = process::foreign_entry(config.data_dir, geteuid());
        auto what = fmt::format("{}{}{}", engine.error().detail(), foreign.empty() ? "" : "; ", foreign);
        return refuse(Error(engine.error().code(), config.error_at("data_dir", what)), 1);
    }
    if (auto& forward = config.delivery.forward; !forward.srs_domain.empty()) {
        const auto& file = forward.srs_secret_file;
        auto secret = delivery::read_srs_secret(file.empty() ? config.data_dir + "/srs-secret" : file);
        if (!secret) {
            auto what = config.error_at("forward.srs_secret_file", secret.error().detail());
            return refuse(Error(secret.error().code(), std::move(what)), cli::kExitConfig);
        }
        forward.srs_secret = std::move(*secret);
    }
    for (const auto& damage : (*engine)->status().damage)
        log::error("store.damaged", {{"file", damage.file}, {"offset", damage.offset}, {"what", damage.what}});
    auto outside = make_parts(config, *prepared);  // threads begin here, with the rights that the server keeps
    if (!outside) return refuse(outside.error(), cli::kExitConfig);
    Server server(std::move(config), std::move(*engine), std::move(*tls), std::move(*tokens), std::move(*outside),
                  workers, std::move(*abroad));
    server.start(std::move(*listeners), std::move(*admin));
    server.run();
    return 0;
}

}  // namespace poplar::server
