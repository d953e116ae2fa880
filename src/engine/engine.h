#pragma once
// The storage interface: ordered keys and immutable bodies, in partitions. It knows no mail.
//
// A partition is the unit of everything: commits are atomic and ordered within one and never cross it. One account is
// one partition, the directory is another; so an embedded store and a cluster follow one model.
//
// All functions may be called from any thread that runs an asio executor; they resume on the caller's executor.
// Arguments are passed by value, so a call owns what it needs. Failures that any call may answer with: io (the disk or
// the cluster failed), corrupt (stored bytes are damaged; they are never returned), cancelled (the engine is stopping).
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "base/strong.h"
#include "engine/entries.h"

namespace poplar::engine {

using PartitionId = Strong<struct PartitionIdTag>;
/// Counts a partition's commits: 0 before the first, then one more with each.
using ChangeNumber = Strong<struct ChangeNumberTag>;
/// Names one body in its partition for ever; later bodies have greater ids.
using BodyId = Strong<struct BodyIdTag>;
/// Grows with every holder of a lease, so that a commit of a holder that lost it can be refused.
using FencingToken = Strong<struct FencingTokenTag>;

/// Keys from `begin` to before `end`, in byte order. A key has 1 to 1,000 octets.
struct KeyRange {
    std::string begin, end;
    static KeyRange prefix(std::string prefix);  ///< all keys that begin with `prefix`, which must not be all 0xff
    /// Leaves only what comes after `key`.
    void begin_behind(std::string_view key) { begin.assign(key).push_back('\0'); }
};

/// A partition as it was at one moment: reads through it see no later commit. Hold it briefly (a session's first
/// listing, not its whole life): it keeps old versions from being cleared away.
class Snapshot {
public:
    virtual ~Snapshot() = default;
};

class BodyReader;

/// Bytes that were written but belong to no partition yet. Bodies that only differ in their head (the trace header
/// fields of each recipient) share one staged body, and what is stored of it: whatever their number, in whatever
/// partitions, it takes its space about once. Dropped without a commit, it leaves nothing behind.
class StagedBody {
public:
    virtual ~StagedBody() = default;
    virtual std::uint64_t size() const = 0;  ///< octets
    /// Reads it from its beginning, whether bodies end with it already or not. The reader keeps it.
    virtual std::unique_ptr<BodyReader> read() const = 0;
};

/// Takes the bytes of a body as they come, holding no more than a bounded part in memory.
class BodyWriter {
public:
    virtual ~BodyWriter() = default;  ///< dropping the writer before finish() drops the bytes
    /// Where the bytes of the next write() may stand, which are not copied then: not empty, good until any other call.
    virtual std::span<char> room() = 0;
    /// Errors: no_space, io. After an error only destruction is allowed.
    virtual Task<Result<>> write(std::string_view bytes) = 0;  // the caller keeps `bytes` alive until it returns
    /// `bodies`: how many bodies are going to end with these bytes. It only guides how they are stored: an engine may
    /// keep the bytes that one body alone ends with beside that body.
    virtual Task<Result<std::shared_ptr<const StagedBody>>> finish(std::size_t bodies = 1) = 0;
};

/// Reads a body from its beginning, checking every chunk before it is given out. not_found: it was erased meanwhile.
class BodyReader {
public:
    virtual ~BodyReader() = default;
    virtual std::uint64_t size() const = 0;  ///< octets, head included
    /// The next chunk of 1 octet to 64 KB, "" at the end; good until the next call. Errors: corrupt, io, not_found.
    virtual Task<Result<std::string_view>> next() = 0;
    /// Reads the whole body once and starts again at its beginning: a caller that must not stop in the middle (RETR
    /// after +OK) learns of damage before its first octet. Costs nothing for a body of one chunk.
    virtual Task<Result<>> verify() = 0;
    /// After verify(): the whole body, in pieces of at most 64 KB, if it is in memory now; else nothing. Holds as long
    /// as next() is not called.
    virtual std::span<const std::string_view> whole() const { return {}; }
};

/// Opens bodies of one partition one after another. As a mailbox is fetched in the order of their ids, what is looked
/// up for one is looked up for those that follow it. Used by one caller; the engine must outlive it.
class BodySeries {
public:
    virtual ~BodySeries() = default;
    /// Errors: not_found.
    virtual Task<Result<std::unique_ptr<BodyReader>>> open(BodyId id) = 0;
    /// A reader that has been verified and has a whole(), if index and octets are in memory. Else null, also after a
    /// failure: open() tells why.
    virtual std::unique_ptr<BodyReader> try_open_whole(BodyId) { return nullptr; }
    /// Closes the files that it holds open for the next body. To be called when none may be wanted for a while.
    virtual void release_files() {}
};

/// Exclusive use of a name within a partition, given back on destruction. (A cluster's lease has a time to live that
/// the engine renews while this object lives.)
class Lease {
public:
    virtual ~Lease() = default;
    virtual FencingToken token() const = 0;
};

/// Keeps a watch alive; destruction ends it. The hint may still be running then.
class Watch {
public:
    virtual ~Watch() = default;
};

/// Changes that become true together. Applying one twice is the same as once, so a commit may be repeated.
struct Batch {
    struct NewBody {
        BodyId id;
        std::string head;                        ///< the body's first bytes; may be empty
        std::shared_ptr<const StagedBody> tail;  ///< the bytes after it; may be null
    };
    struct Fence {
        std::string lease;
        FencingToken token;
    };

