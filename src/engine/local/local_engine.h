#pragma once
// The embedded engine: a segment log that is the truth, and a RocksDB index that can be made anew from it.
// Formats: storage-format.md. Why so: docs/architecture.md, "The segment log is the truth".
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/inspection.h"

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
    std::uint64_t block_cache = 0;             ///< octets: the index's blocks, an eighth each for places and values; 0:
                                               ///< a 32nd of memory_at_hand(), 64 MiB to 1 GiB
    std::uint64_t write_buffer = 32u << 20;    ///< octets, RocksDB's; also bounds the replay at start
    std::uint64_t read_memory = 64u << 20;     ///< octets of messages on their way out that are read once, not twice
    std::size_t reader_threads = 4;            ///< for reads that miss the page cache
    std::uint64_t copy_rate = 16u << 20;       ///< octets a second at which old segments are copied; 0: they are not
    std::chrono::milliseconds copy_every = std::chrono::seconds(10);  ///< how often it looks for segments to copy
    std::uint64_t copy_dead_percent = 15;  ///< how much of the log's space may hold nothing that counts, 1 to 90
    std::chrono::seconds scrub_every = std::chrono::days(7);  ///< everything is read once in that time; 0: never
    std::uint64_t scrub_rate = 8u << 20;                      ///< octets a second at which that is done
    bool index_wal = false;                 ///< the index gets its own synced log too: for doubt, not for speed
    std::chrono::milliseconds retry{1000};  ///< how often it looks for room while the disk is full
    Disk* disk = nullptr;                   ///< null: the real one; tests bring theirs, which outlives the engine
};

using engine::Damage;
using engine::ScrubStatus;
using engine::Status;
using engine::VerifyTotals;

class LocalEngine final : public Engine, public Inspection {
public:
    /// Locks the directory, replays what the index lacks, cuts a torn tail. Blocks while it does.
    /// Errors: busy (another process has it), invalid (a newer format, or no store of ours), corrupt (the index is
    /// unusable: `poplar rebuild` makes it anew), io, no_space.
    static Result<std::unique_ptr<LocalEngine>> open(Options options);

    /// Throws the index away and makes it anew from the segments. Returns what it found damaged on the way. If that is
    /// anything, it calls `repair`, which makes what the lost records leave fit together. That is a part of the
    /// rebuild: until it has ended, open() refuses, and another rebuild calls `repair`, too.
    using Repair = std::function<Result<>(LocalEngine&)>;
    static Result<std::vector<Damage>> rebuild(Options options, const Repair& repair = nullptr);

    /// Finishes the commits under way, then closes. Nobody may be waiting for anything else.
    ~LocalEngine() override;

    Result<VerifyTotals> verify(std::function<void(const Damage&)> report,
                                std::function<void(const VerifyTotals&)> progress = nullptr) override;
    Result<BackupOutcome> backup(const std::filesystem::path& folder, std::size_t keep,
                                 std::function<bool(const BackupTotals&)> progress) override;
    /// Copies those segments that are most worth it, at once; false: none is. Blocks. (The engine does it by itself, at
    /// its pace; this is for tests and for a caller in a hurry.)
    Result<bool> copy_segments();
    Result<> drop_dead(std::vector<PartitionId> partitions, std::function<bool()> go_on) override;
    void scrub() override;
    Status status() const override;
    Task<Result<std::vector<PartitionId>>> partitions(PartitionId after, std::size_t limit) override;

    Task<Result<std::string>> get(PartitionId, std::string key, std::shared_ptr<const Snapshot>) override;
    std::optional<Result<std::string>> try_get(PartitionId, std::string_view key, const Snapshot*) override;
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
