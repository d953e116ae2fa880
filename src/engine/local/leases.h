#pragma once
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "engine/engine.h"

namespace poplar::engine::local {

/// Leases of one process: the data directory's lock keeps others out, so memory is enough and a crash leaves nothing.
class Leases : public std::enable_shared_from_this<Leases> {
public:
    Result<std::unique_ptr<Lease>> acquire(PartitionId partition, std::string name);
    bool held(PartitionId partition, const Batch::Fence& fence) const;

private:
    class Held;
    using Name = std::pair<PartitionId, std::string>;
    mutable std::mutex mutex_;
    std::map<Name, FencingToken> held_;
    // Begins above every token of an earlier process: those were counted from an earlier time.
    std::uint64_t last_token_ = static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
};

/// The hints that are wanted when a partition changes.
class Watches : public std::enable_shared_from_this<Watches> {
public:
    std::unique_ptr<Watch> add(PartitionId partition, std::function<void()> hint);
    void changed(const std::vector<PartitionId>& partitions);

private:
    class Watching;
    std::mutex mutex_;
    std::multimap<PartitionId, std::shared_ptr<std::function<void()>>> watches_;
    std::atomic<std::size_t> count_ = 0;  // so that changed() costs nothing while nobody watches
};

}  // namespace poplar::engine::local
