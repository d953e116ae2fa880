#pragma once
#include "cli/program.h"

namespace poplar::server {

/// The server's part of the command line: the configuration, and the commands that are the server itself.
cli::Host host();

}  // namespace poplar::server
