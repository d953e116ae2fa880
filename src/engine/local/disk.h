#pragma once
// The system calls the engine rests on, one virtual function each, so that a test can stand in for the disk: record
// what is done to it, lose power, run full, fail. In production this class itself is used: the plain calls and nothing
// else.
#include <sys/uio.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rocksdb {
class Env;
}

namespace poplar::engine::local {

/// Every sync the engine makes, by what it makes durable. durability.md says what each is for; a test leaves out
/// one after the other and sees the promise broken.
enum class Sync {
    store_name,      ///< the data directory's own name, in its parent
    store_folders,   ///< the names of the folders in a new data directory
    format,          ///< what stands in FORMAT
    format_name,     ///< at every start: that FORMAT has its name, as a process may have died without making sure
    found_segments,  ///< the same for the segments
    body_folders,    ///< the names of the folders of large bodies
    segment_header,  ///< a new segment's header
    segment_name,    ///< that a new segment has its name
    group,           ///< a group of commits: the sync that everybody waits for
    segment_cut,     ///< that a segment ends where its last group does
    recovered,       ///< at start: what is replayed from the last segment, and that its torn tail is gone
    body,            ///< a large body's octets
    body_name,       ///< that a large body has its name
    orphans,         ///< the names in the folder of orphans
    index_dropped,   ///< before a rebuild, and behind it: that the old index has lost its name
    copy,            ///< a copy of segments
    copy_name,       ///< that it has its name
};
inline constexpr Sync kLastSync = Sync::copy_name;
std::string_view to_string(Sync sync);

/// The steps of what changes the disk, in the order of their happening: a test has the process die behind each.
enum class Step {
    format_written,
    format_named,
    body_written,  ///< a part of a large body is in its file
    body_synced,
    body_linked,
    body_named,       ///< ... durably; its record is not written yet
    segment_cut,      ///< the full segment was cut to its content
    segment_created,  ///< the next one's header is written, not synced
    segment_named,    ///< and durable, name and all
    group_allocated,
    group_written,
    group_synced,     ///< nobody has heard of it yet
    group_indexed,    ///< the index knows it too
    group_answered,   ///< everybody has heard
    body_unlinked,    ///< an erased body's file is gone
    hole_punched,     ///< an erased body's octets are given back
    log_replayed,     ///< at start: the index has caught up with a segment
    log_recovered,    ///< at start: the torn tail is cut, durably
    orphan_kept,      ///< at start: a file that is nobody's was put aside
    orphan_unlinked,  ///< at start: ... or removed
    index_dropped,    ///< before a rebuild: the old index has lost its name
    index_rebuilt,    ///< durably; what the rebuild could not save is still to be repaired
    rebuild_ended,    ///< and that is done, too
    copy_begun,       ///< the index knows what is going to be copied, durably
    copy_written,     ///< a part of the copy is in its draft
    copy_synced,
    copy_named,
    copy_durable,      ///< name and all
    copy_indexed,      ///< the index has the bodies' places in the copy
    copy_flushed,      ///< and has them durably
    segment_unlinked,  ///< one of those that the copy stands for
};
inline constexpr Step kLastStep = Step::segment_unlinked;
std::string_view to_string(Step step);

/// Each call does as its manual page says: -1 and errno on failure, EINTR included. From any thread.
class Disk {
public:
    static Disk& system();  ///< the real one
    virtual ~Disk() = default;

    virtual int open(const char* path, int flags, unsigned mode);
    virtual int close(int fd);
    virtual ssize_t pread(int fd, void* to, std::size_t size, std::uint64_t offset);
    /// preadv2 with RWF_NOWAIT: only what is in the page cache.
    virtual ssize_t pread_cached(int fd, void* to, std::size_t size, std::uint64_t offset);
    virtual ssize_t pwritev(int fd, const iovec* parts, int count, std::uint64_t offset);
    virtual int fdatasync(int fd, Sync what);
    virtual int fsync(int fd, Sync what);
    virtual int ftruncate(int fd, std::uint64_t size);
    virtual int fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t size);
    virtual std::int64_t seek_data(int fd, std::uint64_t offset);
    virtual std::int64_t size(int fd);
    virtual std::int64_t links(int fd);     ///< how many names the file has
    virtual std::int64_t identity(int fd);  ///< its number in its file system; a copy of it has another
    virtual int lock(int fd);               ///< flock, exclusive, without waiting

    struct Name {
        std::string name;
        bool directory = false;
    };
    virtual int list(const char* path, std::vector<Name>& names);  ///< without "." and ".."
    virtual int mkdir(const char* path, unsigned mode);
    virtual int link(const char* from, const char* to);
    virtual int rename(const char* from, const char* to);
    virtual int unlink(const char* path);
    virtual int rmdir(const char* path);
    virtual std::int64_t disk_octets(const char* path);  ///< of a file's blocks
    virtual std::int64_t free_space(const char* path);   ///< octets an unprivileged writer may use

    virtual void reached(Step) {}
    /// RocksDB reaches its files through this; null: its own way to the same disk.
    virtual rocksdb::Env* index_env() { return nullptr; }
};

}  // namespace poplar::engine::local
