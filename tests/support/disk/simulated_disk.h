#pragma once
// A Disk over a Platter, for one run of the engine; RocksDB's files go through it too. Another run on the same platter
// gets a SimulatedDisk of its own, so that what a dead run still does has no effect.
#include <rocksdb/env.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>

#include "engine/local/disk.h"
#include "tests/support/disk/platter.h"

namespace poplar::test {

using engine::local::Step;
using engine::local::Sync;

/// The calls that can be made to fail.
enum class Call { open, read, write, fdatasync, fsync, truncate, allocate, list, mkdir, link, rename, unlink };
inline constexpr Call kLastCall = Call::unlink;
std::string_view to_string(Call call);

class SimulatedDisk final : public engine::local::Disk {
public:
    explicit SimulatedDisk(std::shared_ptr<Platter> platter);
    ~SimulatedDisk() override;

    /// The process is dead: every call from now on fails and changes nothing. Octets that it had written stay.
    void kill();
    bool dead() const { return dead_; }

    /// The moment as a power cut would meet it.
    PowerCut power_cut() const;

    // Set before the engine is opened; called without locks held, by the thread that makes the call.
    std::set<Sync> omitted;                 ///< these syncs do nothing
    std::function<void(Sync)> before_sync;  ///< the engine's own
    std::function<void()> before_any_sync;  ///< RocksDB's too
    std::function<void(Step)> on_step;
    std::map<Sync, int> syncs() const;  ///< how often each was made

    /// The `nth` call of a kind (from 1) on the engine's own files, or on RocksDB's, fails with `error`; 0: does half
    /// of what it should, if it can. `lasting`: and so do all later ones.
    struct Fault {
        Call call = Call::write;
        bool index = false;
        std::uint64_t nth = 1;
        int error = 0;
        bool lasting = false;
    };
    void set_fault(std::optional<Fault> fault);
    std::uint64_t calls(Call call, bool index) const;  ///< so far
    std::uint64_t faults_hit() const;
    void set_capacity(std::optional<std::uint64_t> octets);  ///< of the platter, for this run
    std::uint64_t used() const;

    int open(const char* path, int flags, unsigned mode) override;
    int close(int fd) override;
    ssize_t pread(int fd, void* to, std::size_t size, std::uint64_t offset) override;
    ssize_t pread_cached(int fd, void* to, std::size_t size, std::uint64_t offset) override;
    ssize_t pwritev(int fd, const iovec* parts, int count, std::uint64_t offset) override;
    int fdatasync(int fd, Sync what) override { return sync(fd, what, Call::fdatasync); }
    int fsync(int fd, Sync what) override { return sync(fd, what, Call::fsync); }
    int ftruncate(int fd, std::uint64_t size) override;
    int fallocate(int fd, int mode, std::uint64_t offset, std::uint64_t size) override;
    std::int64_t seek_data(int fd, std::uint64_t offset) override;
    std::int64_t size(int fd) override;
    std::int64_t links(int fd) override;
    std::int64_t identity(int fd) override;
    int lock(int fd) override;
    int list(const char* path, std::vector<Name>& names) override;
    int mkdir(const char* path, unsigned mode) override;
    int link(const char* from, const char* to) override;
    int rename(const char* from, const char* to) override;
    int unlink(const char* path) override;
    int rmdir(const char* path) override;
    std::int64_t disk_octets(const char* path) override;
    std::int64_t free_space(const char* path) override;
    void reached(Step step) override;
    rocksdb::Env* index_env() override { return env_.get(); }

    /// nullopt: RocksDB's.
    int sync(int fd, std::optional<Sync> what, Call call);

private:
    struct Opened {
        int node;
        bool index;
    };
    // Every call begins with this: null if it has to fail, with errno set.
    Opened* opened(int fd, std::optional<Call> call = std::nullopt);
    bool fails(Call call, bool index);
    bool no_room(std::uint64_t octets);
    int fail_with(int error);

    mutable std::mutex mutex_;
    std::shared_ptr<Platter> platter_;
    std::map<int, Opened> files_;
    int next_fd_ = 100;
    std::atomic<bool> dead_ = false;
    std::optional<Fault> fault_;
    bool half_ = false;  // the call under way is to do half its work
    std::uint64_t faults_hit_ = 0;
    std::map<std::pair<Call, bool>, std::uint64_t> calls_;
    std::map<Sync, int> syncs_;
    std::optional<std::uint64_t> capacity_;
    std::unique_ptr<rocksdb::Env> env_;
};

/// RocksDB's files, through the calls of `disk`.
std::unique_ptr<rocksdb::Env> make_env(SimulatedDisk& disk);

}  // namespace poplar::test
