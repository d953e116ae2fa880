// The calls of a Disk, repeated and carried on until all is done, and their errno as an Errc.
#include "engine/local/file.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace poplar::engine::local {

namespace {

// A read from the disk that follows no other fills the page cache with single pages (Linux 6.18). One that goes on
// where the last ended gets larger ones, for half the CPU, and they are cheaper to read again. So long reads go in
// steps.
constexpr std::size_t kStep = 32 << 10;

std::unexpected<Error> failed(std::string_view what, const std::filesystem::path& path) {
    int error = errno;
    Errc code = error == ENOSPC || error == EDQUOT ? Errc::no_space
                : error == ENOENT                  ? Errc::not_found
                : error == EEXIST                  ? Errc::exists
                : error == EWOULDBLOCK             ? Errc::busy
                                                   : Errc::io;
    return fail(code, fmt::format("{} {}: {}", what, path.string(), std::strerror(error)));
}

// Calls again what a signal interrupted.
template <class Call>
auto repeat(Call call) {
    auto done = call();
    while (done < 0 && errno == EINTR) done = call();
    return done;
}

template <class Call>
Result<> run(std::string_view what, const std::filesystem::path& path, Call call) {
    if (repeat(call) < 0) return failed(what, path);
    return {};
}

}  // namespace

Result<File> File::open(Disk& disk, const std::filesystem::path& path, Mode mode) {
    int flags = O_CLOEXEC | (mode == Mode::read         ? O_RDONLY
                             : mode == Mode::read_write ? O_RDWR
                                                        : O_RDWR | O_CREAT | O_EXCL);
    int fd = repeat([&] { return disk.open(path.c_str(), flags, 0600); });
    if (fd < 0) return failed("open", path);
    return File(disk, fd, path);
}

File& File::operator=(File&& other) noexcept {
    std::swap(disk_, other.disk_);
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
}

File::~File() {
    if (fd_ >= 0) disk_->close(fd_);
}

Result<std::uint64_t> File::size() const {
    auto size = disk_->size(fd_);
    if (size < 0) return failed("stat", path_);
    return static_cast<std::uint64_t>(size);
}

Result<std::uint64_t> File::links() const {
    auto links = disk_->links(fd_);
    if (links < 0) return failed("stat", path_);
    return static_cast<std::uint64_t>(links);
}

Result<std::uint64_t> File::identity() const {
    auto identity = disk_->identity(fd_);
    if (identity < 0) return failed("stat", path_);
    return static_cast<std::uint64_t>(identity);
}

Result<std::size_t> File::read_at(char* to, std::size_t size, std::uint64_t offset) const {
    std::size_t done = 0;
    while (done < size) {
        ssize_t got = repeat([&] { return disk_->pread(fd_, to + done, std::min(size - done, kStep), offset + done); });
        if (got < 0) return failed("read", path_);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

bool File::try_read_at(char* to, std::size_t size, std::uint64_t offset) const {
    auto cached = [&](std::size_t from, std::size_t to_read) {
        return disk_->pread_cached(fd_, to + from, to_read, offset + from) == static_cast<ssize_t>(to_read);
    };
    // The kernel begins to read what it misses. So the first step is asked for alone, and a miss costs no more than
    // that.
    if (size <= 2 * kStep) return cached(0, size);
    return cached(0, kStep) && cached(kStep, size - kStep);
}

Result<> File::write_at(std::span<iovec> parts, std::uint64_t offset) {
    while (!parts.empty()) {
        int count = static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX));
        ssize_t written = repeat([&] { return disk_->pwritev(fd_, parts.data(), count, offset); });
        if (written < 0) return failed("write", path_);
        if (written == 0) return fail(Errc::io, fmt::format("write {}: nothing was taken", path_.string()));
        offset += static_cast<std::uint64_t>(written);
        auto left = static_cast<std::size_t>(written);
        while (!parts.empty() && left >= parts.front().iov_len) {
            left -= parts.front().iov_len;
            parts = parts.subspan(1);
        }
        if (left > 0) {
            parts.front().iov_base = static_cast<char*>(parts.front().iov_base) + left;
            parts.front().iov_len -= left;
        }
    }
    return {};
}

Result<> File::write_at(std::string_view bytes, std::uint64_t offset) {
    iovec part{const_cast<char*>(bytes.data()), bytes.size()};
    return write_at(std::span(&part, bytes.empty() ? 0 : 1), offset);
}

