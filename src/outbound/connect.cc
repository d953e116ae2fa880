// Hosts, addresses, TLS and logins, one after another until a session stands.
#include "outbound/connect.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <random>

#include "base/log.h"
#include "base/random.h"
#include "dns/record.h"
#include "outbound/route.h"

namespace poplar::outbound {

namespace {

constexpr std::size_t kMostTried = 12;            // addresses for one session
constexpr std::size_t kMostKnown = 10'000;        // addresses that are remembered
constexpr std::uint8_t kDaneTa = 2, kDaneEe = 3;  // usages of TLSA records (RFC 7218 s2.1)

std::unexpected<NoWay> no_way(std::string status, std::string text) {
    return std::unexpected(NoWay{false, std::move(status), std::move(text)});
}

/// A host that does not do what is demanded of it. RFC 8689 s4.2.1: where the sender demands it, that is final.
std::unexpected<NoWay> unfit(const TlsDemand& demand, std::string status, std::string text) {
    if (demand.passed_on) return std::unexpected(NoWay{true, "5.7.10", std::move(text)});
    return no_way(std::move(status), std::move(text));
}

/// RFC 8689 s2: a name from the DNS is good if it is signed there, or named by an MTA-STS policy.
std::expected<TlsDemand, NoWay> demand_of_sender(const Destination& destination, const Host& host) {
    TlsDemand demand{.policy = TlsPolicy::verify, .because = "the sender", .name = host.name, .passed_on = true};
    const bool named = destination.sts != StsMode::none && host.sts_named;
    if (!destination.route.host.empty() || host.secure || named) return demand;
    return unfit(demand, "",
                 fmt::format("the sender demands TLS (REQUIRETLS), and neither a signed DNS nor MTA-STS "
                             "says that {} is a host of the domain",
                             host.name));
}

/// Hosts of the same preference in an order of their own each time (RFC 5321 s5.1).
std::vector<Host> shuffled(std::vector<Host> hosts) {
    std::mt19937_64 chance(random_u64());
    std::ranges::shuffle(hosts, chance);
    std::ranges::sort(hosts, {}, &Host::preference);
    return hosts;
}

Result<std::string> password_of(const Route& route) {
    std::ifstream file(route.password_file);
    std::string password;
    if (!file || !std::getline(file, password) || password.empty())
        return fail(Errc::io, fmt::format("{}: no password can be read", route.password_file));
    if (password.ends_with('\r')) password.pop_back();
    return password;
}

/// RFC 7672 s3.1.3; what else OpenSSL would not understand.
bool is_usable(const dns::Tlsa& record) {
    if (record.usage != kDaneTa && record.usage != kDaneEe) return false;
    if (record.selector > 1) return false;  // RFC 6698 s2.1.2: the certificate or its key
    switch (record.matching) {
        case 0: return !record.data.empty();
        case 1: return record.data.size() == 32;  // SHA-256
        case 2: return record.data.size() == 64;  // SHA-512
        default: return false;
    }
}

/// Tells which demand failed, in brackets behind a text.
std::string by(const TlsDemand& demand) {
    return demand.because.empty() ? "" : fmt::format(" (demanded by {})", demand.because);
}

/// RFC 8461 s5: with a policy that is being tested mail goes as without, and its domain's people want to hear of it.
void log_testing(const Destination& destination, const std::string& host, std::string_view reason) {
    log::info("outbound.sts_testing", {{"domain", destination.domains.empty() ? "" : destination.domains.front()},
                                       {"host", host},
                                       {"reason", reason}});
}

}  // namespace

bool KnownHosts::is_in(const Until& all, const std::string& address) {
    const auto found = all.find(address);
    return found != all.end() && found->second > SteadyClock::now();
}

void KnownHosts::note(Until& all, const std::string& address) {
    const auto now = SteadyClock::now();
    if (all.size() >= kMostKnown) std::erase_if(all, [&](const auto& one) { return one.second <= now; });
    if (all.size() >= kMostKnown) all.clear();
    all[address] = now + keep_;
}

/// One address of one host.
struct Connector::Place {
    std::string host, address;
    std::shared_ptr<const TlsDemand> demand;
};

Task<std::expected<Connected, NoWay>> Connector::connect(Destination destination) {
    std::vector<Place> places;
    NoWay why{false, "4.4.1", "no host could be reached"};
    bool all_permanent = true;
    for (const auto& host : shuffled(destination.hosts)) {
        auto addresses = co_await addresses_of(dns_, host.name);
        if (!addresses) {
            all_permanent = all_permanent && addresses.error().permanent;
            why = addresses.error();
            continue;
        }
        auto demand = co_await demand_for(destination, host, *addresses);
        if (!demand) {
            all_permanent = all_permanent && demand.error().permanent;
            why = demand.error();
            continue;
        }
        const auto shared = std::make_shared<const TlsDemand>(std::move(*demand));
        for (auto& address : addresses->all) places.push_back({host.name, std::move(address), shared});
    }
    if (places.empty()) {
        // A relay of ours without an address is our own mistake, and no fault of the message's.
        if (!all_permanent || !destination.route.host.empty()) why.permanent = false;
        co_return std::unexpected(std::move(why));
    }
    // Those that did not answer a moment ago come last, but they come.
    auto is_alive = [&](const auto& place) { return !known_.is_dead(place.address); };
    decltype(places) alive, dead;
    std::ranges::partition_copy(places, std::back_inserter(alive), std::back_inserter(dead), is_alive);
    places = std::move(alive);
    places.insert(places.end(), std::make_move_iterator(dead.begin()), std::make_move_iterator(dead.end()));
    if (places.size() > kMostTried) {
        places.resize(kMostTried);
        all_permanent = false;
    }
    const auto end = SteadyClock::now() + options_.connect_timeout + options_.reply_timeout;
    for (const auto& place : places) {
        if (SteadyClock::now() > end) {
            all_permanent = false;
            break;
        }
        auto tried = co_await try_address(destination, place);
        if (tried) {
            known_.note_alive(place.address);
            co_return tried;
        }
        why = std::move(tried.error());
        all_permanent = all_permanent && why.permanent;
    }
    why.permanent = all_permanent;
    if (!all_permanent && why.status.starts_with('5')) why.status.front() = '4';
    co_return std::unexpected(std::move(why));
}

/// The route decides if it says something; then DANE, which MTA-STS may not overrule (RFC 8461 s2); then MTA-STS. The
/// failure: the host must not get mail.
Task<std::expected<TlsDemand, NoWay>> Connector::demand_for(const Destination& destination, const Host& host,
                                                            const Addresses& addresses) {
    TlsDemand demand{.policy = tls_policy(destination.route), .name = host.name};
    const auto& route = destination.route;
    const bool sender_demands = destination.tls == queue::TlsWish::required;
    if (sender_demands) {
        auto demanded = demand_of_sender(destination, host);
        if (!demanded || !route.host.empty()) co_return demanded;
        demand = std::move(*demanded);
    } else if (route.tls || !route.login.empty() || !route.host.empty()) {
        if (demand.policy != TlsPolicy::opportunistic) demand.because = "the route";
        co_return demand;
    } else if (destination.tls == queue::TlsWish::optional) {
        co_return demand;  // RFC 8689 s4.2.2: whatever the domain publishes
    }
    // RFC 7672 s2.2.2: records are asked for only where the host's name and its addresses can't be forged.
    if (options_.dane && host.secure && addresses.secure && !is_address(host.name)) {
        std::vector<std::string> names{host.name};
        if (!addresses.canonical.empty()) names.insert(names.begin(), addresses.canonical);
        for (const auto& name : names) {
            auto answer = co_await dns_.ask(fmt::format("_{}._tcp.{}", destination.port, name), dns::Type::tlsa);
            if (!answer && answer.error().code() == Errc::invalid) continue;  // too long a name has no records
            if (!answer)  // an attacker who suppresses the records must not get the mail (s2.1.2)
                co_return no_way("4.7.5", fmt::format("whether {} has TLSA records (DANE) can't be found: {}",
                                                      host.name, answer.error().detail()));
            if (!answer->secure || answer->records.empty()) continue;
            if (!sender_demands) demand.because = "DANE";
            demand.name = name;
            if (!sender_demands) demand.policy = TlsPolicy::encrypt;  // s2.2: even if no record is usable
            for (const auto& record : answer->records) {
                auto one = dns::parse_tlsa(record);
                if (!one || !is_usable(*one)) continue;
                demand.tlsa.push_back({one->usage, one->selector, one->matching, std::move(one->data)});
                demand.policy = TlsPolicy::verify;
            }
            if (!demand.tlsa.empty()) co_return demand;
            break;  // encrypted, at least; MTA-STS may want more
        }
    }
    if (sender_demands) {  // a certificate is all that is left to prove the name by
        demand.name = host.name;
        co_return demand;
    }
    if (destination.sts == StsMode::enforce) {
        if (!host.sts_named)
            co_return no_way("4.7.5", fmt::format("{} is no host that the domain's MTA-STS policy names", host.name));
        demand.policy = TlsPolicy::verify;
        demand.because = "MTA-STS";
        demand.name = host.name;
    }
    demand.testing = destination.sts == StsMode::testing;
    if (demand.testing && !host.sts_named) log_testing(destination, host.name, "the policy does not name the host");
    co_return demand;
}

// RFC 7435 s3: where TLS is not demanded, one that breaks is as good as none.
Task<Connector::Tried> Connector::try_address(const Destination& destination, const Place& place) {
    const auto policy = place.demand->policy;
    bool tls_broke = false;
    auto use = policy == TlsPolicy::none ? UseTls::no : UseTls::yes;
    if (policy == TlsPolicy::opportunistic && known_.tls_is_broken(place.address)) use = UseTls::no;
    auto tried = co_await try_once(destination, place, use, tls_broke);
    if (tried || !tls_broke || policy != TlsPolicy::opportunistic) co_return tried;
    known_.note_broken_tls(place.address);
    if (place.demand->testing) log_testing(destination, place.host, tried.error().text);
    co_return co_await try_once(destination, place, UseTls::no, tls_broke);
}

Task<Connector::Tried> Connector::try_once(const Destination& destination, const Place& place, UseTls use,
                                           bool& tls_broke) {
    const auto& route = destination.route;
    const auto& [host, address, demand] = place;
    if (stopped_) co_return no_way("4.3.2", "the server is stopping");
    auto connection = std::make_unique<net::Outgoing>(executor_, &made_);
    const auto& source = address.contains(':') ? route.source_ipv6 : route.source_ipv4;
    const auto called = host == address ? host : fmt::format("{} ({})", host, address);
    auto connected = co_await connection->connect(address, destination.port, source, options_.connect_timeout);
    if (!connected) {
        known_.note_dead(address);
        co_return no_way("4.4.1", fmt::format("{}: {}", called, connected.error().detail()));
    }
    smtp::client::Timeouts timeouts;
    timeouts.reply = timeouts.block = options_.reply_timeout;
    timeouts.end = 2 * options_.reply_timeout;  // RFC 5321 s4.5.3.2.6: 10 minutes
    Connected out{std::make_unique<smtp::client::Session>(std::move(connection), options_.hostname, timeouts), host,
                  address, "", demand->because};
    auto& session = *out.session;
    auto greeting = co_await session.greeting();
    if (!greeting) {
        known_.note_dead(address);
        co_return no_way("4.4.2", fmt::format("{}: {}", called, greeting.error().detail()));
    }
    if (greeting->positive()) greeting = co_await session.hello();
    if (!greeting) co_return no_way("4.4.2", fmt::format("{}: {}", called, greeting.error().detail()));
    if (!greeting->positive()) {
        // A refusal of a whole host is no verdict on a message: another host, or this one later, may take it.
        co_await session.quit();
        co_return no_way(greeting->status.starts_with('4') ? greeting->status : "4.4.1",
                         fmt::format("{} said: {}", called, greeting->shown()));
    }
    if (use == UseTls::yes)
        if (auto secured = co_await secure(destination, *demand, called, out, tls_broke); !secured)
            co_return std::unexpected(std::move(secured.error()));
    if (!route.login.empty())
        if (auto in = co_await log_in(route, session, called); !in) co_return std::unexpected(std::move(in.error()));
    co_return out;
}

Task<std::expected<void, NoWay>> Connector::secure(const Destination& destination, const TlsDemand& demand,
                                                   const std::string& called, Connected& connected, bool& tls_broke) {
    auto& session = *connected.session;
    const bool demanded = demand.policy == TlsPolicy::encrypt || demand.policy == TlsPolicy::verify;
    if (!session.extensions().starttls) {
        if (demanded)
            co_return unfit(demand, "4.7.4",
                            fmt::format("{} does not offer STARTTLS, which {} demands", called, demand.because));
        if (demand.testing) log_testing(destination, connected.host, "STARTTLS is not offered");
        co_return std::expected<void, NoWay>();
    }
    net::ExpectedPeer peer{.name = demand.name, .tlsa = demand.tlsa};
    // RFC 7672 s3.2.2: the certificate may also have the name that the host is known by, or that of the domain.
    if (!demand.tlsa.empty()) {
        peer.other_names = destination.domains;
        peer.other_names.push_back(connected.host);
    }
    auto secured = co_await session.start_tls(tls_, std::move(peer));
    if (!secured) {
        tls_broke = true;
        co_return no_way("4.7.5", fmt::format("{}: {}{}", called, secured.error().detail(), by(demand)));
    }
    if (!secured->reply.positive()) {  // it goes on in the clear
        if (demanded)
            co_return no_way("4.7.4", fmt::format("{} said: {}{}", called, secured->reply.shown(), by(demand)));
        if (demand.testing) log_testing(destination, connected.host, secured->reply.shown());
        co_return std::expected<void, NoWay>();
    }
    const auto& tls = secured->tls;
    // RFC 7672 s2.2: encrypted is enough then, unless the domain's MTA-STS policy is enforced.
    const bool unusable =
        !demand.tlsa.empty() && !tls.usable_tlsa && destination.sts != StsMode::enforce && !demand.passed_on;
    if (demand.policy == TlsPolicy::verify && !tls.verified && !unusable)
        co_return unfit(demand, "4.7.5",
                        fmt::format("{}: the certificate is no good: {}{}", called, tls.why_not, by(demand)));
    if (demand.testing && !tls.verified) log_testing(destination, connected.host, tls.why_not);
    connected.tls = tls.version;
    auto again = co_await session.hello();  // RFC 3207 s4.2
    if (again && again->positive() && demand.passed_on && !session.extensions().require_tls) {
        co_await session.quit();
        co_return std::unexpected(
            NoWay{true, "5.7.30", fmt::format("{} does not offer REQUIRETLS, which the sender demands", called)});
    }
    connected.proven = demand.policy == TlsPolicy::verify && tls.verified;
    if (again && again->positive()) co_return std::expected<void, NoWay>();
    tls_broke = true;
    co_return no_way("4.4.2", fmt::format("{}: {}", called, again ? again->shown() : again.error().detail()));
}

Task<std::expected<void, NoWay>> Connector::log_in(const Route& route, smtp::client::Session& session,
                                                   const std::string& called) {
    if (!session.encrypted() && tls_policy(route) != TlsPolicy::none)
        co_return no_way("4.7.4", fmt::format("{}: no TLS, and the password is not sent in the clear", called));
    auto password = password_of(route);
    if (!password) co_return no_way("4.3.5", password.error().detail());
    auto reply = co_await session.log_in(route.login, std::move(*password));
    if (!reply) co_return no_way("4.7.0", fmt::format("{}: {}", called, reply.error().detail()));
    if (reply->positive()) co_return std::expected<void, NoWay>();
    // The password is ours to mend, and no fault of the message's.
    co_return no_way("4.7.8", fmt::format("{} refused the login: {}", called, reply->shown()));
}

}  // namespace poplar::outbound
