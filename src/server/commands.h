#pragma once
#include "cli/program.h"

namespace poplar::server {

/// What the command line has from the server: the configuration, and the commands that are the server itself.
cli::Host host();

}  // namespace poplar::server
