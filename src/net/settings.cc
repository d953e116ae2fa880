#include "net/settings.h"

#include <span>

#include "base/networks.h"
#include "config/keys.h"
#include "net/listener.h"
#include "net/server.h"

namespace poplar::net {

void add_proxy_settings(config::Keys& keys, ServerLimits& limits) {
    using std::chrono::hours;
    using std::chrono::seconds;
    keys.duration("proxy_protocol.timeout", limits.proxy_header, seconds(1), hours(1),
                  "How long the header may take; then closed.");
}

void add_settings(config::Keys& keys, TlsSettings& tls) {
    keys.path("tls.certificate", tls.certificate,
              "PEM file: the server's certificate, which must be the first, then its chain, each certificate's issuer "
              "behind it.")
        .live("tls");
    keys.path("tls.private_key", tls.private_key,
              "PEM file: its private key, without a passphrase. Read before privileges are dropped; for SIGHUP to "
              "renew it, `user` must be able to read it too.")
        .live("tls");
    keys.path("tls.client_ca", tls.client_ca,
              "PEM file: the authorities whose client certificates are good for `AUTH EXTERNAL`, and their revocation "
              "lists (if it holds any, every certificate's authority needs one). With it, clients are asked for a "
              "certificate and need not have one; a certificate that does not verify counts as none. Empty: they are "
              "not asked.",
              config::Empty::allowed)
        .live("tls");
    keys.text("tls.ciphers", tls.ciphers,
              "Ciphers of TLS 1.2 for POP3 and LMTP, as OpenSSL names them, joined by colons, best first. Empty: ECDHE "
              "with AES-GCM or ChaCha20-Poly1305. A client that has none of them: the handshake fails "
              "(`pop3.tls_failed`, `net.tls_failed` in the log). TLS 1.3 has its own.")
        .live("tls");
}

void add_settings(config::Keys& keys, ServerLimits& limits) {
    using config::kMillion;
    using std::chrono::hours;
    using std::chrono::seconds;
    keys.number(
        "limits.connections", limits.connections, 1, 10 * kMillion,
        "Connections in all. More: `-ERR [SYS/TEMP]`, `BYE` or `421 4.3.2`, then closed; pop3s and imaps: closed "
        "at once.");
    keys.number(
        "limits.connections_reserved", limits.connections_reserved, 0, 10 * kMillion,
        "Of them, so many (at most an eighth) are kept for each of POP3, IMAP, SMTP and LMTP, so that a flood of one "
        "protocol's connections does not close the door for the others. A connection that would take a place "
        "kept for another protocol: as above.");
    keys.number("limits.connections_per_peer", limits.connections_per_peer, 1, 10 * kMillion,
                "Connections from one address (IPv6: its /64). More: as above.");
    keys.number("limits.connections_per_network", limits.connections_per_network, 1, 10 * kMillion,
                "Connections from the network around it: the /24 of an IPv4 address, the /48 of an IPv6 address. It is "
                "also never more than are left for all others, or `limits.connections_per_peer` if that is more, so "
                "that a newcomer finds a place. More: as above.");
    keys.boolean("limits.limit_loopback_peers", limits.limit_loopback_peers,
                 "Count this machine and local sockets as one such peer each.");
    keys.number("limits.spare_descriptors", limits.spare_descriptors, 0, kMillion,
                "Of the file descriptors the process may have (`LimitNOFILE=`), so many, half at most, are for the "
                "store and not for connections. A connection more is one over `limits.connections`.");
    keys.number("limits.handshakes_per_peer", limits.handshakes_per_peer, 1, kMillion,
                "TLS handshakes a second that an address (IPv6: its /64) may begin for long, those after STLS and "
                "STARTTLS too; those of five seconds at once. Then each waits its turn, up to five seconds; more: "
                "closed. This machine is exempt.");
    keys.number("limits.handshakes_per_network", limits.handshakes_per_network, 1, kMillion,
                "The same for the network around it, as in `limits.connections_per_network`.");
    keys.duration("limits.tls_handshake", limits.tls_handshake, seconds(1), hours(1),
                  "For the handshake of pop3s and imaps; then closed.");
    keys.duration("limits.write_stall", limits.connection.write_stall, seconds(1), hours(24),
                  "A client that takes nothing for so long is cut.");
    keys.size("limits.write_rate", limits.connection.write_rate, 0, config::Keys::kMostOctets,
              "Octets a second. A client that takes less while output waits for it is cut once it has used up "
              "`limits.write_stall` in all; what it takes earns time at this rate. `0`: any octet counts as enough.");
}

void add_addresses(config::Keys& keys, std::string name, std::vector<std::string>& value, std::string words) {
    auto check = [](const std::string& text) {
        auto parsed = parse_address(text);
        return parsed ? std::string() : parsed.error().detail();
    };
    keys.texts(std::move(name), value, "addresses like [\"[::]:110\"]", check, std::move(words));
}

void add_networks(config::Keys& keys, std::string name, std::vector<std::string>& value, std::string words) {
    auto check = [](const std::string& text) {
        auto parsed = Networks::parse(std::span(&text, 1));
        return parsed ? std::string() : parsed.error().detail();
    };
    keys.texts(std::move(name), value, "networks like [\"192.0.2.0/24\"]", check, std::move(words));
}

}  // namespace poplar::net
