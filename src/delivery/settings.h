#pragma once
// The keys of the configuration that are this folder's.

namespace poplar::config {
class Keys;
}

namespace poplar::delivery {

struct Limits;

void add_settings(config::Keys& keys, Limits& limits);

}  // namespace poplar::delivery
