#pragma once
// The RocksDB index: what the segments say, in key order. It has no log of its own (unless asked): what it forgets in a
// crash is replayed from the segments, beginning at the position stored with each write.
//
// Keys: partition (u64, big-endian), kind (one octet), then: nothing for the change number, the entry's key, or the
// body's id (u64, big-endian). Partition 0 is the index's own and holds the position and what each segment holds.
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <filesystem>
#include <memory>
#include <optional>

#include "engine/engine.h"
#include "engine/local/disk.h"
#include "engine/local/index_env.h"
#include "engine/local/index_files.h"
#include "engine/local/local_engine.h"
#include "engine/local/place_cache.h"
#include "engine/local/record.h"
#include "engine/local/segment_table.h"

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
    enum class Kind : std::uint8_t {
        change = 0,
        entry = 1,
        body = 2,
        segment = 3,
        files = 4,
        scrub = 5,
        reference = 6,
        held = 7
    };

    /// `reserve` is given up when there is no room. Errors: no_space, corrupt, io.
    static Result<std::unique_ptr<Index>> open(Disk& disk, const std::filesystem::path& directory,
                                               const Options& options, Reserve* reserve = nullptr);
    ~Index();

    /// From now on a write in the background that finds no room waits for it, in place of failing, and `health` is
    /// told; any other failure stops the store. (If the index has a log of its own, a full disk is a failure, too,
    /// because that log is not written in the background.)
    void serve(Health& health) { patience_->begin(health, wal_ ? Patience::Full::fails : Patience::Full::waits); }
    /// Makes the writes that wait for room fail, so that no caller waits for a flush for ever. Then the index may be
    /// closed.
    void end_service() { patience_->end(); }
    /// Whether it can take more. Blocks while its flushes are merely slow. Errors: no_space (they wait for room on the
    /// disk, and memory is full), io (it has failed).
    Result<> ready() const;

    Result<Position> position() const;

    std::optional<Result<std::string>> get(PartitionId partition, std::string_view key, const Snapshot* snapshot,
                                           Wait wait) const;
    std::optional<Result<Entries>> scan(PartitionId partition, const KeyRange& range, std::size_t limit,
                                        const Snapshot* snapshot, Wait wait) const;
    std::optional<Result<ChangeNumber>> change_number(PartitionId partition, const Snapshot* snapshot, Wait wait) const;
    Result<BodyPlace> place(PartitionId partition, BodyId id) const;  // Errors: not_found
    /// The same, if no disk has to be read; else nothing.
    std::optional<Result<BodyPlace>> place_at_hand(PartitionId partition, BodyId id) const;

    using Placed = local::Placed;
    /// Places of the bodies from `first` on, at most `limit`. A body may have been copied since its place was read: a
    /// caller that does not find it there asks place().
    std::optional<Result<std::vector<Placed>>> places(PartitionId partition, BodyId first, std::size_t limit,
                                                      Wait wait) const;

    std::shared_ptr<const Snapshot> snapshot() const;

    /// Adds what one record says to `batch`; its inline frames begin at `offset` of `segment`.
    static void stage(rocksdb::WriteBatch& batch, PartitionId partition, const RecordMeta& meta, SegmentId segment,
                      std::uint64_t offset);
    // Changes that no record says by itself, for SharedBodies: a body that ended with `shared` is gone; nobody can
    // deliver `shared` any more; the body itself is gone.
    static void stage_unreferenced(rocksdb::WriteBatch& batch, BodyId shared, PartitionId partition, BodyId id);
    static void stage_released(rocksdb::WriteBatch& batch, BodyId shared);
    static void stage_gone(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id);
    /// Adds a body's new place to `batch`.
    static void stage_place(rocksdb::WriteBatch& batch, PartitionId partition, BodyId id, const BodyPlace& place);
    /// Adds what a segment holds to `batch`; null: there is no such segment any more.
    static void stage_space(rocksdb::WriteBatch& batch, SegmentId id, const SegmentSpace* space);
    /// Makes staged records true together with the position behind them.
    Result<> write(rocksdb::WriteBatch& batch, const Position& position);

    /// Makes a copy of the index, as it is at one moment, in the folder `to`, which must not be there; its tables are
    /// shared by hard links. Returns up to where the copy knows the log. Waits for a flush.
    Result<Position> copy_to(const std::filesystem::path& to) const;

    /// Merges what there is of a partition, so that no file has what was erased or replaced before. Errors: busy (a
    /// snapshot of before the call is still read), no_space, io.
    Result<> merge(PartitionId partition) const;

    enum class FlushMode { wait, background };
    Result<> flush(FlushMode mode);

    /// Calls `each` for every live body, by partition and id. Stops early when it returns false.
    Result<> for_each_body(const std::function<bool(PartitionId, BodyId, const BodyPlace&)>& each) const;
    /// Calls `each` for the bodies that end with this one until it returns false.
    Result<> for_each_reference(BodyId shared, const std::function<bool(PartitionId, BodyId)>& each) const;
    /// The bodies that have this one's octets: itself, or for a shared one those that end with it, if there are any.
    Result<std::vector<std::pair<PartitionId, BodyId>>> owners(PartitionId partition, BodyId id) const;
    /// Whether, by the index, somebody may still deliver this shared body.
    Result<bool> is_held(BodyId shared) const;
    Result<std::vector<BodyId>> held_bodies() const;
    /// The partitions behind `after` that were ever written to, in order, at most `limit`.
    Result<std::vector<PartitionId>> partitions(PartitionId after, std::size_t limit) const;
    Result<std::vector<std::pair<SegmentId, SegmentSpace>>> segment_spaces() const;
    /// Everything there is, in the order of the keys.
    class Walk {
    public:
        explicit Walk(const Index& index);
        ~Walk();
        bool valid() const;
        void next();
        std::string_view raw_key() const;
        PartitionId partition() const;
        Kind kind() const;
        std::string_view rest() const;  ///< of the key
        std::string_view value() const;
        Result<> sound() const;  ///< an error: a failure ended it, not the last entry

    private:
        std::unique_ptr<rocksdb::Iterator> it_;
    };

    /// Where the scrubbing stands, as it was stored. Errors: not_found.
    Result<std::string> scrub_state() const;
    Result<> store_scrub_state(const std::string& state);
    /// Reads every file of the index and checks it (index_files.h).
    Result<std::vector<Damage>> check_files(const std::function<bool(std::uint64_t octets)>& pace) const;
    /// Damage to its files that can be found at a start only.
    const std::vector<Damage>& found_at_start() const { return files_->found_at_start(); }
    std::uint64_t disk_octets() const;

private:
    Index(std::shared_ptr<rocksdb::DB> db, std::shared_ptr<Patience> patience, bool wal, std::size_t places)
        : db_(std::move(db)), patience_(std::move(patience)), wal_(wal), places_(places) {}
    Result<> remember_files(const std::filesystem::path& directory);
    std::optional<Result<BodyPlace>> look_up_place(PartitionId partition, BodyId id, Wait wait) const;

    std::shared_ptr<rocksdb::DB> db_;  // shared with snapshots, which may outlive us
    std::shared_ptr<Patience> patience_;
    bool wal_;
    mutable PlaceCache places_;
    std::unique_ptr<IndexFiles> files_;
};

}  // namespace poplar::engine::local
