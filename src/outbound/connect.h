#pragma once
// From the name of a destination to a session with one of its hosts.
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/steady.h"
#include "dns/resolver.h"
#include "net/outgoing.h"
#include "outbound/hosts.h"
#include "outbound/options.h"
#include "outbound/sts_policy.h"
#include "queue/record.h"
#include "smtp/client/session.h"

namespace poplar::outbound {

/// Where mail is brought, by whatever domain it is for.
struct Destination {
    std::string key;          ///< the same key, the same destination
    std::vector<Host> hosts;  ///< in order of preference
    std::uint16_t port = 25;
    Route route;                                 ///< its terms; a plain one where no route was found
    queue::TlsWish tls = queue::TlsWish::usual;  ///< the sender's (RFC 8689)
    StsMode sts = StsMode::none;                 ///< what the policy of its domains says; Host::sts_named goes with it
    std::vector<std::string> domains;  ///< that mail was brought here for; some of them. None where a route has a host
};

/// The proof that a host owes before it gets mail.
struct TlsDemand {
    TlsPolicy policy = TlsPolicy::opportunistic;
    std::string_view because = {};  ///< "DANE", "MTA-STS", "the route", "the sender"; "": nobody demands anything
    std::string name = {};          ///< of the host, for its certificate
    std::vector<net::TlsaRecord> tlsa = {};  ///< DANE's; its certificate has to fit one
    bool testing = false;                    ///< what MTA-STS would refuse is logged
    bool passed_on = false;                  ///< the host has to pass the demand on (REQUIRETLS)
};

/// A session that has said hello, is encrypted and logged in as far as is wanted.
struct Connected {
    std::unique_ptr<smtp::client::Session> session;
    std::string host, address;      ///< whose
    std::string tls;                ///< "TLSv1.3"; "": in the clear
    std::string_view because = {};  ///< TlsDemand::because
    bool proven = false;            ///< the host has proved a name that could not be forged
};

/// Remembers single addresses for a while: those that did not answer, and those whose STARTTLS is broken.
class KnownHosts {
public:
    explicit KnownHosts(std::chrono::milliseconds keep) : keep_(keep) {}
    bool is_dead(const std::string& address) const { return is_in(dead_, address); }
    void note_dead(const std::string& address) { note(dead_, address); }
    void note_alive(const std::string& address) { dead_.erase(address); }
    bool tls_is_broken(const std::string& address) const { return is_in(broken_, address); }
    void note_broken_tls(const std::string& address) { note(broken_, address); }

private:
    using Until = std::map<std::string, SteadyTime>;
    static bool is_in(const Until& all, const std::string& address);
    void note(Until& all, const std::string& address);

    const std::chrono::milliseconds keep_;
    Until dead_, broken_;
};

/// Makes sessions. To be used on one executor's thread.
class Connector {
public:
    /// `options` and `dns` outlive it.
    Connector(Executor executor, const Options& options, dns::Lookup& dns, std::shared_ptr<const net::ClientTls> tls)
        : executor_(executor), options_(options), dns_(dns), tls_(std::move(tls)), known_(options.dead_host) {}

    /// Tries the destination's hosts and their addresses in turn; none once a connection and a reply could both have
    /// run out of time, so that many silent addresses do not hold a place for hours. The failure is that of the last
    /// one tried.
    Task<std::expected<Connected, NoWay>> connect(Destination destination);
    /// Cuts all that it has made, and makes no more.
    void stop() {
        stopped_ = true;
        made_.cut();
    }

private:
    enum class UseTls { no, yes };
    using Tried = std::expected<Connected, NoWay>;
    struct Place;
    Task<std::expected<TlsDemand, NoWay>> demand_for(const Destination& destination, const Host& host,
                                                     const Addresses& addresses);
    Task<Tried> try_address(const Destination& destination, const Place& place);
    Task<Tried> try_once(const Destination& destination, const Place& place, UseTls use, bool& tls_broke);
    Task<std::expected<void, NoWay>> secure(const Destination& destination, const TlsDemand& demand,
                                            const std::string& called, Connected& connected, bool& tls_broke);
    Task<std::expected<void, NoWay>> log_in(const Route& route, smtp::client::Session& session,
                                            const std::string& host);

    const Executor executor_;
    const Options& options_;
    dns::Lookup& dns_;
    const std::shared_ptr<const net::ClientTls> tls_;
    KnownHosts known_;
    net::OutgoingSet made_;
    bool stopped_ = false;
};

}  // namespace poplar::outbound
