#pragma once
// Runs tasks at the same time and waits for all of them.
#include <atomic>
#include <exception>
#include <memory>
#include <vector>

#include "base/asio.h"

namespace poplar::delivery {

/// Starts all `tasks` on the caller's executor, then waits until the last is done. Results are in the tasks' order.
/// `T` can be default-constructed. An exception of a task is thrown once all are done.
template <class T>
Task<std::vector<T>> gather(std::vector<Task<T>> tasks) {
    struct State {
        explicit State(std::size_t count) : left(count), results(count) {}
        std::atomic<std::size_t> left;
        std::vector<T> results;  // each task writes its own element
        std::atomic<bool> failed = false;
        std::exception_ptr failure;
    };
    if (tasks.empty()) co_return std::vector<T>();
    if (tasks.size() == 1) {  // as nearly always: nothing to run beside it
        std::vector<T> results;
        results.push_back(co_await std::move(tasks.front()));
        co_return results;
    }
    auto executor = co_await asio::this_coro::executor;
    auto state = std::make_shared<State>(tasks.size());
    auto start = [executor, state, &tasks](auto handler) {
        auto done = std::make_shared<decltype(handler)>(std::move(handler));
        for (std::size_t i = 0; i < tasks.size(); ++i) {
            auto arrived = [executor, state, done, i](std::exception_ptr failure, T result) {
                if (!failure)
                    state->results[i] = std::move(result);
                else if (!state->failed.exchange(true))
                    state->failure = failure;
                if (--state->left == 0) asio::post(executor, [done] { std::move (*done)(); });
            };
            asio::co_spawn(executor, std::move(tasks[i]), std::move(arrived));
        }
    };
    co_await asio::async_initiate<decltype(use_awaitable), void()>(std::move(start), use_awaitable);
    if (state->failure) std::rethrow_exception(state->failure);
    co_return std::move(state->results);
}

}  // namespace poplar::delivery
