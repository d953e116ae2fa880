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

}  // namespace
}  // namespace poplar::delivery
