#pragma once
#include "cli/program.h"

namespace poplar::cli {

void add_import_mail_command(CLI::App& app, Cli& cli);  ///< import
void add_migrate_command(CLI::App& app, Cli& cli);      ///< migrate
void add_export_command(CLI::App& app, Cli& cli);       ///< export

}  // namespace poplar::cli
