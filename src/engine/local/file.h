#pragma once
// The few file operations the engine rests on, over a Disk. Interrupted calls are repeated, short ones go on. Failures:
// no_space (ENOSPC, EDQUOT), not_found, exists, busy (a lock), io.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "engine/local/disk.h"

namespace poplar::engine::local {

/// An open file, closed on destruction. Reads may come from any thread, writes from one at a time.
class File {
public:
    enum class Mode { read, read_write, create_new };
    static Result<File> open(Disk& disk, const std::filesystem::path& path, Mode mode);

    File(File&& other) noexcept
        : disk_(other.disk_), fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
    File& operator=(File&& other) noexcept;
    ~File();

    const std::filesystem::path& path() const { return path_; }

    Result<std::uint64_t> size() const;
    Result<std::uint64_t> links() const;     ///< how many names it has
    Result<std::uint64_t> identity() const;  ///< its number in its file system: the same for all its names
    /// Reads up to `size` octets; fewer only at the end of the file.
    Result<std::size_t> read_at(char* to, std::size_t size, std::uint64_t offset) const;
    /// As read_at, but gives up rather than wait for the disk: nothing, if not all `size` octets are in the page cache.
    bool try_read_at(char* to, std::size_t size, std::uint64_t offset) const;
    /// Writes everything, or fails; what was written before a failure stays.
    Result<> write_at(std::span<iovec> parts, std::uint64_t offset);
    Result<> write_at(std::string_view bytes, std::uint64_t offset);
    Result<> sync(Sync what);           ///< fdatasync: content and what is needed to read it
    Result<> sync_metadata(Sync what);  ///< fsync
    Result<> allocate(std::uint64_t offset, std::uint64_t size);
    Result<> truncate(std::uint64_t size);
    /// Gives whole blocks inside the range back to the file system; they read as zeros.
    Result<> punch(std::uint64_t offset, std::uint64_t size);
    /// Where data begins at or after `offset`; the file's size if there is none.
    Result<std::uint64_t> next_data(std::uint64_t offset) const;
    /// For this open file alone, until it is closed. Errors: busy.
    Result<> lock();

private:
    File(Disk& disk, int fd, std::filesystem::path path) : disk_(&disk), fd_(fd), path_(std::move(path)) {}
    Disk* disk_;
    int fd_ = -1;
    std::filesystem::path path_;
};

Result<> ensure_directory(Disk& disk, const std::filesystem::path& path);  ///< mode 0700; fine if it is there
Result<> sync_directory(Disk& disk, const std::filesystem::path& path, Sync what);
Result<> link_file(Disk& disk, const std::filesystem::path& from, const std::filesystem::path& to);
Result<> rename_file(Disk& disk, const std::filesystem::path& from, const std::filesystem::path& to);
Result<> unlink_file(Disk& disk, const std::filesystem::path& path);
Result<> remove_tree(Disk& disk, const std::filesystem::path& path);  ///< with all it holds; fine if it is not there
Result<std::vector<Disk::Name>> list_directory(Disk& disk, const std::filesystem::path& path);
Result<std::uint64_t> free_space(Disk& disk, const std::filesystem::path& path);   ///< octets; as Disk::free_space
Result<std::uint64_t> disk_octets(Disk& disk, const std::filesystem::path& path);  ///< of its blocks

}  // namespace poplar::engine::local
