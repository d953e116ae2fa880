#pragma once
// Backups of all that the server has.
#include "api/operation.h"

namespace poplar::api {

struct BackupEvent {
    std::string type;
    std::optional<std::string> name, error;
    std::optional<std::uint64_t> files, octets, copied_files, copied_octets, forgotten;
    static const Shape& shape();
};

/// The reply is BackupEvents, one a line.
struct BackUp {
    std::string folder;
    std::optional<std::uint64_t> keep;
    static const Operation& operation();
};

}  // namespace poplar::api