    void put(std::string key, std::string value) { puts.push_back({std::move(key), std::move(value)}); }
    void erase(std::string key) { erased.push_back(std::move(key)); }
    void add_body(BodyId id, std::string head, std::shared_ptr<const StagedBody> tail) {
        bodies.push_back({id, std::move(head), std::move(tail)});
    }
    void erase_body(BodyId id) { erased_bodies.push_back(id); }
    bool empty() const { return puts.empty() && erased.empty() && bodies.empty() && erased_bodies.empty(); }

    /// Whether each key stands in `erased` and `puts` together at most once. A commit takes no other batch: which of
    /// two values a key ends with is not defined.
    bool names_keys_once() const;

    // Applied in this order.
    std::vector<std::string> erased;
    std::vector<Entry> puts;
    std::vector<NewBody> bodies;
    std::vector<BodyId> erased_bodies;  ///< the space comes back later
    std::vector<Fence> fences;          ///< commit only while these leases are held
};

class Engine {
public:
    virtual ~Engine() = default;

    /// Errors: not_found.
    virtual Task<Result<std::string>> get(PartitionId partition, std::string key,
                                          std::shared_ptr<const Snapshot> snapshot = nullptr) = 0;
    /// As get(), if no disk has to be read for the answer; else nothing. Never waits: for what every poll reads.
    virtual std::optional<Result<std::string>> try_get(PartitionId, std::string_view, const Snapshot* = nullptr) {
        return std::nullopt;
    }

    /// At most `limit` entries in key order; fewer only at the end of the range.
    virtual Task<Result<Entries>> scan(PartitionId partition, KeyRange range, std::size_t limit,
                                       std::shared_ptr<const Snapshot> snapshot = nullptr) = 0;

    /// The number of the last durable commit; 0 for a partition nobody has written to.
    virtual Task<Result<ChangeNumber>> change_number(PartitionId partition,
                                                     std::shared_ptr<const Snapshot> snapshot = nullptr) = 0;

    /// The partition as it is now: everything committed so far, nothing later.
    virtual std::shared_ptr<const Snapshot> snapshot(PartitionId partition) = 0;

    /// Makes `batch` true, atomically. When it succeeds the changes survive loss of power, and every read that starts
    /// later sees them. Returns the partition's new change number.
    /// Errors: conflict (the partition's number is no longer `expected`; nothing happened), denied (a fence's lease
    /// is not held any more; nothing happened), no_space (nothing happened; may work later), io (a failed sync: after
    /// a restart the batch is there whole or not at all), outcome_unknown (cluster only: repeat the batch).
    virtual Task<Result<ChangeNumber>> commit(PartitionId partition, Batch batch,
                                              std::optional<ChangeNumber> expected = std::nullopt) = 0;

    /// A fresh id for Batch::add_body.
    virtual BodyId next_body_id(PartitionId partition) = 0;
    /// `size_hint`, in octets, only guides where the bytes are gathered; 0 when unknown.
    virtual std::unique_ptr<BodyWriter> write_body(std::uint64_t size_hint = 0) = 0;
    virtual std::unique_ptr<BodySeries> read_bodies(PartitionId partition) = 0;

    /// Does not wait. Errors: busy (somebody holds it).
    virtual Task<Result<std::unique_ptr<Lease>>> lease(PartitionId partition, std::string name) = 0;

    /// Calls `hint`, from any thread and briefly, some time after a commit to the partition. It is a hint, not the
    /// truth: calls may be joined, and one may come though nothing changed.
    virtual std::unique_ptr<Watch> watch(PartitionId partition, std::function<void()> hint) = 0;
};

}  // namespace poplar::engine
