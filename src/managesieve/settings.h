#pragma once
// The keys of the configuration that are this folder's.

namespace poplar::config {
class Keys;
}

namespace poplar::managesieve {

struct Options;

void add_settings(config::Keys& keys, Options& options);

}  // namespace poplar::managesieve
