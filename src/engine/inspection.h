#pragma once
// An operator's questions to an engine, beside what the server needs to run: how it is, and whether its files are
// whole.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace poplar::engine {

/// One damaged place.
struct Damage {
    std::string file;          ///< relative to the engine's folder
    std::uint64_t offset = 0;  ///< octets from its start
    std::optional<PartitionId> partition;
    std::optional<BodyId> body;
    std::string what;
    bool unread = false;  ///< the disk did not give it
};

struct VerifyTotals {
    std::uint64_t segments = 0, records = 0, bodies = 0, octets = 0, damaged = 0;
};

/// How far the reading of everything is, and what it found.
struct ScrubStatus {
    bool under_way = false;
    std::chrono::system_clock::time_point begun{}, ended{};  ///< of this round or the last; of the last that ended
    std::uint64_t records = 0, bodies = 0, octets = 0;       ///< read in this round
    std::uint64_t damaged = 0;
    std::vector<Damage> damage;  ///< the first hundred
    std::string failure;         ///< why the last round ended early; "": it did not
};

struct Status {
    std::uint64_t segments = 0, log_octets = 0, index_octets = 0, free_octets = 0;
    std::uint64_t commits = 0, groups = 0;  ///< since start; a group is one sync
    std::uint64_t staged_octets = 0;        ///< incoming mail in memory now
    std::string state;                      ///< "ok", or in words what is wrong
    std::string health;                     ///< "ok", "degraded" (it goes on, and mends itself when it can) or
                                            ///< "stopped" (a sync failed: nothing is taken until a restart)
    std::vector<Damage> damage;             ///< found at start
    // The log's space: what its files take of the disk, what of it counts as far as is known, and what copying did
    // since start.
    std::uint64_t used_octets = 0, live_octets = 0, large_octets = 0;
    std::uint64_t copies = 0, copied_octets = 0, freed_octets = 0;
    ScrubStatus scrub;
    std::string copying;  ///< "resting", "off", or in words what it does
};

/// What a backup is made of. A file that is there already is shared with an earlier backup, or with the store.
struct BackupTotals {
    std::uint64_t files = 0, octets = 0;                ///< of the whole
    std::uint64_t copied_files = 0, copied_octets = 0;  ///< of them, those that were written now
};
struct BackupOutcome {
    std::string name;  ///< of the backup, below the folder
    BackupTotals totals;
    std::uint64_t forgotten = 0;  ///< older backups that were removed
};

/// All functions may be called from any thread.
class Inspection {
public:
    virtual ~Inspection() = default;

    virtual Status status() const = 0;
    /// Checks everything that is stored, while others go on. Calls `report` for each damaged place and `progress` now
    /// and then; runs on the calling thread and takes as long as reading everything. An exception that either throws
    /// ends it. Errors: io, cancelled.
    virtual Result<VerifyTotals> verify(std::function<void(const Damage&)> report,
                                        std::function<void(const VerifyTotals&)> progress = nullptr) = 0;
    /// Puts a copy of everything as it is at one moment into `folder`, beside earlier ones, while others go on. When it
    /// returns the copy is durable. Before that it is no backup, and the earlier ones are as they were. `keep`: how
    /// many backups stay, 0: all. Runs on the calling thread. `progress` returns false to give it up. Errors: busy
    /// (another backup is being made there), invalid (the folder is in the store's own), no_space, io, cancelled.
    virtual Result<BackupOutcome> backup(const std::filesystem::path& folder, std::size_t keep,
                                         std::function<bool(const BackupTotals&)> progress) = 0;
    /// Octets of what was erased or replaced before this call are gone from the engine's files when it returns: those
    /// of the log from all of it, those of the index from these partitions. What is kept is copied for that, at the
    /// pace of Options::copy_rate. Runs on the calling thread. `go_on` is asked often; false gives it up. Errors: busy
    /// (somebody still reads the index as it was before, or segments can't be copied now; later is better), corrupt (a
    /// damaged segment is not copied), no_space, io, cancelled.
    virtual Result<> drop_dead(std::vector<PartitionId> partitions, std::function<bool()> go_on) = 0;
    /// Begins to read everything at the configured pace, unless that is under way.
    virtual void scrub() = 0;
    /// The partitions behind `after` that were ever written to, in order, at most `limit`.
    virtual Task<Result<std::vector<PartitionId>>> partitions(PartitionId after, std::size_t limit) = 0;
};

}  // namespace poplar::engine
