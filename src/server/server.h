#pragma once
// `poplar serve`: puts the parts together, runs them and takes them apart again.
#include <memory>
#include <string>
#include <vector>

#include "server/config.h"

namespace poplar::server {

/// Checks what parse_config() can't: certificate, user and group. Returns the lines for the operator.
std::vector<std::string> check_environment(const Config& config);

/// Serves until SIGTERM or SIGINT. Returns the exit code; what went wrong is on stderr, a line each.
int serve(Config config);

}  // namespace poplar::server
