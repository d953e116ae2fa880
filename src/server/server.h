#pragma once
// `poplar serve`: puts the parts together, runs them and takes them apart again.
#include "server/config.h"
#include "server/file_checks.h"

namespace poplar::server {

/// Checks what parse_config() can't: certificate, tokens, user and group, who may read and write the files.
Findings check_environment(const Config& config);

/// Serves until SIGTERM or SIGINT. Returns the exit code; what went wrong is on stderr, a line each.
int serve(Config config);

}  // namespace poplar::server
