#include "auth/throttle.h"

#include <gtest/gtest.h>

namespace poplar::auth {
namespace {

using namespace std::chrono_literals;

/// Three failures in 600 s, then turns 1,000 s, 2,000 s, 4,000 s and 8,000 s apart: too long for a slow machine to
/// matter.
class ThrottleTest : public testing::Test {
protected:
    void fail(int times, Throttle::Key key = 1) {
        for (int i = 0; i < times; ++i) throttle.record_failure(key);
    }
    std::chrono::seconds wait(Throttle::Key key = 1) {
        return std::chrono::round<std::chrono::seconds>(throttle.wait(key));
    }
    std::chrono::seconds turn(Throttle::Key key = 1) {
        return std::chrono::round<std::chrono::seconds>(throttle.take_turn(key) - SteadyClock::now());
    }
    ThrottleOptions options{.failures = 3, .window = 600s, .longest_delay = 8'000s, .entries = 3};
    Throttle throttle{options};
};

TEST_F(ThrottleTest, LetsSoManyFailuresPassAndThenDelays) {
    fail(2);
    EXPECT_FALSE(throttle.is_over(1));
    EXPECT_EQ(wait(), 0s);
    fail(1);
    EXPECT_TRUE(throttle.is_over(1));
    EXPECT_EQ(wait(), 1'000s);
    EXPECT_FALSE(throttle.is_over(2)) << "another key";
}

TEST_F(ThrottleTest, TheDelaysGrowToTheLongest) {
    for (auto delay : {1'000s, 2'000s, 4'000s, 8'000s, 8'000s}) {
        Throttle fresh(options);
        auto failures =
            delay == 8'000s ? 12 : 2 + static_cast<int>(std::bit_width(static_cast<unsigned>(delay / 1'000s)));
        for (int i = 0; i < failures; ++i) fresh.record_failure(1);
        EXPECT_EQ(std::chrono::round<std::chrono::seconds>(fresh.wait(1)), delay) << failures;
    }
}

TEST_F(ThrottleTest, GivesOneTurnAfterTheOther) {
    fail(3);
    EXPECT_EQ(turn(), 1'000s);
    EXPECT_EQ(turn(), 2'000s);
    EXPECT_EQ(turn(), 3'000s);
    EXPECT_EQ(wait(), 4'000s);
    EXPECT_EQ(turn(2), 0s) << "who has not failed needs none";
    EXPECT_EQ(turn(2), 0s);
}

TEST_F(ThrottleTest, ForgivesOneFailureAfterTheOther) {
    fail(3);
    SteadyClock::move(199s);
    EXPECT_TRUE(throttle.is_over(1));
    SteadyClock::move(2s);
    EXPECT_FALSE(throttle.is_over(1)) << "a third of the window for one of three";
    fail(1);
    EXPECT_TRUE(throttle.is_over(1));
    SteadyClock::move(598s);
    EXPECT_TRUE(throttle.has_failed(1));
    SteadyClock::move(3s);
    EXPECT_FALSE(throttle.has_failed(1));
}

TEST_F(ThrottleTest, HoldsASteadyGuesserToTheLimit) {
    int over = 0;
    for (int i = 0; i < 60; ++i) {  // twice as fast as they are forgiven
        SteadyClock::move(100s);
        over += throttle.is_over(1) ? 1 : 0;
        fail(1);
    }
    EXPECT_GT(over, 50);
}

TEST_F(ThrottleTest, AFloodIsForgivenNoLaterThanTheWindowAndAFewMore) {
    fail(1'000'000);
    SteadyClock::move(600s + 8 * 200s);
    EXPECT_FALSE(throttle.is_over(1));
}

TEST_F(ThrottleTest, AllowsMoreFailuresThanTheWindowHasSeconds) {
    options.failures = 1'000'000;
    Throttle many(options);
    for (int i = 0; i < 1000; ++i) many.record_failure(1);
    EXPECT_FALSE(many.is_over(1));
    EXPECT_EQ(many.wait(1), 0s);
}

TEST_F(ThrottleTest, ForgetsWhoHasNotFailedForTheLongestTime) {
    for (Throttle::Key key : {1, 2, 3}) fail(3, key);
    fail(1, 1);
    fail(3, 4);
    EXPECT_EQ(throttle.size(), 3u);
    EXPECT_TRUE(throttle.is_over(1)) << "it has failed again";
    EXPECT_FALSE(throttle.is_over(2));
}

TEST_F(ThrottleTest, CountsNothingWithoutALimit) {
    options.failures = 0;
    Throttle none(options);
    for (int i = 0; i < 100; ++i) none.record_failure(1);
    EXPECT_FALSE(none.is_over(1));
    EXPECT_TRUE(none.empty());
}

TEST_F(ThrottleTest, TellsOnceThatALimitIsPassed) {
    EXPECT_FALSE(throttle.record_failure(1));
    EXPECT_FALSE(throttle.record_failure(1));
    EXPECT_TRUE(throttle.record_failure(1));
    for (int i = 0; i < 10; ++i) {
        SteadyClock::move(201s);
        EXPECT_FALSE(throttle.record_failure(1)) << "it goes on";
    }
    SteadyClock::move(6'000s);
    EXPECT_FALSE(throttle.record_failure(1));
    EXPECT_FALSE(throttle.record_failure(1));
    EXPECT_TRUE(throttle.record_failure(1)) << "and after a pause it is news again";
}

TEST_F(ThrottleTest, ShowsWhatIsOverTheLimitAndForgetsWhatIsMeant) {
    for (int i = 0; i < 3; ++i) throttle.record_failure(1, {"bob", "192.0.2.1"});
    throttle.record_failure(2, {"bob", "192.0.2.2"});
    auto held = throttle.held();
    ASSERT_EQ(held.size(), 1u);
    EXPECT_EQ(held[0].subject.account, "bob");
    EXPECT_EQ(held[0].failures, 3u);
    EXPECT_EQ(std::chrono::round<std::chrono::seconds>(held[0].delay), 1'000s);
    EXPECT_EQ(std::chrono::round<std::chrono::seconds>(held[0].lasts), 200s);
    auto is_bob = [](const Throttle::Subject& subject) { return subject.account == "bob"; };
    EXPECT_EQ(throttle.forget(is_bob), 1u);
    EXPECT_FALSE(throttle.has_failed(2));
    EXPECT_TRUE(throttle.empty());
    fail(3);
    EXPECT_TRUE(throttle.is_over(1));
}

}  // namespace
}  // namespace poplar::auth
