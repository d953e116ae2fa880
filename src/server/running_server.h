#pragma once
// All parts of the server, and how they belong together. running_server.cc puts them together and starts them;
// running_signals.cc reloads and stops them.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "activity/keeper.h"
#include "activity/mass_deletions.h"
#include "admin/api.h"
#include "api/activity.h"
#include "api/server.h"
#include "auth/open_sessions.h"
#include "base/steady.h"
#include "delivery/signing.h"
#include "directory/removed.h"
#include "outbound/runner.h"
#include "screening/screener.h"
#include "server/bind.h"
#include "server/environment.h"
#include "server/greylist_job.h"
#include "server/keeping_jobs.h"
#include "server/services.h"
#include "upkeep/encrypt_mail.h"
#include "upkeep/junk_digest.h"
#include "upkeep/retention.h"
#include "upkeep/store_clock.h"
#include "upkeep/unusual_deletions.h"

namespace poplar::server {

using Outside = directory::outside::Outside;

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
    Task<> load_signing_keys();
    Task<> begin_encryption(directory::AccountId account, encryption::PublicKey key);
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
    delivery::SigningStore signing_{*engine_, system_clock()};
    delivery::Delivery delivery_;
    Abroad abroad_;
    screening::Screener screener_;
    delivery::Greylist greylist_;
    ForgetGreylist forget_greylist_;
    outbound::Runner outbound_;
    directory::RemovedAccounts removed_;
    upkeep::Retention retention_;
    upkeep::UnusualDeletions unusual_deletions_;
    upkeep::EncryptMail encrypt_mail_{directory_, store_, *engine_};
    upkeep::JunkDigest junk_digest_{directory_,
                                    store_,
                                    ledger_,
                                    system_clock(),
                                    {config_.junk_digest, config_.hostname, config_.directory.detail_separator}};
    net::CurrentTls tls_, smtp_tls_;
    auth::OpenSessions open_sessions_;
    auth::DeviceUses device_uses_{directory_, system_clock()};
    KeepDeviceUses keep_device_uses_{device_uses_};
    Services services_{config_,
                       {authenticator_, sasl_, open_sessions_, device_uses_, ledger_, deletions_, store_, directory_,
                        quotas_, delivery_, tls_, smtp_tls_}};
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

}  // namespace poplar::server
