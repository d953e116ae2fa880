// The rows of all listeners, and what the sessions of each protocol share.
#include "server/services.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "api/server.h"
#include "auth/open_sessions.h"
#include "base/budget.h"
#include "base/fair_pool.h"
#include "base/random.h"
#include "delivery/delivery.h"
#include "imap/session.h"
#include "managesieve/session.h"
#include "net/tls.h"
#include "policy/session.h"
#include "pop3/session.h"
#include "server/config.h"
#include "smtp/session.h"

namespace poplar::server {

namespace {

constexpr std::uint64_t kEnvelopesOfOnePeer = 256 * 1024;  // octets of a network, whatever its share
constexpr std::uint64_t kUnfinishedOfOnePeer = 1u << 20;   // the same

struct SessionCount {
    std::atomic<std::uint64_t> live = 0, total = 0;
};

Task<> counted(SessionCount& count, Task<> session) {
    struct Guard {
        explicit Guard(SessionCount& c) : counter(c) { ++counter.live, ++counter.total; }
        ~Guard() { --counter.live; }
        SessionCount& counter;
    } guard(count);
    co_await std::move(session);
}

std::size_t search_threads(const imap::Options& options) {
    if (options.search_threads != 0) return options.search_threads;
    return std::max(1u, std::thread::hardware_concurrency() / 2);
}

}  // namespace

struct Services::Shared {
    Shared(Config& c, const Parts& parts)
        : config(c),
          announced(c.pop3.policy),
          listings(c.pop3.listing_cache),
          logins{parts.authenticator, parts.sasl,        parts.open_sessions, parts.device_uses,
                 parts.ledger,        c.allow_plaintext, &parts.deletions},
          pop3{logins, parts.store, login_delays, announced, &listings},
          searches(search_threads(c.imap), std::numeric_limits<std::size_t>::max()),
          imap{logins, parts.store, parts.directory, parts.quotas, &searches},
          unknown_recipients({.free = c.unknown_recipients_per_peer}),
          envelopes(c.envelope_memory, kEnvelopesOfOnePeer),
          unfinished(c.unfinished_messages, kUnfinishedOfOnePeer),
          smtp{parts.delivery, &unknown_recipients, &envelopes, &unfinished},
          submission{parts.delivery, nullptr, &envelopes, &unfinished, &logins},
          lmtp{parts.delivery, nullptr, &envelopes, nullptr},
          managesieve{logins, parts.delivery.scripts()},
          delivery(parts.delivery),
          tls(parts.tls),
          counts(listener_rows().size()) {
        if (c.tls.configured()) {
            c.pop3.tls = c.imap.tls = c.managesieve.tls = c.lmtp.tls =
                c.submission.tls = [&current = parts.tls] { return current.get(); };
            c.smtp.tls = [&current = parts.smtp_tls] { return current.get(); };
        }
        c.smtp.xclient = *Networks::parse(c.xclient.smtp);
        c.smtp.trusted = *Networks::parse(c.trusted_clients);
        c.lmtp.xclient = *Networks::parse(c.xclient.lmtp);
        c.submission.xclient = *Networks::parse(c.xclient.submission);
        c.imap.append_limit = c.delivery.message_octets;
        c.pop3.hostname = c.smtp.hostname = c.lmtp.hostname = c.submission.hostname = c.hostname;
    }

