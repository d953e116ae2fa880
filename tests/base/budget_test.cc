#include "base/budget.h"

#include <gtest/gtest.h>

#include <vector>

namespace poplar {
namespace {

constexpr Budget::Holder kOne = 1, kOther = 2, kLate = 100;

TEST(Budget, OneAloneMayHoldHalf) {
    Budget budget(100, 0);
    auto holding = budget.open(kOne);
    EXPECT_TRUE(holding.resize(50));
    EXPECT_FALSE(holding.resize(51));
    EXPECT_EQ(holding.amount(), 50u);
    EXPECT_EQ(budget.held(), 50u);
}

TEST(Budget, LeavesEachAsMuchAsTheLargestHas) {
    Budget budget(120, 0);
    std::vector<Budget::Holding> holdings;
    for (auto holder : {kOne, kOther, Budget::Holder(3)}) holdings.push_back(budget.open(holder));
    for (auto& holding : holdings) EXPECT_TRUE(holding.resize(30));
    for (auto& holding : holdings) EXPECT_FALSE(holding.resize(31));
    auto newcomer = budget.open(kLate);
    EXPECT_TRUE(newcomer.resize(15));
}

TEST(Budget, AHoldersManyUsesCountTogether) {
    Budget budget(100, 0);
    auto one = budget.open(kOne), other = budget.open(kOne);
    EXPECT_TRUE(one.resize(30));
    EXPECT_FALSE(other.resize(30));
    EXPECT_TRUE(other.resize(20));
    EXPECT_EQ(budget.held_by(kOne), 50u);
}

TEST(Budget, SmallHoldersGetInWhileThereIsRoom) {
    Budget budget(100, 10);
    std::vector<Budget::Holding> holdings;
    for (Budget::Holder i = 0; i < 10; ++i) {
        holdings.push_back(budget.open(i));
        EXPECT_TRUE(holdings.back().resize(10)) << i;
    }
    auto late = budget.open(kLate);
    EXPECT_FALSE(late.resize(1));
    holdings.pop_back();
    EXPECT_TRUE(late.resize(10));
}

TEST(Budget, GetsBackWhatWasHeld) {
    Budget budget(100, 0);
    {
        auto holding = budget.open(kOne);
        EXPECT_TRUE(holding.resize(40));
        auto moved = std::move(holding);
        EXPECT_TRUE(moved.resize(20));
        EXPECT_EQ(budget.held(), 20u);
        holding = budget.open(kOther);
        EXPECT_TRUE(holding.resize(5));
        moved = std::move(holding);
        EXPECT_EQ(budget.held(), 5u);
        EXPECT_EQ(budget.held_by(kOne), 0u);
    }
    EXPECT_EQ(budget.held(), 0u);
}

TEST(Budget, HoldingLessNeverFails) {
    Budget budget(100, 60);
    auto one = budget.open(kOne), other = budget.open(kOther);
    EXPECT_TRUE(one.resize(60));
    EXPECT_TRUE(other.resize(40));
    EXPECT_TRUE(one.resize(59));  // over half, and yet
}

}  // namespace
}  // namespace poplar
