#pragma once
// How RocksDB reaches the disk.
//
// RocksDB never hears that the disk is full. That would make it stop, and only DB::Resume() would set it going again,
// which may wait for ever for a flush that nobody has scheduled. So what it writes in the background waits until there
// is room, as it would on a slow disk. Any other failure is final: the store stops, and the log mends the index at the
// next start.
#include <rocksdb/env.h>
#include <rocksdb/listener.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "engine/local/disk.h"
#include "engine/local/health.h"
#include "engine/local/reserve.h"

namespace poplar::engine::local {

/// Decides what RocksDB's threads do when a write finds no room. They may outlive the index, if somebody has a
/// snapshot.
class Patience {
public:
    Patience(Reserve* reserve, std::chrono::milliseconds retry) : reserve_(reserve), retry_(retry) {}

    /// From now on `health` is told of what fails for good. Before this call, a write that finds no room fails, too.
    enum class Full { fails, waits };
    void begin(Health& health, Full full);
    /// From now on a write that finds no room fails again, and so do those that wait now. The reserve and `health` are
    /// not used any more.
    void end();

    bool waiting() const { return waiting_ > 0; }
    bool failed() const { return failed_; }
    bool was_full() const { return was_full_; }  ///< something failed because there was no room

    void fail(const Error& error);

    /// A call that found no room.
    class Waiting {
    public:
        explicit Waiting(Patience& patience) : patience_(patience) {}
        ~Waiting();
        /// Whether it is to be made again. Blocks until that makes sense.
        enum class Use { needed, may_wait };  ///< the reserve is given up for `needed` only
        bool try_again(Use use);

    private:
        Patience& patience_;
        bool told_ = false;
    };

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Reserve* reserve_;
    Health* health_ = nullptr;
    Full full_ = Full::fails;
    const std::chrono::milliseconds retry_;
    std::atomic<int> waiting_ = 0;
    std::optional<Error> failure_;
    std::atomic<bool> failed_ = false, was_full_ = false;
};

std::shared_ptr<rocksdb::Env> make_index_env(Disk& disk, std::shared_ptr<Patience> patience);

/// Tells `patience` of failures in the background, and makes each of them final: RocksDB tries nothing again.
std::shared_ptr<rocksdb::EventListener> make_failure_listener(std::shared_ptr<Patience> patience);

/// Puts what RocksDB says of failures into our log. Its own log is a file, and RocksDB aborts (by an assertion) when
/// that can't be written twice.
std::shared_ptr<rocksdb::Logger> make_index_log();

Error index_error(const rocksdb::Status& status);

}  // namespace poplar::engine::local
