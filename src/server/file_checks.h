#pragma once
// Warns the operator at the start if the wrong users can read or change the configured files.
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
/// as, if that is known. A file that can't be looked at is passed over; opening it fails later.
Findings check_files(const Config& config, std::optional<uid_t> server);

}  // namespace poplar::server
