#pragma once
// Counts what the files of the log hold, and how much of it still counts. It changes with every commit and is stored in
// the index together with what it counts, so that a start needs no walk.
#include <rocksdb/write_batch.h>

#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "engine/local/record.h"

namespace poplar::engine::local {

class Index;

struct SegmentSpace {
    std::uint64_t last = 0;         ///< the last number it stands for; its own, if it is no copy
    std::uint64_t as_of = 0;        ///< as in its header
    std::uint64_t meta_octets = 0;  ///< record headers and metadata
    std::uint64_t bodies = 0;       ///< with inline frames, ever
    std::uint64_t live_bodies = 0;  ///< of them
    std::uint64_t live_octets = 0;  ///< of live bodies' inline frames
    bool operator==(const SegmentSpace&) const = default;

    /// The octets that count: at most, and about, as metadata mostly dies with the bodies it speaks of.
    std::uint64_t most_live() const { return kSegmentHeader + live_octets + meta_octets; }
    std::uint64_t about_live() const;
};
std::string encode_space(const SegmentSpace& space);
Result<SegmentSpace> decode_space(std::string_view bytes);

/// May be used from any thread. Changes come from the committer (or from recovery, before there is one).
class SegmentTable {
public:
    struct Row {
        SegmentId id;
        SegmentSpace space;
    };

    /// Takes over what the index knows.
    Result<> load(const Index& index);
    /// Counts every live body anew: for an index made before there was a table.
    Result<> recount(const Index& index);

    /// `last` and `as_of`: as in the segment's header.
    void add_segment(SegmentId id, std::uint64_t last, std::uint64_t as_of);
    void remove_segment(SegmentId id);

    // Count what a record brings and takes; `place` is where the body was.
    void add_record(SegmentId id, std::uint64_t meta_octets);
    void add_body(const BodyPlace& place);
    void erase_body(const BodyPlace& place);
    /// A body's inline frames were copied: they live at `to` now. (The copy was counted with add_copy.)
    void move_body(const BodyPlace& from, const BodyPlace& to);
    /// Counts what a copy holds, before any body lives in it.
    void add_copy(SegmentId id, std::uint64_t meta_octets, std::uint64_t bodies);

    /// Adds the rows that changed since the last time to `batch`.
    void stage(rocksdb::WriteBatch& batch);

    std::vector<Row> rows() const;       ///< in the order of the log
    std::uint64_t large_octets() const;  ///< of live bodies' own files
    std::optional<SegmentSpace> find(SegmentId id) const;

private:
    SegmentSpace& change(SegmentId id);

    mutable std::mutex mutex_;
    std::map<SegmentId, SegmentSpace> rows_;
    std::uint64_t large_octets_ = 0;
    bool large_changed_ = false;
    std::set<SegmentId> changed_;
};

}  // namespace poplar::engine::local
