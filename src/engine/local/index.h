#pragma once
// The RocksDB index: what the segments say, in key order. It has no log of its own (unless asked): what it forgets in a
// crash is replayed from the segments, beginning at the position stored with each write.
//
// Keys: partition (u64, big-endian), kind (one octet), then: nothing for the change number, the entry's key, or the
// body's id (u64, big-endian). Partition 0 is the index's own and holds the position.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "engine/engine.h"
#include "engine/local/disk.h"
#include "engine/local/local_engine.h"
#include "engine/local/record.h"

namespace poplar::engine::local {

/// How far the index knows the log.
struct Position {
    std::uint64_t segment = 1, offset = kSegmentHeader;
    std::uint64_t next_sequence = 1;
    std::uint64_t next_body = 1;
};

/// `no`: answer only if no disk has to be read; else nullopt.
enum class Wait { no, yes };

class Index {
public:
    static Result<std::unique_ptr<Index>> open(Disk& disk, const std::filesystem::path& directory,
                                               const Options& options);
    ~Index();

    Result<Position> position() const;

    std::optional<Result<std::string>> get(PartitionId partition, std::string_view key, const Snapshot* snapshot,
                                           Wait wait) const;
    std::optional<Result<std::vector<Entry>>> scan(PartitionId partition, const KeyRange& range, std::size_t limit,
                                                   const Snapshot* snapshot, Wait wait) const;
    std::optional<Result<ChangeNumber>> change_number(PartitionId partition, const Snapshot* snapshot, Wait wait) const;
    std::optional<Result<BodyPlace>> place(PartitionId partition, BodyId id, Wait wait) const;  // Errors: not_found

    std::shared_ptr<const Snapshot> snapshot() const;

    /// Adds what one record says to `batch`; its inline frames begin at `offset` of `segment`.
    static void stage(rocksdb::WriteBatch& batch, PartitionId partition, const RecordMeta& meta, std::uint64_t segment,
                      std::uint64_t offset);
    /// Makes staged records true together with the position behind them.
    Result<> write(rocksdb::WriteBatch& batch, const Position& position);
    /// True after a failure in the background until resume() succeeds.
    bool trouble() const { return trouble_->load(); }
    /// Tries again what failed. May block as long as a flush takes.
    Result<> resume();
    /// Reads of these partitions fail with io: the index does not know their last commits. Null: of none.
    using Lagging = std::shared_ptr<const std::set<PartitionId>>;
    void set_lagging(Lagging partitions);

    enum class FlushMode { wait, background };
    Result<> flush(FlushMode mode);

    /// Calls `each` for every live body, by partition and id. Stops early when it returns false.
    Result<> for_each_body(const std::function<bool(PartitionId, BodyId, const BodyPlace&)>& each) const;
    /// Reads every file of the index and checks its checksums.
    Result<> check_files() const;
    std::uint64_t disk_octets() const;

private:
    Index(std::shared_ptr<rocksdb::DB> db, std::shared_ptr<std::atomic<bool>> trouble, bool wal)
        : db_(std::move(db)), trouble_(std::move(trouble)), wal_(wal) {}
    Lagging lagging() const;
    bool lags(PartitionId partition, const Snapshot* snapshot) const;

    std::shared_ptr<rocksdb::DB> db_;  // shared with snapshots, which may outlive us
    std::shared_ptr<std::atomic<bool>> trouble_;
    bool wal_;
    mutable std::mutex lagging_mutex_;
    Lagging lagging_;
    std::atomic<bool> any_lag_ = false;  // so that it costs nothing while there is none
};

}  // namespace poplar::engine::local
