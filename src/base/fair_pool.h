#pragma once
// Threads for work that blocks, which many share without one keeping out the others.
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "base/fair_queue.h"
#include "base/one_shot.h"

namespace poplar {

/// A fixed number of threads for work that blocks (disk, password hashing), so that a session's thread never does. Jobs
/// that wait for a thread wait in a FairQueue.
class FairPool {
public:
    /// `waiting`: jobs that may wait for a thread.
    FairPool(std::size_t threads, std::size_t waiting);
    /// Finishes what waits.
    ~FairPool();
    FairPool(const FairPool&) = delete;

    /// Runs `work` on the pool and resumes the caller on its own executor with what it returned. `work` must not throw.
    /// Errors: busy (too many wait, and this one had the largest share or the worst standing; it was not run).
    template <class Work>
    Task<Result<std::invoke_result_t<Work>>> run(Share share, Work work) {
        using Value = std::invoke_result_t<Work>;
        OneShot<Value> result;
        auto job = [sender = result.sender(), work = std::move(work)](Errand errand) mutable {
            if (errand == Errand::run)
                sender.send(work());
            else
                sender.send(fail(Errc::busy, "too many wait"));
        };
        add(share, std::move(job));
        co_return co_await result.receive();
    }

    /// Runs `work` on the pool; only the destructor waits for it. Where too many wait, it is not run.
    template <class Work>
    void post(const Share& share, Work work) {
        auto job = [work = std::move(work)](Errand errand) mutable {
            if (errand == Errand::run) work();
        };
        add(share, std::move(job));
    }

    std::size_t waiting() const;

private:
    enum class Errand { run, refuse };
    using Job = std::move_only_function<void(Errand)>;
    void add(const Share& share, Job job);
    void work();

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    FairQueue<Job> queue_;
    bool ending_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace poplar
