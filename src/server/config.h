#pragma once
// The configuration: one TOML file, every key with a safe default, anything unknown or misspelt an error.
// The keys are those of server/settings.cc; the tables of docs/operating/configuration.md are made from them.
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "activity/ledger.h"
#include "auth/exchange.h"
#include "base/log.h"
#include "config/reader.h"
#include "delivery/delivery.h"
#include "directory/directory.h"
#include "directory/outside/settings.h"
#include "dns/resolver.h"
#include "engine/local/local_engine.h"
#include "imap/session.h"
#include "inspection/options.h"
#include "mailstore/mail_store.h"
#include "managesieve/session.h"
#include "net/server.h"
#include "net/settings.h"
#include "outbound/options.h"
#include "pop3/session.h"
#include "queue/queue.h"
#include "queue/sending_limits.h"
#include "quota/quotas.h"
#include "screening/screener.h"
#include "session/channel.h"
#include "smtp/session.h"
#include "upkeep/junk_digest.h"

namespace poplar::server {

inline constexpr std::string_view kDefaultConfigFile = "/etc/poplar/poplar.toml";

/// Where to listen, for one protocol: "HOST:PORT", "[IPv6]:PORT" or "unix:PATH".
using Addresses = std::vector<std::string>;

/// "192.0.2.0/24", "2001:db8::1" or "unix"; checked already (base/networks.h).
using NetworkTexts = std::vector<std::string>;

/// A listener beside those of [listen]: one address with its own proxies and front servers.
struct ListenerSettings {
    std::string protocol;  ///< the name of a row (server/services.h)
    std::string address;
    NetworkTexts proxies;  ///< if any, only these may connect, and each connection begins with a header
    NetworkTexts xclient;
};

struct Config {
    std::string hostname;  ///< the machine's name if the file has none
    std::string data_dir = "/var/lib/poplar";
    std::string admin_socket = "/run/poplar/admin.sock";
    std::string user, group;
    std::size_t workers = 0;  ///< 0: one a core

    std::map<std::string, Addresses> listen;  ///< by the listener's name

    std::vector<ListenerSettings> listeners;  ///< further ones

    /// The networks whose connections begin with the PROXY protocol's header, for each listener.
    std::map<std::string, NetworkTexts> proxies;
    /// The front servers that may say who their client is.
    struct {
        NetworkTexts smtp, submission, lmtp;
    } xclient;

    net::TlsSettings tls;

    auth::Options auth;
    activity::Options activity;
    session::AllowPlaintext allow_plaintext = session::AllowPlaintext::loopback;
    auth::SaslOptions sasl;  ///< `hostname` is put in when the server starts
    directory::Options directory;
    std::vector<directory::outside::Settings> directories;  ///< [[directory]]
    engine::local::Options engine;                          ///< `directory` is set from data_dir
    mailstore::Options mailstore = [] {
        mailstore::Options options;
        options.default_mailboxes = {"Drafts:drafts", "Sent:sent", "Junk:junk", "Trash:trash"};
        return options;
    }();
    delivery::Limits delivery;
    quota::Options quota;

    struct {
        log::Level level = log::Level::info;
        log::Format format = log::Format::text;
        std::string file;
        poplar::log::ShareLimits shares;
    } log;

    net::ServerLimits net;
    // The host name and the certificate are put into these when the server starts.
    pop3::Options pop3;
    imap::Options imap;
    managesieve::Options managesieve;
    smtp::Options smtp = smtp::defaults(smtp::Protocol::smtp);
    smtp::Options submission = smtp::defaults(smtp::Protocol::submission);
    smtp::Options lmtp = smtp::defaults(smtp::Protocol::lmtp);
    queue::SendingQuota sending;  ///< of those who submit
    queue::Options queue;
    dns::Options dns;
    inspection::Options inspection;
    screening::Options checks;
    std::vector<std::string> trusted_clients;  ///< networks: no lists, delays and greylisting for them
    outbound::Options outbound;                ///< `hostname` is put in when the server starts
    std::string smtp_ciphers;                  ///< empty: net::kOpportunisticCiphers
    std::uint32_t unknown_recipients_per_peer = 100;
    std::uint64_t envelope_memory = 64u << 20;
    std::uint64_t unfinished_messages = 512u << 20;  ///< octets
    std::chrono::seconds drain_time = std::chrono::seconds(30);
    std::chrono::milliseconds expire_every = std::chrono::hours(1);  ///< rounds of housekeeping
    upkeep::DigestFor junk_digest = upkeep::DigestFor::pop;
    std::chrono::milliseconds junk_digest_first = std::chrono::hours(1);  ///< after the start
    std::chrono::seconds believe_clock_after = std::chrono::days(7);      ///< of running evenly behind a jump; 0: never
    std::uint64_t admin_body = 64u << 20;  ///< octets of a request to the admin API, mail aside

    /// The file and, for each key it sets, the line: for errors that only show when the value is used.
    std::string file;
    config::Lines lines;
    /// `FILE:LINE: key: what`; without the line if the file does not set the key.
    std::string error_at(std::string_view key, std::string_view what) const;
};

/// Each of `errors` is one line for the operator: `FILE:LINE: key: what`.
struct ConfigErrors {
    std::vector<std::string> lines;
};
std::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& file);
std::expected<Config, ConfigErrors> load_config(const std::string& file);

/// The keys whose values differ, as names.
struct ConfigChanges {
    std::vector<std::string> live, restart;
    std::set<std::string_view> appliers;  ///< of the live ones
};
ConfigChanges compare(Config before, Config after);

}  // namespace poplar::server
