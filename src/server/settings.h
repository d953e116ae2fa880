#pragma once
#include <vector>

#include "config/keys.h"
#include "server/config.h"

namespace poplar::server {

/// Every key there is, in the order of the documentation, bound to `config`.
std::vector<config::Key> keys_of(Config& config);

}  // namespace poplar::server
