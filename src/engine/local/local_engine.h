#pragma once
// The embedded engine: a segment log that is the truth, and a RocksDB index that can be made anew from it.
// Formats: docs/storage-format.md. Why so: docs/architecture.md, "The segment log is the log".
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace poplar::engine::local {

class Disk;

struct Options {
    std::filesystem::path directory;           ///< created (mode 0700) if missing
    std::uint64_t segment_size = 256u << 20;   ///< octets; a segment is sealed when a group would not fit any more
    std::uint64_t large_body = 1u << 20;       ///< octets; bodies over it go to a file of their own
    std::uint64_t staged_memory = 64u << 20;   ///< octets of incoming mail in memory, all connections together;
                                               ///< past it even small bodies go to files
    std::uint64_t min_free_space = 64u << 20;  ///< octets; with less on the disk no body is taken (no_space), so
                                               ///< that deletions and the index still have room
    std::uint64_t reserved_space = 8u << 20;   ///< octets kept in a file, given up when the disk is full, so that a
                                               ///< start and deletions have room; 0: none
    std::uint64_t block_cache = 64u << 20;     ///< octets: the index's blocks, an eighth each for places and values
    std::uint64_t write_buffer = 32u << 20;    ///< octets, RocksDB's; also bounds the replay at start
    std::uint64_t read_memory = 64u << 20;     ///< octets of messages on their way out that are read once, not twice
    std::size_t reader_threads = 4;            ///< for reads that miss the page cache
    std::uint64_t copy_rate = 16u << 20;       ///< octets a second at which old segments are copied; 0: they are not
    std::chrono::milliseconds copy_every = std::chrono::seconds(10);  ///< how often is looked what to copy
    std::uint64_t copy_dead_percent = 15;  ///< how much of the log's space may hold nothing that counts, 1 to 90
    std::chrono::seconds scrub_every = std::chrono::days(7);  ///< everything is read once in that time; 0: never
    std::uint64_t scrub_rate = 8u << 20;                      ///< octets a second at which that is done
    bool index_wal = false;                 ///< the index gets its own synced log too: for doubt, not for speed
    std::chrono::milliseconds retry{1000};  ///< while the disk is full, room is looked for so often
    Disk* disk = nullptr;                   ///< null: the real one; tests bring theirs, which outlives the engine
};

/// One damaged place in the data directory.
struct Damage {
    std::string file;          ///< relative to the data directory
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
    std::chrono::system_clock::time_point begun{}, ended{};  ///< this round or the last; the last one that ended
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

class LocalEngine final : public Engine {
public:
    /// Locks the directory, replays what the index lacks, cuts a torn tail. Blocks while it does.
    /// Errors: busy (another process has it), invalid (a newer format, or no store of ours), corrupt (the index is
    /// unusable: `poplar rebuild` makes it anew), io, no_space.
    static Result<std::unique_ptr<LocalEngine>> open(Options options);

    /// Throws the index away and makes it anew from the segments. Returns what it found damaged on the way; if there
    /// is something, `repair` makes fit what the lost records leave, as a part of the rebuild: until all that has come
    /// to its end open() refuses, and a rebuild repairs.
    using Repair = std::function<Result<>(LocalEngine&)>;
    static Result<std::vector<Damage>> rebuild(Options options, const Repair& repair = nullptr);

    /// Finishes the commits under way, then closes. Nobody may be waiting for anything else.
    ~LocalEngine() override;

    /// Checks every record, every live body and the index, while others go on. Calls `report` for each damaged place
    /// and `progress` now and then; runs on the calling thread and takes as long as reading everything.
    Result<VerifyTotals> verify(std::function<void(const Damage&)> report,
                                std::function<void(const VerifyTotals&)> progress = nullptr);
    /// Copies those segments that are most worth it, at once; false: none is. Blocks. (It happens by itself, at its
    /// pace; this is for tests and for who is in a hurry.)
    Result<bool> copy_segments();
    /// Begins to read everything at the configured pace, unless that is under way.
    void scrub();
    Status status() const;
    /// The partitions behind `after` that were ever written to, in order, at most `limit`.
    Task<Result<std::vector<PartitionId>>> partitions(PartitionId after, std::size_t limit);

    Task<Result<std::string>> get(PartitionId, std::string key, std::shared_ptr<const Snapshot>) override;
    Task<Result<Entries>> scan(PartitionId, KeyRange, std::size_t limit, std::shared_ptr<const Snapshot>) override;
    Task<Result<ChangeNumber>> change_number(PartitionId, std::shared_ptr<const Snapshot>) override;
    std::shared_ptr<const Snapshot> snapshot(PartitionId) override;
    Task<Result<ChangeNumber>> commit(PartitionId, Batch, std::optional<ChangeNumber> expected) override;
    BodyId next_body_id(PartitionId) override;
    std::unique_ptr<BodyWriter> write_body(std::uint64_t size_hint) override;
    std::unique_ptr<BodySeries> read_bodies(PartitionId) override;
    Task<Result<std::unique_ptr<Lease>>> lease(PartitionId, std::string name) override;
    std::unique_ptr<Watch> watch(PartitionId, std::function<void()> hint) override;

private:
    struct Impl;
    explicit LocalEngine(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::engine::local
