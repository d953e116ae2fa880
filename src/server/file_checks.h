#pragma once
// What the operator should know of the configured files before it matters: who may read and change them.
#include <optional>
#include <string>
#include <vector>

#include "server/config.h"

namespace poplar::server {

/// Lines for the operator, `FILE:LINE: key: what`. With an error the server does not start.
struct Findings {
    std::vector<std::string> errors, warnings;
};

/// Looks at data_dir, if it is there, at the private key and at the secret. `server` is the user that the server runs
/// as, if that is known. What can't be looked at is left to who opens it.
Findings check_files(const Config& config, std::optional<uid_t> server);

}  // namespace poplar::server
