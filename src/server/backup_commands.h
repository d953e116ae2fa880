#pragma once
#include "cli/program.h"

namespace poplar::server {

void add_backup_commands(CLI::App& app, cli::Cli& cli);  ///< backup, restore

}  // namespace poplar::server
