#pragma once
// The keys of the configuration that are this folder's.

namespace poplar::config {
class Keys;
}

namespace poplar::auth {

struct Options;
struct SaslOptions;
struct TokenOptions;

void add_settings(config::Keys& keys, Options& options, SaslOptions& sasl);
void add_settings(config::Keys& keys, TokenOptions& tokens);

}  // namespace poplar::auth
