#include "engine/local/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace poplar::engine::local {

namespace {

std::unexpected<Error> failed(std::string_view what, const std::filesystem::path& path) {
    int error = errno;
    Errc code = error == ENOSPC || error == EDQUOT ? Errc::no_space
                : error == ENOENT                  ? Errc::not_found
                : error == EEXIST                  ? Errc::exists
                                                   : Errc::io;
    return fail(code, fmt::format("{} {}: {}", what, path.string(), std::strerror(error)));
}

}  // namespace

Result<File> File::open(const std::filesystem::path& path, Mode mode) {
    int flags = O_CLOEXEC | (mode == Mode::read         ? O_RDONLY
                             : mode == Mode::read_write ? O_RDWR
                                                        : O_RDWR | O_CREAT | O_EXCL);
    int fd = ::open(path.c_str(), flags, 0600);
    if (fd < 0) return failed("open", path);
    return File(fd, path);
}

File& File::operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(path_, other.path_);
    return *this;
}

File::~File() {
    if (fd_ >= 0) ::close(fd_);
}

Result<std::uint64_t> File::size() const {
    struct stat st{};
    if (fstat(fd_, &st) != 0) return failed("stat", path_);
    return static_cast<std::uint64_t>(st.st_size);
}

Result<std::size_t> File::read_at(char* to, std::size_t size, std::uint64_t offset) const {
    std::size_t done = 0;
    while (done < size) {
        ssize_t got = pread(fd_, to + done, size - done, static_cast<off_t>(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("read", path_);
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

bool File::try_read_at(char* to, std::size_t size, std::uint64_t offset) const {
    iovec part{to, size};
    return preadv2(fd_, &part, 1, static_cast<off_t>(offset), RWF_NOWAIT) == static_cast<ssize_t>(size);
}

Result<> File::write_at(std::span<iovec> parts, std::uint64_t offset) {
    while (!parts.empty()) {
        int count = static_cast<int>(std::min<std::size_t>(parts.size(), IOV_MAX));
        ssize_t written = pwritev(fd_, parts.data(), count, static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed("write", path_);
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
    return write_at(std::span(&part, 1), offset);
}

Result<> File::sync() {
    if (fdatasync(fd_) != 0) return failed("fdatasync", path_);
    return {};
}

Result<> File::sync_metadata() {
    if (fsync(fd_) != 0) return failed("fsync", path_);
    return {};
}

Result<> File::allocate(std::uint64_t offset, std::uint64_t size) {
    int done;
    do done = fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(size));
    while (done != 0 && errno == EINTR);
    // Without fallocate writes extend the file: slower syncs, nothing else.
    if (done != 0 && errno != EOPNOTSUPP) return failed("fallocate", path_);
    return {};
}

Result<> File::truncate(std::uint64_t size) {
    if (ftruncate(fd_, static_cast<off_t>(size)) != 0) return failed("truncate", path_);
    return {};
}

Result<> File::punch(std::uint64_t offset, std::uint64_t size) {
    constexpr std::uint64_t kBlock = 4096;
    std::uint64_t begin = (offset + kBlock - 1) / kBlock * kBlock, end = (offset + size) / kBlock * kBlock;
    if (begin >= end) return {};
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    if (fallocate(fd_, mode, static_cast<off_t>(begin), static_cast<off_t>(end - begin)) != 0 && errno != EOPNOTSUPP)
        return failed("punch", path_);
    return {};
}

Result<std::uint64_t> File::next_data(std::uint64_t offset) const {
    off_t at = lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
    if (at >= 0) return static_cast<std::uint64_t>(at);
    if (errno == ENXIO) return size();
    if (errno == EINVAL) return offset;  // a file system that can't tell
    return failed("seek", path_);
}

Result<> ensure_directory(const std::filesystem::path& path) {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed("mkdir", path);
    return {};
}

Result<> sync_directory(const std::filesystem::path& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failed("open", path);
    int done = fsync(fd);
    int error = errno;
    ::close(fd);
    errno = error;
    if (done != 0) return failed("fsync", path);
    return {};
}

Result<> link_file(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::link(from.c_str(), to.c_str()) != 0) return failed("link", to);
    return {};
}

Result<> rename_file(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename", to);
    return {};
}

Result<> unlink_file(const std::filesystem::path& path) {
    if (::unlink(path.c_str()) != 0) return failed("unlink", path);
    return {};
}

Result<std::uint64_t> free_space(const std::filesystem::path& path) {
    struct statvfs st{};
    if (statvfs(path.c_str(), &st) != 0) return failed("statvfs", path);
    return static_cast<std::uint64_t>(st.f_bavail) * st.f_frsize;
}

}  // namespace poplar::engine::local
