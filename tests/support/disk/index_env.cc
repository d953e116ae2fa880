// RocksDB's files through a SimulatedDisk: each of its requests becomes the calls that serve it.
#include <fcntl.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <cerrno>
#include <cstring>

#include "tests/support/disk/simulated_disk.h"

namespace poplar::test {

namespace {

using namespace rocksdb;

IOStatus failed(const std::string& path) {
    int error = errno;
    if (error == ENOENT) return IOStatus::PathNotFound(path);
    if (error == ENOSPC) {
        auto full = IOStatus::NoSpace(path, std::strerror(error));
        full.SetRetryable(true);  // as RocksDB's own says it
        return full;
    }
    return IOStatus::IOError(path, std::strerror(error));
}

class Handle {
public:
    Handle(SimulatedDisk& disk, int fd, std::string path) : disk_(disk), fd_(fd), path_(std::move(path)) {}
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;
    ~Handle() { disk_.close(fd_); }

    IOStatus read(std::uint64_t offset, std::size_t n, Slice* result, char* scratch) const {
        std::size_t done = 0;
        while (done < n) {
            ssize_t got = disk_.pread(fd_, scratch + done, n - done, offset + done);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return failed(path_);
            if (got == 0) break;
            done += static_cast<std::size_t>(got);
        }
        *result = Slice(scratch, done);
        return IOStatus::OK();
    }
    IOStatus append(std::string_view data, std::uint64_t offset) {
        end_ = offset;
        while (!data.empty()) {
            iovec part{const_cast<char*>(data.data()), data.size()};
            ssize_t written = disk_.pwritev(fd_, &part, 1, end_);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failed(path_);
            end_ += static_cast<std::uint64_t>(written);
            data.remove_prefix(static_cast<std::size_t>(written));
        }
        return IOStatus::OK();
    }
    IOStatus sync() {
        while (disk_.sync(fd_, std::nullopt, Call::fsync) != 0)
            if (errno != EINTR) return failed(path_);
        return IOStatus::OK();
    }
    IOStatus truncate(std::uint64_t size) {
        if (disk_.ftruncate(fd_, size) != 0) return failed(path_);
        end_ = size;
        return IOStatus::OK();
    }

    std::uint64_t end_ = 0;

private:
    SimulatedDisk& disk_;
    int fd_;
    std::string path_;
};

class Sequential final : public FSSequentialFile {
public:
    explicit Sequential(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
    IOStatus Read(std::size_t n, const IOOptions&, Slice* result, char* scratch, IODebugContext*) override {
        auto done = handle_->read(at_, n, result, scratch);
        if (done.ok()) at_ += result->size();
        return done;
    }
    IOStatus Skip(std::uint64_t n) override { return at_ += n, IOStatus::OK(); }

private:
    std::unique_ptr<Handle> handle_;
    std::uint64_t at_ = 0;
};

class RandomAccess final : public FSRandomAccessFile {
public:
    explicit RandomAccess(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
    IOStatus Read(std::uint64_t offset, std::size_t n, const IOOptions&, Slice* result, char* scratch,
                  IODebugContext*) const override {
        return handle_->read(offset, n, result, scratch);
    }

private:
    std::unique_ptr<Handle> handle_;
};

class Writable final : public FSWritableFile {
public:
    explicit Writable(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
    using FSWritableFile::Append;
    using FSWritableFile::PositionedAppend;
    IOStatus Append(const Slice& data, const IOOptions&, IODebugContext*) override {
        return handle_->append(data.ToStringView(), handle_->end_);
    }
    IOStatus PositionedAppend(const Slice& data, std::uint64_t offset, const IOOptions&, IODebugContext*) override {
        return handle_->append(data.ToStringView(), offset);
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
        return handle_->truncate(size);
    }
    IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
    IOStatus Sync(const IOOptions&, IODebugContext*) override { return handle_->sync(); }
    std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return handle_->end_; }

private:
    std::unique_ptr<Handle> handle_;
};

class Folder final : public FSDirectory {
public:
    explicit Folder(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
    IOStatus Fsync(const IOOptions&, IODebugContext*) override { return handle_->sync(); }

private:
    std::unique_ptr<Handle> handle_;
};

class NoLogger final : public Logger {
public:
    using Logger::Logv;
    void Logv(const char*, va_list) override {}
    std::size_t GetLogFileSize() const override { return 0; }
};

class Files final : public FileSystem {
public:
    explicit Files(SimulatedDisk& disk) : disk_(disk) {}
    const char* Name() const override { return "simulated"; }

