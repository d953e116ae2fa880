#include "base/turn.h"

#include <gtest/gtest.h>

#include "base/resume.h"

namespace {

using namespace poplar;
using namespace std::chrono_literals;

Task<> work(int turns, int& done) {
    for (int i = 0; i < turns; ++i) {
        SteadyClock::move(turn::kLimit);
        if (turn::over()) co_await turn::let_others();
        ++done;
    }
}

TEST(Turn, IsOverWhenItsTimeIs) {
    turn::begin();
    EXPECT_FALSE(turn::over());
    SteadyClock::move(turn::kLimit);
    EXPECT_TRUE(turn::over());
    turn::begin();
    EXPECT_FALSE(turn::over());
}

TEST(Turn, BeginsWithWhatAnotherThreadHasDone) {
    asio::io_context context(1);
    bool resumed = false;
    auto resume = resume_on<int>(context.get_executor(), [&](int) {
        resumed = true;
        EXPECT_FALSE(turn::over());
    });
    resume(1);
    SteadyClock::move(turn::kLimit);
    context.run();
    EXPECT_TRUE(resumed);
}

TEST(Turn, HoweverManyWorkOneWithAShortErrandWaitsForTwoOfThem) {
    asio::io_context context(1);
    constexpr int kWorkers = 50, kTurns = 20;
    int done = 0, errands = 0;
    for (int i = 0; i < kWorkers; ++i) asio::co_spawn(context, work(kTurns, done), asio::detached);
    while (done == 0) context.run_one();
    auto errand = [](int& worked, int& count) -> Task<> {
        auto executor = co_await asio::this_coro::executor;
        while (worked < kWorkers * kTurns) {
            ++count;
            const auto before = worked;
            co_await asio::post(executor, use_awaitable);
            EXPECT_LE(worked - before, 2) << count;
        }
    };
    asio::co_spawn(context, errand(done, errands), asio::detached);
    context.run();
    EXPECT_EQ(done, kWorkers * kTurns);
    EXPECT_GE(errands, kWorkers * kTurns / 2);
}

TEST(Turn, WorkersComeInTheOrderInWhichTheyBegan) {
    asio::io_context context(1);
    std::string order;
    auto worker = [](std::string& said, char name) -> Task<> {
        for (int i = 0; i < 3; ++i) {
            co_await turn::let_others();
            said.push_back(name);
        }
    };
    for (char name : {'a', 'b', 'c'}) asio::co_spawn(context, worker(order, name), asio::detached);
    context.run();
    EXPECT_EQ(order, "abcabcabc");
}

TEST(Turn, WhatStillWaitsIsDroppedWithItsContext) {
    auto alive = std::make_shared<int>();
    {
        asio::io_context context(1);
        auto worker = [](std::shared_ptr<int>) -> Task<> { co_await turn::let_others(); };
        for (int i = 0; i < 2; ++i) asio::co_spawn(context, worker(alive), asio::detached);
        context.poll_one();
        context.poll_one();
        EXPECT_GT(alive.use_count(), 1);
    }
    EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
