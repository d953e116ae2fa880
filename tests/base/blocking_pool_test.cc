#include "base/blocking_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <set>
#include <thread>

#include "tests/support/run.h"

namespace poplar {
namespace {

Task<std::thread::id> worker_of(BlockingPool& pool) {
    co_return co_await pool.run([] { return std::this_thread::get_id(); });
}

TEST(BlockingPool, WorksElsewhereAndComesBackWithTheResult) {
    BlockingPool pool(1);
    auto task = [](BlockingPool& p) -> Task<bool> {
        const auto mine = std::this_thread::get_id();
        const auto worker = co_await worker_of(p);
        co_return worker != mine&& std::this_thread::get_id() == mine;
    };
    EXPECT_TRUE(test::run(task(pool)));
}

TEST(BlockingPool, CarriesWhatCanOnlyBeMoved) {
    BlockingPool pool(1);
    auto task = [](BlockingPool& p) -> Task<std::unique_ptr<int>> {
        auto value = std::make_unique<int>(41);
        auto work = [value = std::move(value)]() mutable {
            ++*value;
            return std::move(value);
        };
        co_return co_await p.run(std::move(work));
    };
    EXPECT_EQ(*test::run(task(pool)), 42);
}

TEST(BlockingPool, RunsAsMuchAtOnceAsItHasThreads) {
    constexpr int kThreads = 3;
    BlockingPool pool(kThreads);
    std::latch all_there(kThreads);  // opens only if all three run at once
    std::atomic<int> done = 0;
    auto one = [](BlockingPool& p, std::latch& latch, std::atomic<int>& count) -> Task<> {
        auto work = [&latch] {
            latch.arrive_and_wait();
            return true;
        };
        if (co_await p.run(std::move(work))) ++count;
    };
    asio::io_context context(1);
    for (int i = 0; i < kThreads; ++i) asio::co_spawn(context, one(pool, all_there, done), asio::detached);
    context.run();
    EXPECT_EQ(done, kThreads);
}

TEST(BlockingPool, FinishesWhatItBeganBeforeItEnds) {
    std::atomic<int> finished = 0;
    asio::io_context context(1);
    {
        BlockingPool pool(2);
        auto one = [](BlockingPool& p, std::atomic<int>& count) -> Task<> {
            auto work = [&count] { return ++count; };
            co_await p.run(std::move(work));
        };
        for (int i = 0; i < 100; ++i) asio::co_spawn(context, one(pool, finished), asio::detached);
        context.poll();  // begins them all; their results may still be on the way when the pool ends
    }
    EXPECT_EQ(finished, 100);
    context.run();
}

}  // namespace
}  // namespace poplar
