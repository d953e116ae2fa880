#pragma once
// Runs tasks at the same time and waits for all of them.
#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "base/asio.h"
#include "base/turn.h"

namespace poplar::delivery {

/// So many tasks of one gather() have begun and are not done. They share commits, so many is quick; but when a commit
/// is done they all wake up at once, and other sessions of the thread wait behind them.
inline constexpr std::size_t kGatheredAtOnce = 256;

namespace detail {
template <class T>
struct Gathering {
    explicit Gathering(std::vector<Task<T>> all) : tasks(std::move(all)), results(tasks.size()) {}

    std::vector<Task<T>> tasks;
    std::vector<T> results;  // each task writes its own element
    std::size_t next = 0;
    std::size_t lanes = 0;  // that are not done
    std::exception_ptr failure;
};

/// Runs one task after the other until all have begun. What a task does before it waits, for one of many recipients, is
/// little; between two of them others get their turn.
template <class T>
Task<> lane(std::shared_ptr<Gathering<T>> all) {
    while (all->next < all->tasks.size()) {
        const auto i = all->next++;
        co_await turn::let_others();
        try {
            all->results[i] = co_await std::move(all->tasks[i]);
        } catch (...) {
            if (!all->failure) all->failure = std::current_exception();
        }
    }
}
}  // namespace detail

/// Runs all `tasks` on the caller's executor, which is one thread's, and waits until the last is done. Results are in
/// the tasks' order. `T` can be default-constructed. The first exception of a task is thrown once all are done.
template <class T>
Task<std::vector<T>> gather(std::vector<Task<T>> tasks) {
    if (tasks.empty()) co_return std::vector<T>();
    if (tasks.size() == 1) {  // as nearly always: nothing to run beside it
        std::vector<T> results;
        results.push_back(co_await std::move(tasks.front()));
        co_return results;
    }
    auto executor = co_await asio::this_coro::executor;
    auto all = std::make_shared<detail::Gathering<T>>(std::move(tasks));
    auto start = [executor, all](auto handler) {
        auto done = std::make_shared<decltype(handler)>(std::move(handler));
        all->lanes = std::min(all->tasks.size(), kGatheredAtOnce);
        for (auto n = all->lanes; n > 0; --n) {
            auto ended = [executor, all, done](std::exception_ptr) {
                if (--all->lanes == 0) asio::post(executor, [done] { std::move (*done)(); });
            };
            asio::co_spawn(executor, detail::lane(all), std::move(ended));
        }
    };
    co_await asio::async_initiate<decltype(use_awaitable), void()>(std::move(start), use_awaitable);
    if (all->failure) std::rethrow_exception(all->failure);
    co_return std::move(all->results);
}

}  // namespace poplar::delivery
