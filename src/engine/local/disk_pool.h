#pragma once
// Threads for what may wait for the disk, shared out so that no account waits for all the reads of another.
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>

#include "base/fair_pool.h"
#include "engine/engine.h"

namespace poplar::engine::local {

/// Of eight turns five go to reads for sessions (partitions take turns), two to messages that come in (these take
/// turns, too), one to what can wait. While one kind has nothing to do, the others have its turns. It refuses nothing,
/// because a session waits for one job at a time.
class DiskPool {
public:
    explicit DiskPool(std::size_t threads) : pool_(threads, std::numeric_limits<std::size_t>::max()) {}

    /// Runs `work`, which returns a Result and must not throw, and resumes the caller on its own executor with it.
    template <class Work>
    Task<std::invoke_result_t<Work>> read(PartitionId partition, Work work) {
        return run({Standing::good, partition.value, 0}, std::move(work));
    }
    /// As read(), for a message on its way in. `writer` tells it from the others.
    template <class Work>
    Task<std::invoke_result_t<Work>> write(const void* writer, Work work) {
        return run({Standing::unknown, reinterpret_cast<std::uintptr_t>(writer), 0}, std::move(work));
    }
    /// Runs `work` some time; only the destructor waits for it.
    template <class Work>
    void post(Work work) {
        pool_.post({Standing::bad, 0, 0}, std::move(work));
    }

private:
    template <class Work>
    Task<std::invoke_result_t<Work>> run(Share share, Work work) {
        auto done = co_await pool_.run(share, std::move(work));
        if (!done) co_return pass_on(done);
        co_return std::move(*done);
    }

    FairPool pool_;
};

}  // namespace poplar::engine::local
