#pragma once
// poplar restore --account: an account, a mailbox or a message out of a backup, into a server that runs.
#include <string>

#include "cli/program.h"
#include "engine/local/backup_folder.h"

namespace poplar::server {

struct RestoreAccountOptions {
    std::string folder, account, mailbox, message;
    bool dry_run = false, force = false;
};

/// Returns the exit code.
int restore_account(const cli::Cli& cli, const RestoreAccountOptions& options,
                    const engine::local::ListedBackup& backup);

}  // namespace poplar::server
