// Puts the parts together and starts them; warns of full mailboxes, and tells the admin API what only it knows.
#include "server/running_server.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "admin/names.h"
#include "auth/mail_keys.h"
#include "auth/password.h"
#include "base/log.h"
#include "base/version.h"
#include "http/session.h"
#include "process/systemd.h"
#include "server/own_mail.h"

namespace poplar::server {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kFirstHousekeeping = std::chrono::minutes(5);  // not among the logins after a restart
constexpr auto kDeviceUsesEvery = std::chrono::minutes(1);
constexpr auto kGreylistEvery = std::chrono::hours(6);
constexpr auto kActivityEvery = std::chrono::minutes(1);
constexpr auto kLimitsEvery = std::chrono::minutes(1);
constexpr auto kOutsideEvery = std::chrono::minutes(1);
constexpr auto kEncryptEvery = seconds(20);            // mail that is to be encrypted is looked for
constexpr auto kDeletionsEvery = seconds(15);          // they are judged
constexpr auto kDigestEvery = std::chrono::hours(6);   // is looked who is to get one
constexpr auto kClockEvery = std::chrono::minutes(1);  // it is looked at; stored once an hour
constexpr std::size_t kAdminConnections = 64;

outbound::Options outbound_options(const Config& config) {
    auto options = config.outbound;
    options.hostname = config.hostname;
    return options;
}

auth::SaslOptions sasl_options(const Config& config) {
    auto options = config.sasl;
    options.hostname = config.hostname;
    return options;
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

decltype(admin::Services::learn) learn_by(const inspection::RspamdTeacher* teacher) {
    if (!teacher) return nullptr;
    return [teacher](admin::Services::Lesson lesson, std::unique_ptr<engine::BodyReader> wire, std::uint64_t octets) {
        using Lesson = inspection::RspamdTeacher::Lesson;
        const auto as = lesson == admin::Services::Lesson::spam ? Lesson::spam : Lesson::ham;
        return teacher->teach(as, std::move(wire), octets);
    };
}

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
      screener_(abroad_.worker->executor(0), *abroad_.dns, system_clock(), config_.hostname, config_.checks),
      greylist_(*engine_, system_clock(), config_.checks.greylist),
      forget_greylist_(greylist_),
      outbound_(abroad_.worker->executor(0), {queue_, delivery_, *abroad_.dns, abroad_.tls, &server_records_},
                outbound_options(config_)),
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
            .learn = learn_by(abroad_.teacher.get()),
            .settings_changed = [this](const directory::AccountSettings& strictest) { services_.announce(strictest); },
            .own_status = [this](api::Status& status) { fill_status(status); },
            .sessions = [this](std::string account,
                               std::size_t limit) { return list_sessions(std::move(account), limit); },
            .end_session = [this](std::string id) { return end_session(std::move(id)); }}),
      admin_(control_worker_, admin_limits()),
      workers_(workers),
      net_(workers_, config_.net) {
    set_tls(std::move(tls));
    for (const auto& milter : abroad_.milters) delivery_.inspect_with(*milter);
    if (abroad_.rspamd) delivery_.inspect_with(*abroad_.rspamd);
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
    // A sum that is missing is counted by the first who needs it.
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

// Mail that can't be signed is sent without a signature: it may still arrive, and it waited long enough.
Task<> Server::load_signing_keys() {
    auto unreadable = co_await signing_.load();
    if (!unreadable)
        log::error("dkim.keys_unreadable", {{"reason", unreadable.error().detail()}});
    else if (*unreadable > 0)
        log::error("dkim.keys_unreadable", {{"keys", *unreadable}});
}

// The job does it, too, should this fail.
Task<> Server::begin_encryption(directory::AccountId account, encryption::PublicKey key) {
    auto begun = co_await store_.begin_encryption(account, key);
    if (!begun)
        log::warning("encryption.not_done", {{"account_id", account.value}, {"reason", begun.error().detail()}});
}

void Server::start(std::vector<BoundListener> listeners, net::Listener admin) {
    authenticator_.keep_familiar_peers_on(control_.get_executor());
    auto tell = [this](auth::NewSite site) {
        return deliver_new_site_mail(delivery_, config_.hostname, std::move(site));
    };
    authenticator_.second_factors().on_new_site(tell);
    quotas_.on_reached([this](quota::Reached reached) { warn(std::move(reached)); });
    authenticator_.mail_keys().on_begun([this](directory::AccountId account, const encryption::PublicKey& key) {
        spawn(begin_encryption(account, key));
    });
    authenticator_.second_factors().count_by(clock_.to_count_by());
    delivery_.sign_with(signing_);
    delivery_.use_common_scripts(*engine_);
    if (config_.checks.any() || !config_.checks.dnsbl.empty()) delivery_.screen_with(screener_);
    if (greylist_.on()) delivery_.greylist_with(greylist_);
    spawn(load_clock());
    spawn(load_signing_keys());
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
    if (greylist_.on()) jobs_.add(forget_greylist_, {.first = kGreylistEvery, .every = kGreylistEvery});
    jobs_.add(keeper_, {.first = kActivityEvery, .every = kActivityEvery});
    jobs_.add(unusual_deletions_, {.first = kDeletionsEvery, .every = kDeletionsEvery});
    jobs_.add(encrypt_mail_, {.first = kEncryptEvery, .every = kEncryptEvery});
    jobs_.add(retention_, {.first = std::min<milliseconds>(kFirstHousekeeping, config_.expire_every),
                           .every = config_.expire_every});
    jobs_.add(junk_digest_, {.first = config_.junk_digest_first, .every = kDigestEvery});
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

}  // namespace poplar::server
