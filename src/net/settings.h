#pragma once
// The keys of the configuration that are this folder's.
#include <string>
#include <vector>

namespace poplar::config {
class Keys;
}

namespace poplar::net {

struct ServerLimits;

/// Certificate, key and ciphers, as the configuration has them.
struct TlsSettings {
    std::string certificate, private_key, client_ca;
    std::string ciphers;  ///< empty: kStrictCiphers
    bool configured() const { return !certificate.empty(); }
};

void add_proxy_settings(config::Keys& keys, ServerLimits& limits);
void add_settings(config::Keys& keys, TlsSettings& tls);
void add_settings(config::Keys& keys, ServerLimits& limits);

/// Kinds of keys: where to listen, and networks (base/networks.h).
void add_addresses(config::Keys& keys, std::string name, std::vector<std::string>& value, std::string words);
void add_networks(config::Keys& keys, std::string name, std::vector<std::string>& value, std::string words);

}  // namespace poplar::net
