#include "dns/settings.h"

#include "config/keys.h"
#include "dns/resolver.h"

namespace poplar::dns {

void add_settings(config::Keys& keys, Options& options) {
    using std::chrono::milliseconds;
    using std::chrono::minutes;
    auto check = [](const std::string& text) {
        auto parsed = parse_server(text);
        return parsed ? std::string() : parsed.error().detail();
    };
    keys.texts("dns.servers", options.servers, "addresses like \"192.0.2.53:53\" or \"[2001:db8::53]:53\"", check,
               "The DNS servers to ask. Empty: those of `/etc/resolv.conf`. One on this machine is best.");
    keys.duration("dns.timeout", options.timeout, milliseconds(100), minutes(5),
                  "For one question, all retries together; then the mail that asked waits for its next attempt.");
    keys.size("dns.cache_size", options.cache_octets, 64u << 10, std::uint64_t(1) << 30, "Memory for answers, about.");
    keys.path(
        "dns.trust_anchors", options.trust_anchors,
        "A file with DNSSEC's trust anchors (Debian's `dns-root-data` has `/usr/share/dns/root.key`). Answers are "
        "then validated here, and a forged one counts as none. Empty: not validated.",
        config::Empty::allowed);
}

}  // namespace poplar::dns
