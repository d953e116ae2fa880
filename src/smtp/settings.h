#pragma once
// The keys of the configuration that are this folder's.
#include <cstdint>
#include <string>
#include <vector>

namespace poplar::config {
class Keys;
}

namespace poplar::smtp {

struct Options;

/// The same keys for SMTP and LMTP, in the section of either. `xclient_networks` is what Options::xclient is made from.
void add_settings(config::Keys& keys, const std::string& section, Options& options,
                  std::vector<std::string>& xclient_networks);
/// Those of [submission] alone.
void add_settings_for_submission(config::Keys& keys, Options& options);
/// The keys that only a listener for strangers needs.
void add_settings_for_strangers(config::Keys& keys, const std::string& section, Options& options,
                                std::uint32_t& unknown_recipients_per_peer, std::string& ciphers);

}  // namespace poplar::smtp