    IOStatus NewSequentialFile(const std::string& path, const FileOptions&, std::unique_ptr<FSSequentialFile>* result,
                               IODebugContext*) override {
        return make<Sequential>(path, O_RDONLY, result);
    }
    IOStatus NewRandomAccessFile(const std::string& path, const FileOptions&,
                                 std::unique_ptr<FSRandomAccessFile>* result, IODebugContext*) override {
        return make<RandomAccess>(path, O_RDONLY, result);
    }
    IOStatus NewWritableFile(const std::string& path, const FileOptions&, std::unique_ptr<FSWritableFile>* result,
                             IODebugContext*) override {
        return make<Writable>(path, O_RDWR | O_CREAT | O_TRUNC, result);
    }
    IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<FSDirectory>* result,
                          IODebugContext*) override {
        return make<Folder>(path, O_RDONLY | O_DIRECTORY, result);
    }
    IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
        int fd = open(path, O_RDONLY);
        if (fd < 0) return errno == ENOENT ? IOStatus::NotFound(path) : failed(path);
        disk_.close(fd);
        return IOStatus::OK();
    }
    IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* result,
                         IODebugContext*) override {
        std::vector<engine::local::Disk::Name> names;
        if (disk_.list(path.c_str(), names) != 0) return errno == ENOENT ? IOStatus::NotFound(path) : failed(path);
        result->clear();
        for (auto& name : names) result->push_back(std::move(name.name));
        return IOStatus::OK();
    }
    IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
        return disk_.unlink(path.c_str()) == 0 ? IOStatus::OK() : failed(path);
    }
    IOStatus CreateDir(const std::string& path, const IOOptions&, IODebugContext*) override {
        return disk_.mkdir(path.c_str(), 0700) == 0 ? IOStatus::OK() : failed(path);
    }
    IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
        return disk_.mkdir(path.c_str(), 0700) == 0 || errno == EEXIST ? IOStatus::OK() : failed(path);
    }
    IOStatus DeleteDir(const std::string& path, const IOOptions&, IODebugContext*) override {
        return disk_.rmdir(path.c_str()) == 0 ? IOStatus::OK() : failed(path);
    }
    IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* size, IODebugContext*) override {
        int fd = open(path, O_RDONLY);
        if (fd < 0) return failed(path);
        *size = static_cast<std::uint64_t>(disk_.size(fd));
        disk_.close(fd);
        return IOStatus::OK();
    }
    IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                     IODebugContext*) override {
        *time = 0;
        return IOStatus::OK();
    }
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&, IODebugContext*) override {
        return disk_.rename(from.c_str(), to.c_str()) == 0 ? IOStatus::OK() : failed(to);
    }
    IOStatus LockFile(const std::string&, const IOOptions&, FileLock** lock, IODebugContext*) override {
        *lock = new FileLock;
        return IOStatus::OK();
    }
    IOStatus UnlockFile(FileLock* lock, const IOOptions&, IODebugContext*) override {
        delete lock;
        return IOStatus::OK();
    }
    IOStatus GetTestDirectory(const IOOptions&, std::string*, IODebugContext*) override {
        return IOStatus::NotSupported("no test directory");
    }
    IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<Logger>* result,
                       IODebugContext*) override {
        *result = std::make_shared<NoLogger>();
        return IOStatus::OK();
    }
    IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* result, IODebugContext*) override {
        *result = path;
        return IOStatus::OK();
    }
    IOStatus IsDirectory(const std::string&, const IOOptions&, bool* is, IODebugContext*) override {
        *is = false;
        return IOStatus::OK();
    }

private:
    int open(const std::string& path, int flags) {
        int fd;
        do fd = disk_.open(path.c_str(), flags, 0600);
        while (fd < 0 && errno == EINTR);
        return fd;
    }
    template <class Made, class Base>
    IOStatus make(const std::string& path, int flags, std::unique_ptr<Base>* result) {
        int fd = open(path, flags);
        if (fd < 0) return failed(path);
        *result = std::make_unique<Made>(std::make_unique<Handle>(disk_, fd, path));
        return IOStatus::OK();
    }

    SimulatedDisk& disk_;
};

// RocksDB sleeps a second after an error.
class WakefulClock final : public SystemClockWrapper {
public:
    WakefulClock() : SystemClockWrapper(SystemClock::Default()) {}
    const char* Name() const override { return "wakeful"; }
    void SleepForMicroseconds(int) override {}
};

class SimulatedEnv final : public EnvWrapper {
public:
    explicit SimulatedEnv(SimulatedDisk& disk) : EnvWrapper(NewCompositeEnv(std::make_shared<Files>(disk))) {
        system_clock_ = std::make_shared<WakefulClock>();
    }
    const char* Name() const override { return "simulated"; }
};

}  // namespace

std::unique_ptr<rocksdb::Env> make_env(SimulatedDisk& disk) { return std::make_unique<SimulatedEnv>(disk); }

}  // namespace poplar::test
