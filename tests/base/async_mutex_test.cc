#include "base/async_mutex.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace poplar {
namespace {

template <class T>
void spawn(asio::io_context& context, Task<T> task) {
    asio::co_spawn(context, std::move(task), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
}

Task<> yield() { co_await asio::post(co_await asio::this_coro::executor, use_awaitable); }

Task<> take_turn(AsyncMutex& mutex, std::vector<int>& order, int turn) {
    auto guard = co_await mutex.lock();
    co_await yield();  // others come to wait meanwhile
    order.push_back(turn);
    co_await yield();
}

TEST(AsyncMutex, ServesWaitersInTheOrderTheyCame) {
    AsyncMutex mutex;
    std::vector<int> order;
    asio::io_context context(1);
    for (int turn = 0; turn < 20; ++turn) spawn(context, take_turn(mutex, order, turn));
    context.run();
    std::vector<int> expected(20);
    for (int i = 0; i < 20; ++i) expected[static_cast<std::size_t>(i)] = i;
    EXPECT_EQ(order, expected);
}

Task<> add(AsyncMutex& mutex, std::int64_t& sum, int rounds, std::thread::id home, std::atomic<int>& strayed) {
    for (int i = 0; i < rounds; ++i) {
        auto guard = co_await mutex.lock();
        if (std::this_thread::get_id() != home) ++strayed;
        std::int64_t seen = sum;
        if (i % 7 == 0) co_await yield();
        sum = seen + 1;
    }
}

TEST(AsyncMutex, ExcludesAcrossThreadsAndResumesEachWaiterOnItsOwn) {
    AsyncMutex mutex;
    std::int64_t sum = 0;
    std::atomic<int> strayed = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            asio::io_context context(1);
            for (int i = 0; i < 5; ++i) spawn(context, add(mutex, sum, 200, std::this_thread::get_id(), strayed));
            context.run();
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(sum, 4 * 5 * 200);
    EXPECT_EQ(strayed, 0);
}

Task<> lock_into(AsyncMutex& mutex, AsyncMutex::Guard& guard) { guard = co_await mutex.lock(); }

TEST(AsyncMutex, GoesOnToTheNextWhenAWaitersContextEndsBeforeItRuns) {
    AsyncMutex mutex;
    asio::io_context context(1);
    AsyncMutex::Guard first, dropped, last;
    spawn(context, lock_into(mutex, first));
    context.poll();
    ASSERT_TRUE(first.owns_lock());
    {
        asio::io_context ending(1);
        spawn(ending, lock_into(mutex, dropped));
        ending.poll();
        spawn(context, lock_into(mutex, last));
        context.poll();
        first.unlock();  // the lock is on its way to `ending`, which never runs again
    }
    context.restart();
    context.run();
    EXPECT_FALSE(dropped.owns_lock());
    EXPECT_TRUE(last.owns_lock());
}

TEST(AsyncMutex, IsFreeAgainAfterUnlockAndAfterItsGuardIsGone) {
    AsyncMutex mutex;
    for (int i = 0; i < 3; ++i) {
        asio::io_context context(1);
        AsyncMutex::Guard guard;
        spawn(context, lock_into(mutex, guard));
        context.poll();
        EXPECT_TRUE(guard.owns_lock());
        if (i == 1) guard.unlock();
    }
}

}  // namespace
}  // namespace poplar
