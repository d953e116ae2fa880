#pragma once
// Makes a backup on a thread of its own and tells a coroutine how far it is.
#include <filesystem>

#include "base/asio.h"
#include "engine/inspection.h"

namespace poplar::upkeep {

class BackupListener {
public:
    virtual ~BackupListener() = default;
    /// About once a second. A failure gives the backup up.
    virtual Task<Result<>> progress(engine::BackupTotals totals) = 0;
};

/// Inspection::backup, with its errors and those of the listener.
Task<Result<engine::BackupOutcome>> back_up(engine::Inspection& engine, std::filesystem::path folder, std::size_t keep,
                                            BackupListener& listener);

}  // namespace poplar::upkeep
