// RocksDB's environment over a Disk: each call that finds no room asks Patience, and any other failure is final.
#include "engine/local/index_env.h"

#include <rocksdb/file_system.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "base/encoding.h"
#include "base/log.h"

namespace poplar::engine::local {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;
using Use = Patience::Waiting::Use;

constexpr char kWaits[] = "the disk is full: the index waits for room";

// A quota that is used up is the same to us; RocksDB has no code for it.
bool no_room(const IOStatus& status) {
    static const std::string quota = std::strerror(EDQUOT);
    return status.IsNoSpace() || (status.IsIOError() && status.ToString().contains(quota));
}

// RocksDB must not try to mend a failure, whatever it is.
IOStatus final(const IOStatus& status) {
    return no_room(status) ? IOStatus::IOError(status.getState() ? status.getState() : "no room") : status;
}

template <class Call>
IOStatus patiently(Patience& patience, Use use, Call call) {
    IOStatus done = call();
    if (!no_room(done)) [[likely]]
        return done;
    Patience::Waiting waiting(patience);
    while (no_room(done) && waiting.try_again(use)) done = call();
    return final(done);
}

class PatientFile final : public rocksdb::FSWritableFileOwnerWrapper {
public:
    PatientFile(std::unique_ptr<rocksdb::FSWritableFile> file, std::shared_ptr<Patience> patience)
        : FSWritableFileOwnerWrapper(std::move(file)), patience_(std::move(patience)) {}

    // Writes to a given offset, because an append that failed may have written a part and is made again.
    IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* debug) override {
        return at(end_, data, [&] { return target()->PositionedAppend(data, end_, options, debug); });
    }
    IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo& info,
                    IODebugContext* debug) override {
        return at(end_, data, [&] { return target()->PositionedAppend(data, end_, options, info, debug); });
    }
    IOStatus PositionedAppend(const Slice& data, std::uint64_t offset, const IOOptions& options,
                              IODebugContext* debug) override {
        return at(offset, data, [&] { return target()->PositionedAppend(data, offset, options, debug); });
    }
    IOStatus PositionedAppend(const Slice& data, std::uint64_t offset, const IOOptions& options,
                              const rocksdb::DataVerificationInfo& info, IODebugContext* debug) override {
        return at(offset, data, [&] { return target()->PositionedAppend(data, offset, options, info, debug); });
    }
    IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* debug) override {
        auto done = target()->Truncate(size, options, debug);
        if (done.ok()) end_ = size;
        return final(done);
    }
    // A sync that failed is not made again: what it would say then proves nothing.
    IOStatus Sync(const IOOptions& options, IODebugContext* debug) override {
        return final(target()->Sync(options, debug));
    }
    IOStatus Fsync(const IOOptions& options, IODebugContext* debug) override {
        return final(target()->Fsync(options, debug));
    }
    IOStatus Close(const IOOptions& options, IODebugContext* debug) override {
        return final(target()->Close(options, debug));
    }

private:
    template <class Call>
    IOStatus at(std::uint64_t offset, const Slice& data, Call call) {
        // Merges can wait; flushes of memory must not.
        auto use = GetIOPriority() == rocksdb::Env::IO_LOW ? Use::may_wait : Use::needed;
        auto done = patiently(*patience_, use, call);
        if (done.ok()) end_ = offset + data.size();
        return done;
    }

    std::shared_ptr<Patience> patience_;
    std::uint64_t end_ = 0;
};

// RocksDB reads a table's properties before it looks at their checksum, and aborts (by an assertion) if their last word
// has the bit of a hash index, which they never have. They lie before the block that the footer speaks of first; all
// else that may be wrong RocksDB finds by itself.
IOStatus check_properties(const rocksdb::FSRandomAccessFile& file, std::uint64_t size, IODebugContext* debug) {
    constexpr std::size_t kFooter = 53, kTrailer = 5, kWord = 4;
    char space[kFooter];
    Slice got;
    if (size < kFooter) return IOStatus::OK();
    if (auto done = file.Read(size - kFooter, kFooter, {}, &got, space, debug); !done.ok()) return done;
    Decoder footer(std::string_view(got.data(), got.size()));
    footer.u8();  // which checksums
    auto end = footer.varint();
    if (!footer.ok() || end > size || end < kTrailer + kWord) return IOStatus::OK();
    if (auto done = file.Read(end - kTrailer - kWord, kWord, {}, &got, space, debug); !done.ok()) return done;
    if (got.size() == kWord && static_cast<unsigned char>(got[kWord - 1]) & 0x80)
        return IOStatus::Corruption("a table's properties are damaged");
    return IOStatus::OK();
}

class IndexFileSystem final : public rocksdb::FileSystemWrapper {
public:
    IndexFileSystem(const std::shared_ptr<rocksdb::FileSystem>& below, std::shared_ptr<Patience> patience)
        : FileSystemWrapper(below), patience_(std::move(patience)) {}
    const char* Name() const override { return "index"; }

    IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* debug) override {
        auto done =
            patiently(*patience_, Use::needed, [&] { return target()->NewWritableFile(path, options, result, debug); });
        if (done.ok()) *result = std::make_unique<PatientFile>(std::move(*result), patience_);
        return done;
    }
    IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions& options,
                                 std::unique_ptr<rocksdb::FSRandomAccessFile>* result, IODebugContext* debug) override {
        auto done = target()->NewRandomAccessFile(path, options, result, debug);
        if (!done.ok() || !path.ends_with(".sst")) return done;
        std::uint64_t size = 0;
        done = target()->GetFileSize(path, {}, &size, debug);
        if (done.ok()) done = check_properties(**result, size, debug);
        if (!done.ok()) result->reset();
        return done;
    }
    // RocksDB gives the file CURRENT its name before the names of the files that it speaks of are durable, and a power
    // cut may keep the later change of a folder without the earlier. So what a folder holds is made durable before each
    // rename.
    IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                        IODebugContext* debug) override {
        std::unique_ptr<rocksdb::FSDirectory> folder;
        auto parent = std::filesystem::path(to).parent_path().string();
        auto done = target()->NewDirectory(parent, options, &folder, debug);
        if (done.ok()) done = folder->Fsync(options, debug);
        if (!done.ok()) return final(done);
        return patiently(*patience_, Use::needed, [&] { return target()->RenameFile(from, to, options, debug); });
    }

private:
    std::shared_ptr<Patience> patience_;
};

class IndexEnv final : public rocksdb::EnvWrapper {
public:
    IndexEnv(rocksdb::Env* below, std::shared_ptr<rocksdb::FileSystem> files) : EnvWrapper(below) {
        file_system_ = std::move(files);
        system_clock_ = below->GetSystemClock();
    }
    const char* Name() const override { return "index"; }
    // We have no folder of archived logs. That is said without asking the disk, because RocksDB aborts (by an
    // assertion) if the question fails.
    rocksdb::Status FileExists(const std::string& path) override {
        if (path.ends_with("/archive")) return rocksdb::Status::NotFound();
        return EnvWrapper::FileExists(path);
    }
};

class Failures final : public rocksdb::EventListener {
public:
    explicit Failures(std::shared_ptr<Patience> patience) : patience_(std::move(patience)) {}
    void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
        patience_->fail(index_error(*status));
        // Those who wait for a flush then hear that there won't be one.
        *status = rocksdb::Status(*status, rocksdb::Status::Severity::kFatalError);
    }
    void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* by_itself) override {
        *by_itself = false;
    }

private:
    std::shared_ptr<Patience> patience_;
};

class IndexLog final : public rocksdb::Logger {
public:
    IndexLog() : Logger(rocksdb::ERROR_LEVEL) {}
    using Logger::Logv;
    void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
        if (level >= GetInfoLogLevel() && level != rocksdb::HEADER_LEVEL) Logv(format, arguments);
    }
    void Logv(const char* format, va_list arguments) override {
        char text[1024];
        if (std::vsnprintf(text, sizeof text, format, arguments) > 0) log::warning("store.index", {{"says", text}});
    }
};

}  // namespace

void Patience::begin(Health& health, Full full) {
    std::lock_guard guard(mutex_);
    full_ = full;
    health_ = &health;
    if (failure_) (void)health_->stop(*failure_);
}

void Patience::end() {
    std::lock_guard guard(mutex_);
    health_ = nullptr;
    reserve_ = nullptr;
    changed_.notify_all();
}

void Patience::fail(const Error& error) {
    std::lock_guard guard(mutex_);
    failed_ = true;
    failure_ = error;
    if (health_) (void)health_->stop(error);
}

bool Patience::Waiting::try_again(Use use) {
    auto& p = patience_;
    std::unique_lock lock(p.mutex_);
    if (use == Use::needed && p.reserve_ && p.reserve_->give_up()) return true;
    if (p.health_ && p.full_ == Full::waits) {
        if (!told_) {
            p.health_->set(Health::Part::index, kWaits);
            ++p.waiting_;
            told_ = true;
        }
        if (!p.changed_.wait_for(lock, p.retry_, [&p] { return !p.health_; })) return true;
    }
    p.was_full_ = true;
    return false;
}

Patience::Waiting::~Waiting() {
    if (!told_) return;
    std::lock_guard guard(patience_.mutex_);
    if (--patience_.waiting_ == 0 && patience_.health_) patience_.health_->set(Health::Part::index, "");
}

std::shared_ptr<rocksdb::Env> make_index_env(Disk& disk, std::shared_ptr<Patience> patience) {
    auto* below = disk.index_env() ? disk.index_env() : rocksdb::Env::Default();
    return std::make_shared<IndexEnv>(below,
                                      std::make_shared<IndexFileSystem>(below->GetFileSystem(), std::move(patience)));
}

std::shared_ptr<rocksdb::EventListener> make_failure_listener(std::shared_ptr<Patience> patience) {
    return std::make_shared<Failures>(std::move(patience));
}

std::shared_ptr<rocksdb::Logger> make_index_log() { return std::make_shared<IndexLog>(); }

Error index_error(const rocksdb::Status& status) {
    auto text = status.ToString();
    // RocksDB calls a file whose size the disk does not tell as damaged as one that is gone.
    static const std::string gone = std::strerror(ENOENT);
    bool unread = text.contains("IO error: ") && !text.contains(gone);
    Errc code = status.IsCorruption() && !unread ? Errc::corrupt : status.IsNoSpace() ? Errc::no_space : Errc::io;
    return Error(code, "index: " + text);
}

}  // namespace poplar::engine::local
