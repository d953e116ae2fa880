#include "engine/local/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace poplar::engine::local {

std::string_view to_string(Sync sync) {
    constexpr auto kNames = std::to_array<std::string_view>(
        {"store_name", "store_folders", "format", "format_name", "found_segments", "body_folders", "segment_header",
         "segment_name", "group", "segment_cut", "recovered", "body", "body_name", "orphans", "index_dropped", "copy",
         "copy_name"});
    static_assert(kNames.size() == static_cast<std::size_t>(kLastSync) + 1);
    return kNames[static_cast<std::size_t>(sync)];
}

std::string_view to_string(Step step) {
    constexpr auto kNames = std::to_array<std::string_view>(
        {"format_written",  "format_named",    "body_written",  "body_synced",     "body_linked",   "body_named",
         "segment_cut",     "segment_created", "segment_named", "group_allocated", "group_written", "group_synced",
         "group_indexed",   "group_answered",  "body_unlinked", "hole_punched",    "log_replayed",  "log_recovered",
         "orphan_kept",     "orphan_unlinked", "index_dropped", "index_rebuilt",   "rebuild_ended", "copy_begun",
         "copy_written",    "copy_synced",     "copy_named",    "copy_durable",    "copy_indexed",  "copy_flushed",
         "segment_unlinked"});
    static_assert(kNames.size() == static_cast<std::size_t>(kLastStep) + 1);
    return kNames[static_cast<std::size_t>(step)];
}

Disk& Disk::system() {
    static Disk disk;
    return disk;
}

int Disk::open(const char* path, int flags, unsigned mode) { return ::open(path, flags, mode); }
int Disk::close(int fd) { return ::close(fd); }

ssize_t Disk::pread(int fd, void* to, std::size_t size, std::uint64_t offset) {
    return ::pread(fd, to, size, static_cast<off_t>(offset));
}

ssize_t Disk::pread_cached(int fd, void* to, std::size_t size, std::uint64_t offset) {
    iovec part{to, size};
    return ::preadv2(fd, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT);
}

ssize_t Disk::pwritev(int fd, const iovec* parts, int count, std::uint64_t offset) {
    return ::pwritev(fd, parts, count, static_cast<off_t>(offset));
}

int Disk::fdatasync(int fd, Sync) { return ::fdatasync(fd); }
int Disk::fsync(int fd, Sync) { return ::fsync(fd); }
int Disk::ftruncate(int fd, std::uint64_t size) { return ::ftruncate(fd, static_cast<off_t>(size)); }

int Disk::fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t size) {
    return ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size));
}

std::int64_t Disk::seek_data(int fd, std::uint64_t offset) {
    return ::lseek(fd, static_cast<off_t>(offset), SEEK_DATA);
}

std::int64_t Disk::size(int fd) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 ? st.st_size : -1;
}

std::int64_t Disk::links(int fd) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 ? static_cast<std::int64_t>(st.st_nlink) : -1;
}

std::int64_t Disk::identity(int fd) {
    struct stat st{};
    return ::fstat(fd, &st) == 0 ? static_cast<std::int64_t>(st.st_ino & 0x7fff'ffff'ffff'ffff) : -1;
}

int Disk::lock(int fd) { return ::flock(fd, LOCK_EX | LOCK_NB); }

int Disk::list(const char* path, std::vector<Name>& names) {
    DIR* directory = ::opendir(path);
    if (!directory) return -1;
    errno = 0;
    while (const dirent* entry = ::readdir(directory)) {
        std::string_view name = entry->d_name;
        if (name == "." || name == "..") continue;
        bool is_directory = entry->d_type == DT_DIR;
        struct stat st{};
        if (entry->d_type == DT_UNKNOWN && ::fstatat(::dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            is_directory = S_ISDIR(st.st_mode);
        names.push_back({std::string(name), is_directory});
        errno = 0;
    }
    int error = errno;
    ::closedir(directory);
    errno = error;
    return error == 0 ? 0 : -1;
}

int Disk::mkdir(const char* path, unsigned mode) { return ::mkdir(path, mode); }
int Disk::link(const char* from, const char* to) { return ::link(from, to); }
int Disk::rename(const char* from, const char* to) { return ::rename(from, to); }
int Disk::unlink(const char* path) { return ::unlink(path); }
int Disk::rmdir(const char* path) { return ::rmdir(path); }

std::int64_t Disk::disk_octets(const char* path) {
    struct stat st{};
    return ::stat(path, &st) == 0 ? st.st_blocks * 512 : -1;
}

std::int64_t Disk::free_space(const char* path) {
    struct statvfs st{};
    if (::statvfs(path, &st) != 0) return -1;
    return static_cast<std::int64_t>(st.f_bavail * st.f_frsize);
}

}  // namespace poplar::engine::local
