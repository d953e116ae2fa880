// The list of all keys. Each folder declares its own; those of the server itself are here.
#include "server/settings.h"

#include "activity/settings.h"
#include "auth/settings.h"
#include "delivery/settings.h"
#include "directory/outside/settings.h"
#include "directory/settings.h"
#include "dns/settings.h"
#include "engine/local/settings.h"
#include "imap/settings.h"
#include "inspection/settings.h"
#include "mail/address.h"
#include "mailstore/settings.h"
#include "managesieve/settings.h"
#include "net/listener.h"
#include "net/settings.h"
#include "outbound/settings.h"
#include "pop3/settings.h"
#include "queue/settings.h"
#include "quota/settings.h"
#include "screening/settings.h"
#include "server/services.h"
#include "session/settings.h"
#include "smtp/settings.h"

namespace poplar::server {

namespace {

std::string check_hostname(std::string& name) {
    auto canonical = mail::canonical_domain(name);
    if (!canonical) return "\"" + name + "\" is not a host name";
    name = *canonical;
    return {};
}

void add_general(config::Keys& keys, Config& config) {
    keys.text("hostname", config.hostname,
              "The name this server goes by: in greetings, `Received` fields and replies. Default: the machine's name.",
              config::Empty::refused, check_hostname);
    keys.path("data_dir", config.data_dir,
              "Where everything is stored. Made (mode 0700) if missing. One server at a time: a second one is refused. "
              "Commands that open it with the server stopped (`poplar rebuild`, `poplar verify`), run by root, go on "
              "as its owner.");
    keys.path(
        "admin_socket", config.admin_socket,
        "The local socket of the [admin API](../reference/admin-api.md), mode 0600. Its folder is made if missing, "
        "and is root's if root starts the server.");
    keys.text("user", config.user,
              "The user to become after ports are bound and the private key is read. Empty: stay who started it (with "
              "a warning if that is root). Where this user could put a link (a folder on the path is its own), root "
              "does nothing itself: sockets, `data_dir` and the log are then made and opened with this user's rights.");
    keys.text("group", config.group, "The group to become. Empty: the main group of `user`.");
    keys.number("workers", config.workers, 0, 1024, "Threads that serve connections. 0: one for each processor.");
}

void add_listener(config::Keys& keys, ListenerSettings& listener) {
    config::Words<std::string> protocols;
    for (const auto& row : listener_rows()) protocols.emplace_back(row.name, row.name);
    keys.choice<std::string>("protocol", listener.protocol, protocols, "");
    auto check = [](const std::string& text) {
        auto parsed = net::parse_address(text);
        return parsed ? std::string() : parsed.error().detail();
    };
    keys.text("address", listener.address, "", config::Empty::refused, check);
    net::add_networks(keys, "proxy_protocol", listener.proxies, "");
    net::add_networks(keys, "xclient", listener.xclient, "");
}

void add_listeners(config::Keys& keys, Config& config) {
    auto key = [](const char* section, std::string_view name) { return section + std::string(name); };
    for (const auto& row : listener_rows())
        net::add_addresses(keys, key("listen.", row.name), config.listen[std::string(row.name)],
                           std::string(row.words));
    for (const auto& row : listener_rows())
        net::add_networks(keys, key("proxy_protocol.", row.name), config.proxies[std::string(row.name)],
                          std::string(row.proxy_words));
    net::add_proxy_settings(keys, config.net);
    keys.tables<ListenerSettings>("listener", config.listeners, add_listener,
                                  "Further listeners, one section each. See [below](#more-listeners).");
}

void add_upkeep(config::Keys& keys, Config& config) {
    using std::chrono::days;
    using std::chrono::milliseconds;
    using std::chrono::seconds;
    keys.duration("storage.expire_every", config.expire_every, milliseconds(100), days(1),
                  "How often all accounts are looked at for deleted mail whose days are over, and removed accounts. "
                  "The first time is 5 minutes after the start at the latest. For `pop3.expire`: once a day.");
    keys.duration("storage.believe_clock_after", config.believe_clock_after, seconds(0), days(3'650),
                  "When the machine's clock jumps by more than a day, or a start finds it so, nothing is forgotten "
                  "until it has run evenly for so long, or is right again, or is confirmed (`poplar clock confirm`). "
                  "`\"0s\"`: until one of the last two. See [durability.md](durability.md#a-wrong-clock).");
}

void add_junk(config::Keys& keys, Config& config) {
    using std::chrono::days;
    using std::chrono::milliseconds;
    using upkeep::DigestFor;
    keys.choice<DigestFor>(
        "junk.digest", config.junk_digest,
        config::Words<DigestFor>{{"none", DigestFor::none}, {"pop", DigestFor::pop}, {"all", DigestFor::all}},
        "The accounts that get a message once a day about what is new in their mailbox for junk: `pop` those that were "
        "used by POP in the last 30 days and not by IMAP, as far as their [activity](#activity) is kept.");
    keys.duration("junk.digest_first", config.junk_digest_first, milliseconds(100), days(1),
                  "How long after the start they are written for the first time; then every 6 hours for those who got "
                  "none for 20 hours.");
}

void add_limits(config::Keys& keys, Config& config) {
    using std::chrono::hours;
    using std::chrono::seconds;
    keys.size("limits.envelope_memory", config.envelope_memory, 1u << 20, config::Keys::kMostOctets,
              "Memory for the recipients of messages under way, SMTP and LMTP together; a thousand take about 100 KB. "
              "One network (IPv4: /24, IPv6: /48) has half of it, two have a third each, and so on. More: `452 4.5.3` "
              "to further recipients.");
    keys.size("limits.unfinished_messages", config.unfinished_messages, 1u << 20, config::Keys::kMostOctets,
              "Octets of messages under way by SMTP, in memory or on the disk; those under 256 KiB do not count. One "
              "network (IPv4: /24, IPv6: /48) has half of it, two have a third each, and so on, but a MiB in any case. "
              "More: `452 4.3.1` at the end of the message, which is dropped at once.");
    keys.duration("limits.drain_time", config.drain_time, seconds(0), hours(1),
                  "After SIGTERM: how long sessions may take to finish. Then they are cut.")
        .live("drain_time");
    keys.size("limits.admin_body", config.admin_body, 1u << 20, std::uint64_t(4) << 30,
              "Octets of a request to the admin API (delivered mail aside); larger: `413`.");
}

void add_log(config::Keys& keys, Config& config) {
    keys.choice<log::Level>("log.level", config.log.level,
                            config::Words<log::Level>{{"debug", log::Level::debug},
                                                      {"info", log::Level::info},
                                                      {"warning", log::Level::warning},
                                                      {"error", log::Level::error}},
                            "`debug`, `info`, `warning` or `error`: this and above.")
        .live("log");
    keys.choice<log::Format>("log.format", config.log.format,
                             config::Words<log::Format>{{"text", log::Format::text}, {"json", log::Format::json}},
                             "`text` (`time level event key=value ...`) or `json`.")
        .live("log");
    keys.path("log.file", config.log.file,
              "A file, opened by `user`, and anew at SIGHUP: `user` must be able to write in its folder, which is "
              "made, of `user`, if missing. (In a folder of root's the file is made at the start alone: rotate it with "
              "logrotate's `create` or `copytruncate`.) Empty: standard error.",
              config::Empty::allowed)
        .live("log");
    keys.size(
            "log.peer_rate", config.log.shares.rate, 0, config::Keys::kMostOctets,
            "Octets a second of lines about what peers do, all peers together; in a second, no peer takes more than it "
            "leaves for the others. Octets over that are not written, but counted in `log.held_back`. 0: any number.")
        .live("log");
    keys.number(
            "log.peer_share", config.log.shares.per_octet, 0, 1000,
            "Octets of such lines for each octet that the peer sent, beside a kilobyte to begin with. 0: any number.")
        .live("log");
}

}  // namespace

std::vector<config::Key> keys_of(Config& config) {
    config::Keys keys;
    add_general(keys, config);
    add_listeners(keys, config);
    net::add_settings(keys, config.tls);
    session::add_settings(keys, config.allow_plaintext);
    auth::add_settings(keys, config.auth, config.sasl);
    auth::add_settings(keys, config.sasl.tokens);
    activity::add_settings(keys, config.activity);
    directory::add_settings(keys, config.directory);
    directory::outside::add_settings(keys, config.directories);
    mailstore::add_settings(keys, config.mailstore);
    add_upkeep(keys, config);
    engine::local::add_settings(keys, config.engine);
    net::add_settings(keys, config.net);
    delivery::add_settings(keys, config.delivery);
    inspection::add_settings(keys, config.inspection);
    add_junk(keys, config);
    quota::add_settings(keys, config.quota);
    add_limits(keys, config);
    pop3::add_settings(keys, config.pop3);
    imap::add_settings(keys, config.imap);
    managesieve::add_settings(keys, config.managesieve);
    smtp::add_settings(keys, "smtp", config.smtp, config.xclient.smtp);
    smtp::add_settings_for_strangers(keys, "smtp", config.smtp, config.unknown_recipients_per_peer,
                                     config.smtp_ciphers);
    smtp::add_settings(keys, "submission", config.submission, config.xclient.submission);
    smtp::add_settings_for_submission(keys, config.submission);
    queue::add_settings(keys, config.sending);
    smtp::add_settings(keys, "lmtp", config.lmtp, config.xclient.lmtp);
    queue::add_settings(keys, config.queue);
    outbound::add_settings(keys, config.outbound);
    dns::add_settings(keys, config.dns);
    screening::add_settings(keys, config.checks);
    net::add_networks(keys, "checks.trusted_clients", config.trusted_clients,
                      "Clients for whom there are no lists, no delay of the greeting and no greylisting.");
    add_log(keys, config);
    return keys.take();
}

}  // namespace poplar::server