Result<> File::sync(Sync what) {
    return run("fdatasync", path_, [&] { return disk_->fdatasync(fd_, what); });
}

Result<> File::sync_metadata(Sync what) {
    return run("fsync", path_, [&] { return disk_->fsync(fd_, what); });
}

Result<> File::allocate(std::uint64_t offset, std::uint64_t size) {
    // Without fallocate writes extend the file: slower syncs, nothing else.
    if (repeat([&] { return disk_->fallocate(fd_, 0, offset, size); }) < 0 && errno != EOPNOTSUPP)
        return failed("fallocate", path_);
    return {};
}

Result<> File::truncate(std::uint64_t size) {
    return run("truncate", path_, [&] { return disk_->ftruncate(fd_, size); });
}

Result<> File::punch(std::uint64_t offset, std::uint64_t size) {
    constexpr std::uint64_t kBlock = 4096;
    std::uint64_t begin = (offset + kBlock - 1) / kBlock * kBlock, end = (offset + size) / kBlock * kBlock;
    if (begin >= end) return {};
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (repeat([&] { return disk_->fallocate(fd_, kMode, begin, end - begin); }) < 0 && errno != EOPNOTSUPP)
        return failed("punch", path_);
    return {};
}

Result<std::uint64_t> File::next_data(std::uint64_t offset) const {
    auto at = disk_->seek_data(fd_, offset);
    if (at >= 0) return static_cast<std::uint64_t>(at);
    if (errno == ENXIO) return size();
    if (errno == EINVAL) return offset;  // a file system that can't tell
    return failed("seek", path_);
}

Result<> File::lock() {
    return run("lock", path_, [&] { return disk_->lock(fd_); });
}

Result<> ensure_directory(Disk& disk, const std::filesystem::path& path) {
    if (repeat([&] { return disk.mkdir(path.c_str(), 0700); }) < 0 && errno != EEXIST) return failed("mkdir", path);
    return {};
}

Result<> sync_directory(Disk& disk, const std::filesystem::path& path, Sync what) {
    int fd = repeat([&] { return disk.open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0); });
    if (fd < 0) return failed("open", path);
    auto done = run("fsync", path, [&] { return disk.fsync(fd, what); });
    disk.close(fd);
    return done;
}

Result<> link_file(Disk& disk, const std::filesystem::path& from, const std::filesystem::path& to) {
    return run("link", to, [&] { return disk.link(from.c_str(), to.c_str()); });
}

Result<> rename_file(Disk& disk, const std::filesystem::path& from, const std::filesystem::path& to) {
    return run("rename", to, [&] { return disk.rename(from.c_str(), to.c_str()); });
}

Result<> unlink_file(Disk& disk, const std::filesystem::path& path) {
    return run("unlink", path, [&] { return disk.unlink(path.c_str()); });
}

Result<> remove_tree(Disk& disk, const std::filesystem::path& path) {
    auto names = list_directory(disk, path);
    if (!names) {
        if (names.error().code() == Errc::not_found) return {};
        return pass_on(names);
    }
    for (const auto& entry : *names) {
        auto done = entry.directory ? remove_tree(disk, path / entry.name) : unlink_file(disk, path / entry.name);
        if (!done) return done;
    }
    return run("rmdir", path, [&] { return disk.rmdir(path.c_str()); });
}

Result<std::vector<Disk::Name>> list_directory(Disk& disk, const std::filesystem::path& path) {
    std::vector<Disk::Name> names;
    auto list = [&] {
        names.clear();
        return disk.list(path.c_str(), names);
    };
    if (repeat(list) < 0) return failed("list", path);
    return names;
}

Result<std::uint64_t> free_space(Disk& disk, const std::filesystem::path& path) {
    auto octets = repeat([&] { return disk.free_space(path.c_str()); });
    if (octets < 0) return failed("statvfs", path);
    return static_cast<std::uint64_t>(octets);
}

Result<std::uint64_t> disk_octets(Disk& disk, const std::filesystem::path& path) {
    auto octets = repeat([&] { return disk.disk_octets(path.c_str()); });
    if (octets < 0) return failed("stat", path);
    return static_cast<std::uint64_t>(octets);
}

}  // namespace poplar::engine::local