    const Config& config;
    pop3::LoginDelays login_delays;
    pop3::Announced announced;
    pop3::ListingCache listings;
    session::LoginServices logins;
    pop3::Services pop3;
    FairPool searches;
    imap::Services imap;
    smtp::UnknownRecipients unknown_recipients;
    Budget envelopes, unfinished;
    smtp::Services smtp, submission, lmtp;
    managesieve::Services managesieve;
    delivery::Delivery& delivery;
    const net::CurrentTls& tls;
    std::vector<SessionCount> counts;  ///< by listener
};

namespace {

using Shared = Services::Shared;
using Connection = std::unique_ptr<net::Connection>;

std::string pop3_busy(const Shared&) { return pop3::kBusyReply; }
Task<> serve_pop3(Connection connection, Shared& shared, const smtp::Options*) {
    return pop3::serve(std::move(connection), shared.pop3, shared.config.pop3, random_text(10));
}

std::string imap_busy(const Shared&) { return imap::kBusyReply; }
Task<> serve_imap(Connection connection, Shared& shared, const smtp::Options*) {
    return imap::serve(std::move(connection), shared.imap, shared.config.imap, random_text(10));
}

std::string smtp_busy(const Shared& shared) {
    return fmt::format("421 4.3.2 {} too many connections, try again later\r\n", shared.config.hostname);
}
Task<> serve_smtp(Connection connection, Shared& shared, const smtp::Options* own) {
    return smtp::serve(std::move(connection), shared.smtp, own ? *own : shared.config.smtp, random_text(10));
}
Task<> serve_submission(Connection connection, Shared& shared, const smtp::Options* own) {
    return smtp::serve(std::move(connection), shared.submission, own ? *own : shared.config.submission,
                       random_text(10));
}
Task<> serve_lmtp(Connection connection, Shared& shared, const smtp::Options* own) {
    return smtp::serve(std::move(connection), shared.lmtp, own ? *own : shared.config.lmtp, random_text(10));
}

std::string sieve_busy(const Shared&) { return managesieve::kBusyReply; }
Task<> serve_sieve(Connection connection, Shared& shared, const smtp::Options*) {
    return managesieve::serve(std::move(connection), shared.managesieve, shared.config.managesieve, random_text(10));
}

std::string policy_busy(const Shared&) { return std::string(policy::kBusyReply); }
Task<> serve_policy(Connection connection, Shared& shared, const smtp::Options*) {
    return policy::serve(std::move(connection), shared.delivery, random_text(10));
}

}  // namespace

std::span<const ListenerRow> listener_rows() {
    static const ListenerRow rows[] = {
        {"pop3",
         "pop3",
         false,
         {"[::]:110"},
         "POP3, with STLS when TLS is configured.",
         "Proxies in front of `listen.pop3`.",
         nullptr,
         pop3_busy,
         serve_pop3},
        {"pop3s",
         "pop3",
         true,
         {"[::]:995"},
         "POP3 in TLS from the first octet. Needs `[tls]`.",
         "Of `listen.pop3s`. The header comes before the handshake.",
         nullptr,
         pop3_busy,
         serve_pop3},
        {"imap",
         "imap",
         false,
         {"[::]:143"},
         "IMAP, with STARTTLS when TLS is configured.",
         "Of `listen.imap`.",
         nullptr,
         imap_busy,
         serve_imap},
        {"imaps",
         "imap",
         true,
         {"[::]:993"},
         "IMAP in TLS from the first octet. Needs `[tls]`.",
         "Of `listen.imaps`. The header comes before the handshake.",
         nullptr,
         imap_busy,
         serve_imap},
        {"smtp",
         "smtp",
         false,
         {"[::]:25"},
         "SMTP for mail to our own domains, with STARTTLS when TLS is configured.",
         "Of `listen.smtp`.",
         &Config::smtp,
         smtp_busy,
         serve_smtp},
        {"submission",
         "submission",
         false,
         {"[::]:587"},
         "Submission (RFC 6409) for users who log in, with STARTTLS when TLS is configured.",
         "Of `listen.submission`.",
         &Config::submission,
         smtp_busy,
         serve_submission},
        {"submissions",
         "submission",
         true,
         {"[::]:465"},
         "Submission in TLS from the first octet (RFC 8314). Needs `[tls]`.",
         "Of `listen.submissions`. The header comes before the handshake.",
         &Config::submission,
         smtp_busy,
         serve_submission},
        {"lmtp",
         "lmtp",
         false,
         {"unix:/run/poplar/lmtp.sock", "127.0.0.1:24"},
         "LMTP for a front mail server. Anyone who can connect can deliver: keep it on loopback or a local socket.",
         "Of `listen.lmtp`.",
         &Config::lmtp,
         smtp_busy,
         serve_lmtp},
        {"sieve",
         "sieve",
         false,
         {"[::]:4190"},
         "ManageSieve (RFC 5804) for users' filter scripts, with STARTTLS when TLS is configured.",
         "Of `listen.sieve`.",
         nullptr,
         sieve_busy,
         serve_sieve},
        {"policy",
         "policy",
         false,
         {},
         "For Postfix's `check_policy_service`, which asks here whether a recipient's mailbox is full. See "
         "[quota.md](quota.md#postfix-in-front). Anyone who can connect learns that: keep it on loopback or a local "
         "socket.",
         "Of `listen.policy`.",
         nullptr,
         policy_busy,
         serve_policy},
    };
    return rows;
}

Services::Services(Config& config, const Parts& parts) : shared_(std::make_unique<Shared>(config, parts)) {}

Services::~Services() = default;

net::Service Services::service(std::size_t listener, const ListenerSettings* own) {
    const auto& row = listener_rows()[listener];
    net::Service service;
    service.name = row.name;
    service.protocol = row.protocol;
    service.busy_reply = row.busy_reply(*shared_);
    std::shared_ptr<smtp::Options> options;
    if (own && row.smtp_options) {
        options = std::make_shared<smtp::Options>(shared_->config.*row.smtp_options);
        options->xclient = *Networks::parse(own->xclient);
    }
    service.session = [&row, &shared = *shared_, &count = shared_->counts[listener], options](Connection connection) {
        return counted(count, row.serve(std::move(connection), shared, options.get()));
    };
    if (row.tls) service.tls = [&tls = shared_->tls] { return tls.get(); };
    service.proxies = *Networks::parse(own ? own->proxies : shared_->config.proxies.at(std::string(row.name)));
    service.proxies_only = own && !own->proxies.empty();
    return service;
}

void Services::announce(const directory::AccountSettings& strictest) { shared_->announced.set(strictest); }

void Services::count_into(api::Connections& connections) const {
    for (std::size_t i = 0; i < shared_->counts.size(); ++i)
        connections.by_protocol[std::string(listener_rows()[i].name)] = {shared_->counts[i].live,
                                                                         shared_->counts[i].total};
}

}  // namespace poplar::server
