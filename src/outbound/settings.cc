#include "outbound/settings.h"

#include "base/units.h"
#include "config/keys.h"
#include "outbound/options.h"
#include "outbound/route.h"

namespace poplar::outbound {

namespace {

std::string check_step(const std::string& text) {
    auto step = parse_duration(text);
    if (!step) return step.error().detail();
    return *step < std::chrono::seconds(1) || *step > std::chrono::days(7) ? "\"" + text + "\" is not from 1s to 7d"
                                                                           : "";
}

std::string check_source(const std::string& text) {
    return text.empty() || is_address(text) ? "" : "\"" + text + "\" is no address";
}

void add_route(config::Keys& keys, Route& route) {
    auto check_host = [](std::string& text) {
        auto parsed = parse_host(text);
        return text.empty() || parsed ? std::string() : parsed.error().detail();
    };
    auto check_source_text = [](std::string& text) { return check_source(text); };
    keys.text("domain", route.domain, "", config::Empty::refused);
    keys.text("sender", route.sender, "", config::Empty::allowed);
    keys.text("host", route.host, "", config::Empty::allowed, check_host);
    keys.text("login", route.login, "", config::Empty::allowed);
    keys.path("password_file", route.password_file, "", config::Empty::allowed);
    using Policy = std::optional<TlsPolicy>;
    keys.choice<Policy>("tls", route.tls,
                        config::Words<Policy>{{"auto", std::nullopt},
                                              {"none", TlsPolicy::none},
                                              {"opportunistic", TlsPolicy::opportunistic},
                                              {"encrypt", TlsPolicy::encrypt},
                                              {"verify", TlsPolicy::verify}},
                        "");
    keys.text("source_ipv4", route.source_ipv4, "", config::Empty::allowed, check_source_text);
    keys.text("source_ipv6", route.source_ipv6, "", config::Empty::allowed, check_source_text);
    keys.number("connections", route.connections, 0, 10'000, "");
}

}  // namespace

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::days;
    using std::chrono::hours;
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    using std::chrono::seconds;
    keys.texts(
        "queue.retry", options.retry, "durations like \"15m\"", check_step,
        "The waits between attempts, in order; behind the last it stays. Each is made up to an eighth shorter or "
        "longer by chance. An empty list: 15 minutes each.");
    keys.duration("queue.warn_after", options.warn_after, seconds(1), days(30),
                  "The sender of a message that is older than this is told, once, that it takes long.");
    keys.duration("queue.give_up_after", options.give_up_after, seconds(1), days(30),
                  "Then the message goes back to its sender.");
    keys.number("queue.connections", options.connections, 2, 100'000, "Connections to other servers, in all.");
    keys.number("queue.connections_per_destination", options.connections_per_destination, 1, 10'000,
                "Connections to one destination: the same set of MX hosts, or a route's host. It begins with two, and "
                "gets more as it takes mail.");
    keys.number("queue.messages_per_connection", options.messages_per_connection, 1, 1'000'000,
                "Messages over one connection; then a new one is made.");
    keys.number("queue.recipients_per_message", options.recipients_per_message, 1, 100'000,
                "Recipients of one message at one destination that are named together. Servers take at least 100.");
    keys.duration("queue.connect_timeout", options.connect_timeout, milliseconds(100), minutes(10),
                  "For a connection to one address; then the next one is tried.");
    keys.duration(
        "queue.reply_timeout", options.reply_timeout, milliseconds(100), minutes(30),
        "For the greeting, for each reply, and for 64 KB of a message; the reply to the message itself may take "
        "twice as long.");
    keys.duration("queue.reuse", options.reuse, milliseconds(0), minutes(5),
                  "How long a connection without a message is kept for the next one.");
    keys.duration("queue.dead_host", options.dead_host, milliseconds(100), hours(1),
                  "How long a destination that nobody could be reached at is left alone. Messages for it that are due "
                  "meanwhile count as tried.");
    keys.path(
        "queue.ca_file", options.ca_file,
        "Authorities (PEM) that vouch for other servers, where a route says `tls = \"verify\"` or an MTA-STS policy "
        "wants it. Empty: the system's.",
        config::Empty::allowed);
    keys.boolean(
        "queue.dane", options.dane,
        "Whether TLSA records in the DNS decide whose certificate is good (DANE). Only answers that validate count: "
        "`dns.trust_anchors`.");
    keys.boolean(
        "queue.mta_sts", options.mta_sts,
        "Whether the MTA-STS policies of domains are fetched and obeyed. `queue.ca_file` has the authorities for that, "
        "too.");
    keys.duration("queue.policy_timeout", options.policy_timeout, milliseconds(100), minutes(5),
                  "For an MTA-STS policy to be fetched. If it fails, the one that is kept holds as long as it says.");
    keys.tables<Route>(
        "queue.route", options.routes, add_route,
        "Where mail goes in place of a domain's MX hosts, one section each; the first that fits is taken. "
        "See [sending.md](sending.md#routes).");
}

}  // namespace poplar::outbound
