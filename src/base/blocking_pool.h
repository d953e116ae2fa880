#pragma once
#include <type_traits>
#include <utility>

#include "base/asio.h"
#include "base/resume.h"

namespace poplar {

/// A fixed number of threads for work that blocks (disk, password hashing), so that a session's thread never does.
class BlockingPool {
public:
    explicit BlockingPool(std::size_t threads) : pool_(threads) {}
    ~BlockingPool() { pool_.join(); }

    /// Runs `work` on the pool and resumes the caller on its own executor with what it returned. `work` must not throw.
    template <class Work>
    Task<std::invoke_result_t<Work>> run(Work work) {
        using Value = std::invoke_result_t<Work>;
        auto executor = co_await asio::this_coro::executor;
        auto start = [this, executor, work = std::move(work)](auto handler) mutable {
            auto job = [done = resume_on<Value>(executor, std::move(handler)), work = std::move(work)]() mutable {
                done(work());
            };
            asio::post(pool_, std::move(job));
        };
        co_return co_await asio::async_initiate<decltype(use_awaitable), void(Value)>(std::move(start), use_awaitable);
    }

    /// Runs `work` on the pool; nobody waits for it but the destructor.
    template <class Work>
    void post(Work work) {
        asio::post(pool_, std::move(work));
    }

private:
    asio::thread_pool pool_;
};

}  // namespace poplar
