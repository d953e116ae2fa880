#include "delivery/gather.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/run.h"

namespace poplar::delivery {
namespace {

using test::run;

Task<int> value(int v, int turns) {
    for (int i = 0; i < turns; ++i) co_await asio::post(use_awaitable);
    co_return v;
}

// Ends only when `expected` tasks have come here; gives up after many turns.
Task<int> meet(int* arrived, int expected) {
    ++*arrived;
    for (int turns = 0; turns < 10'000; ++turns) {
        if (*arrived == expected) co_return 1;
        co_await asio::post(use_awaitable);
    }
    co_return 0;
}

Task<int> broken() {
    co_await asio::post(use_awaitable);
    throw std::runtime_error("broken");
}

TEST(Gather, KeepsTheOrderOfTheTasksWhateverTheOrderTheyEndIn) {
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 10; ++i) tasks.push_back(value(i, 10 - i));
    EXPECT_EQ(run(gather(std::move(tasks))), (std::vector{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Gather, RunsAllAtOnce) {
    int arrived = 0;
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 100; ++i) tasks.push_back(meet(&arrived, 100));
    EXPECT_EQ(run(gather(std::move(tasks))), std::vector<int>(100, 1));
}

TEST(Gather, OfNothingIsNothing) { EXPECT_TRUE(run(gather(std::vector<Task<int>>())).empty()); }

TEST(Gather, ThrowsWhatATaskThrewOnceAllAreDone) {
    int arrived = 0;
    std::vector<Task<int>> tasks;
    tasks.push_back(broken());
    tasks.push_back(meet(&arrived, 1));
    EXPECT_THROW(run(gather(std::move(tasks))), std::runtime_error);
    EXPECT_EQ(arrived, 1);
}

// Without a word of its own, as one recipient of many is prepared; then it waits for its commit.
Task<int> prepared(int* begun, int* at_once, const bool* committed) {
    *at_once = std::max(*at_once, ++*begun);
    while (!*committed) co_await asio::post(use_awaitable);
    --*begun;
    co_return 1;
}

Task<> commit_when(const int* begun, int wanted, bool* committed, int* turns) {
    for (; *begun < wanted && *turns < 10'000; ++*turns) co_await asio::post(use_awaitable);
    *committed = true;
}

TEST(Gather, BeginsOneTaskInATurnAndHasABoundOnThem) {
    const int bound = kGatheredAtOnce;
    int begun = 0, at_once = 0, turns = 0;
    bool committed = false;
    std::vector<Task<int>> tasks;
    for (int i = 0; i < 2 * bound; ++i) tasks.push_back(prepared(&begun, &at_once, &committed));
    const auto both = [&]() -> Task<std::vector<int>> {
        asio::co_spawn(co_await asio::this_coro::executor, commit_when(&begun, bound, &committed, &turns),
                       asio::detached);
        co_return co_await gather(std::move(tasks));
    };
    EXPECT_EQ(run(both()), std::vector<int>(2 * bound, 1));
    EXPECT_EQ(at_once, bound);
    EXPECT_GE(turns, bound - 1) << "so often another session of the thread had its turn while they began";
}

}  // namespace
}  // namespace poplar::delivery
