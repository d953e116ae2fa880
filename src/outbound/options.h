#pragma once
// How mail leaves, as an operator sets it.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace poplar::outbound {

/// TLS with the next server.
enum class TlsPolicy : std::uint8_t {
    none,           ///< STARTTLS is not used
    opportunistic,  ///< used where it is offered and works (RFC 7435)
    encrypt,        ///< without it no mail is sent; whose certificate it is does not matter
    verify,         ///< and the certificate has to be the host's, from an authority that is trusted
};

/// Where the mail to some domains goes in place of their MX hosts, and how.
struct Route {
    std::string domain = "*";  ///< "x.test": it alone; ".x.test": all below it; "*": any
    std::string sender;        ///< only mail of this sender's: "jane@x.test" or "x.test"; "": of any
    std::string host;          ///< "relay.example", "192.0.2.1:587", "[2001:db8::1]:25"; "": the domain's MX hosts
    std::string login, password_file;      ///< for AUTH at `host`; "": none
    std::optional<TlsPolicy> tls;          ///< nothing: opportunistic, but verify with a login
    std::string source_ipv4, source_ipv6;  ///< addresses to connect from; "": the kernel's choice
    std::uint32_t connections = 0;         ///< at most, to one destination; 0: as for all
};

struct Options {
    std::string hostname;  ///< ours, in EHLO and in reports
    std::vector<std::string> retry = {"5m", "15m", "30m",
                                      "1h", "2h",  "4h"};  ///< after each attempt; then the last again
    std::chrono::seconds warn_after = std::chrono::hours(4);
    std::chrono::seconds give_up_after = std::chrono::days(5);
    std::uint32_t connections = 500;  ///< in all
    std::uint32_t connections_per_destination = 20;
    std::uint32_t messages_per_connection = 100;
    std::uint32_t recipients_per_message = 100;  ///< RFC 5321 s4.5.3.1.8: any server takes that many
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(30);
    std::chrono::milliseconds reply_timeout = std::chrono::minutes(5);
    std::chrono::milliseconds reuse = std::chrono::seconds(5);      ///< how long an idle connection is kept
    std::chrono::milliseconds dead_host = std::chrono::minutes(1);  ///< how long one that failed is left alone
    std::string ca_file;
    bool mta_sts = true;                                                  ///< RFC 8461
    bool dane = true;                                                     ///< RFC 7672
    std::chrono::milliseconds policy_timeout = std::chrono::seconds(30);  ///< for an MTA-STS policy to be fetched
    std::vector<Route> routes;
};

}  // namespace poplar::outbound
