#include "auth/keyed_counts.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace poplar::auth {
namespace {

using namespace std::chrono_literals;

TEST(KeyedCounts, AreReachedWithinTheWindowAndForgottenAfterIt) {
    test::ManualClock clock;
    KeyedCounts limits(clock, 3, 60s, 100);
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(limits.is_over("a"));
        limits.record("a");
        clock.advance(10s);
    }
    EXPECT_TRUE(limits.is_over("a"));
    EXPECT_FALSE(limits.is_over("b"));
    clock.advance(29'999ms);
    EXPECT_TRUE(limits.is_over("a"));
    clock.advance(1ms);
    EXPECT_FALSE(limits.is_over("a"));
    limits.record("a");
    EXPECT_FALSE(limits.is_over("a")) << "a new window begins with one failure";
}

TEST(KeyedCounts, CountNothingWithALimitOfZero) {
    test::ManualClock clock;
    KeyedCounts limits(clock, 0, 60s, 100);
    for (int i = 0; i < 10; ++i) limits.record("a");
    EXPECT_FALSE(limits.is_over("a"));
    EXPECT_EQ(limits.size(), 0U);
}

TEST(KeyedCounts, HoldABoundedNumberOfKeysAndDropTheOldest) {
    test::ManualClock clock;
    KeyedCounts limits(clock, 1, 60s, 10);
    for (int i = 0; i < 1000; ++i) {
        limits.record(std::to_string(i));
        EXPECT_LE(limits.size(), 10U);
    }
    EXPECT_TRUE(limits.is_over("999"));
    EXPECT_TRUE(limits.is_over("990"));
    EXPECT_FALSE(limits.is_over("989"));
    for (int i = 0; i < 100; ++i) limits.record("995");
    EXPECT_TRUE(limits.is_over("990")) << "a key that is there already pushes nothing out";
    clock.advance(60s);
    limits.record("new");
    EXPECT_EQ(limits.size(), 1U) << "past windows are gone";
}

TEST(KeyedCounts, LockNobodyOutWhenTheClockIsSetBack) {
    test::ManualClock clock;
    KeyedCounts limits(clock, 1, 60s, 10);
    limits.record("a");
    EXPECT_TRUE(limits.is_over("a"));
    clock.advance(-1h);
    EXPECT_FALSE(limits.is_over("a"));
    limits.record("a");
    EXPECT_TRUE(limits.is_over("a"));
    clock.advance(60s);
    EXPECT_FALSE(limits.is_over("a"));
}

}  // namespace
}  // namespace poplar::auth
