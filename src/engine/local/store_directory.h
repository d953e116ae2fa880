#pragma once
// A data directory: what lies where, its format version, its lock, and its files of segments and large bodies.
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/local/file.h"
#include "engine/local/health.h"
#include "engine/local/record.h"

namespace poplar::engine::local {

class StoreDirectory {
public:
    /// Creates what is missing, checks FORMAT and takes the lock, held until destruction. Errors: busy, invalid, io.
    static Result<std::unique_ptr<StoreDirectory>> open(Disk& disk, const std::filesystem::path& root);

    Disk& disk() const { return disk_; }
    Health& health() const { return health_; }
    const std::filesystem::path& root() const { return root_; }
    RecordMark mark() const { return mark_; }
    /// Whether this is a copy of a directory that was opened where it was: LOCK says which file it was then.
    bool is_copy() const { return is_copy_; }
    /// From now on it is none. To be called when the store has proved to be whole.
    void settle_here();
    /// Whether FORMAT says what it should. Errors: corrupt (it was damaged at the start, when the segments told the
    /// mark, or has been since).
    Result<> check_format() const;
    Result<> write_format() const;  ///< anew; the name is for the caller to make durable
    std::filesystem::path index() const { return root_ / "index"; }
    std::filesystem::path old_index() const { return root_ / "index.old"; }
    /// Before a rebuild: the index becomes old_index(), or is dropped if there is one already. If that is interrupted,
    /// all of it has happened or nothing; so it is with drop_old_index(), for when the rebuild is over.
    Result<> set_aside_index() const;
    /// Whether there is an old_index(): until a rebuild is over, it may know of commits that nothing else knows.
    Result<bool> rebuild_was_interrupted() const;
    Result<> drop_old_index() const;

    // Segments: log/0/0000000001.seg and so on; copies have their pass in the name: 0000000001.2.seg.
    std::filesystem::path segment(SegmentId id) const;
    Result<std::vector<SegmentId>> segments() const;  ///< ascending
    /// Octets that it takes of the disk; holes take none. Errors: not_found.
    Result<std::uint64_t> segment_disk_octets(SegmentId id) const;
    /// Writes the header of a new segment and makes it and its name durable.
    Result<File> create_segment(std::uint64_t number, std::uint64_t first_sequence) const;
    /// Checks that the segment's header is ours. Errors: corrupt, invalid.
    Result<SegmentHeader> read_header(const File& file) const;
    /// For reading; some stay open. May be called from any thread.
    Result<std::shared_ptr<const File>> segment_reader(SegmentId id) const;

    // Copies are written under another name: a file with a segment's name is complete and durable.
    Result<File> create_draft(SegmentId id) const;
    Result<> publish_draft(SegmentId id) const;  ///< the content is synced; makes the name durable
    Result<> remove_draft(SegmentId id) const;
    Result<> sweep_drafts() const;  ///< those that a crash left
    /// Unlinks a segment that a copy stands for. A reader that has it open reads on.
    Result<> remove_segment(SegmentId id) const;

    // Large bodies: large/xx/<partition>-<id>, xx from the id's low octet; being written: large/incoming/<id>.
    std::filesystem::path large_body(PartitionId partition, BodyId id) const;
    std::filesystem::path incoming_body(BodyId id) const;
    /// Removes what lies in large/incoming: nobody was told that it is safe.
    Result<> sweep_incoming() const;
    Result<std::vector<std::pair<PartitionId, BodyId>>> large_bodies() const;  ///< those there is a file of

    /// Moves a large body's file to large/orphans, where nothing touches it any more.
    Result<> keep_aside(PartitionId partition, BodyId id) const;

    std::string relative(const std::filesystem::path& path) const;  ///< for reports

private:
    StoreDirectory(Disk& disk, std::filesystem::path root, File lock)
        : disk_(disk), root_(std::move(root)), lock_(std::move(lock)) {}
    Result<> prepare();
    Result<> prepare_format();
    Result<RecordMark> mark_of_segments() const;
    Result<> prepare_large();

    Disk& disk_;
    std::filesystem::path root_;
    File lock_;
    bool is_copy_ = false;
    mutable Health health_;
    RecordMark mark_;
    mutable std::mutex readers_mutex_;
    mutable std::map<SegmentId, std::shared_ptr<const File>> readers_;
    mutable std::uint64_t removed_ = 0;  // segments, in all
};

}  // namespace poplar::engine::local
