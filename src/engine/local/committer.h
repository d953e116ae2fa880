#pragma once
// The one writer of the log. Commits of all sessions that are ready are gathered, written with one pwritev and made
// durable with one fdatasync; then the index learns of them and everybody wakes. There is no timer: the next group
// gathers while the last one syncs.
#include <atomic>
#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "engine/engine.h"
#include "engine/local/index.h"
#include "engine/local/leases.h"
#include "engine/local/local_engine.h"
#include "engine/local/reclaims.h"
#include "engine/local/reserve.h"
#include "engine/local/shared_bodies.h"
#include "engine/local/staged_body.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

class Committer {
public:
    using Done = std::move_only_function<void(Result<ChangeNumber>)>;
    struct Request {
        PartitionId partition;
        Batch batch;
        std::optional<ChangeNumber> expected;
        Done done;  ///< called on the committer's thread: posts, never works
    };

    Committer(const Options& options, StoreDirectory& directory, Index& index, SegmentTable& table, Leases& leases,
              Watches& watches, Reserve& reserve, Staging& staging, Reclaims& reclaims);
    ~Committer();  ///< finishes what is queued, seals the log, flushes the index

    /// Opens the segment at `position` (or makes the first one) and starts the thread.
    Result<> start(const Position& position);
    void submit(Request request);

    /// A body's inline frames were copied, durably, to `to`.
    struct Move {
        PartitionId partition;
        BodyId id;
        BodyPlace from, to;
    };
    /// Writes the new places to the index, between two groups, for those bodies that are still at `from`. Blocks the
    /// caller.
    Result<> move(const std::vector<Move>& moves);
    /// Has the next group written to another segment, unless the current one is empty: all that was written before can
    /// be copied then. Blocks the caller. Errors: no_space, io.
    Result<> begin_segment();
    /// Writes what changed in the table of segments, and nothing else.
    Result<> store_table() { return move({}); }

    std::uint64_t commits() const { return commits_; }
    std::uint64_t groups() const { return groups_; }
    Position durable_end() const;  ///< everything before it is synced and indexed

private:
    struct Prepared;
    struct Group;
    void run();
    std::optional<std::vector<Request>> gather();
    void commit(std::vector<Request> requests);
    void prepare(Group& group, std::vector<Request>& requests);
    Result<> prepare(Group& group, Request& request);
    Result<> prepare_shared(Group& group, const Batch& batch);
    void encode(Group& group, Request request, ChangeNumber change);
    Result<ChangeNumber> admit(Group& group, const Request& request);
    Result<> make_room(const Group& group);
    Result<> roll(std::uint64_t room, std::uint64_t first_sequence);
    Result<> leave_segment();
    Result<> write(Group& group);
    Result<> cut_segment();
    Result<> update_index();
    bool space_is_short() const;
    void look_again();
    Result<> index(Group& group);
    Result<> index_erased(Group& group, const std::unordered_map<BodyId, BodyPlace>& added);
    void finish(Group& group);
    void reclaim(const Group& group);
    void make_moves();
    Result<> make(const std::vector<Move>& moves);
    void fail_all(Group& group, const Error& error);

    const Options& options_;
    StoreDirectory& directory_;
    Index& index_;
    SegmentTable& table_;
    Leases& leases_;
    Watches& watches_;
    Reserve& reserve_;
    Staging& staging_;
    DiskPool& pool_;
    Reclaims& reclaims_;
    std::atomic<std::uint64_t>& next_body_;

    // The committer thread's own.
    std::optional<File> segment_;
    std::uint64_t allocated_ = 0;                          ///< octets of the segment's file that have blocks
    Position end_;                                         ///< where the next group goes
    rocksdb::WriteBatch unindexed_;                        ///< durable in the log; not yet in the index
    SharedBodies shared_;                                  ///< what the current group changes in them
    std::unordered_map<PartitionId, ChangeNumber> known_;  ///< what the index says of some partitions
    bool short_of_room_ = false;                           ///< when it was last looked at; look_again() clears it

    std::mutex mutex_;
    std::condition_variable ready_;
    std::vector<Request> queue_;
    std::vector<std::pair<const std::vector<Move>*, std::promise<Result<>>>> moves_;
    std::vector<std::promise<Result<>>> rolls_;
    bool stopping_ = false;

    mutable std::mutex durable_mutex_;
    Position durable_;
    std::atomic<std::uint64_t> commits_ = 0, groups_ = 0;
    std::thread thread_;
};

}  // namespace poplar::engine::local
