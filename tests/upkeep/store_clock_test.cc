// Clocks that jump: when the store doubts them, and when it believes them again.
#include "upkeep/store_clock.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::upkeep {
namespace {

using std::chrono::days;
using std::chrono::hours;
using test::run;

/// A machine whose clock can be set, and a server on it that can be restarted.
class StoreClockTest : public testing::Test {
protected:
    StoreClockTest() { start(); }
    void start() {
        clock_.emplace(engine_, wall_, believe_after_);
        ASSERT_TRUE(run(clock_->load()));
        ASSERT_TRUE(run(clock_->keep()));
    }
    void set(std::chrono::milliseconds by) { wall_.advance(by); }
    void pass(std::chrono::milliseconds time) {
        wall_.advance(time);
        SteadyClock::move(time);
    }
    /// Lets `time` pass; the clock is looked at once an hour.
    void run_for(hours time) {
        for (; time.count() > 0; time -= hours(1)) {
            pass(hours(1));
            ASSERT_TRUE(run(clock_->keep()));
        }
    }
    bool doubted() { return !clock_->to_forget_by(); }

    test::MemoryEngine engine_;
    test::ManualClock wall_;
    std::chrono::seconds believe_after_ = days(7);
    std::optional<StoreClock> clock_;
};

TEST_F(StoreClockTest, AClockThatRunsEvenlyIsBelieved) {
    for (auto step : {hours(1), hours(20), hours(24 * 40)}) {
        pass(step);
        EXPECT_EQ(clock_->to_forget_by(), wall_.now());
    }
    set(hours(2));
    EXPECT_EQ(clock_->to_forget_by(), wall_.now()) << "it was set right";
    set(-hours(3));
    EXPECT_EQ(clock_->to_forget_by(), wall_.now());
}

TEST_F(StoreClockTest, WhatIsCountedGoesOnEvenlyWhileTheClockIsDoubted) {
    const Clock& counted = clock_->to_count_by();
    const auto begun = wall_.now();
    auto is_about = [&](Timestamp expected) {
        const auto now = counted.now();  // the test itself takes a moment
        return now >= expected && now < expected + std::chrono::minutes(1);
    };
    EXPECT_TRUE(is_about(begun));
    for (auto jump : {days(365), -days(400)}) {
        set(jump);
        const auto before = counted.now();
        EXPECT_TRUE(doubted());
        pass(hours(2));
        EXPECT_TRUE(is_about(before + hours(2)));
        set(-jump);
        EXPECT_TRUE(is_about(wall_.now()));
        EXPECT_FALSE(doubted());
    }
    set(days(365));
    run_for(hours(24 * 8));
    EXPECT_TRUE(is_about(wall_.now())) << "it is believed";
}

TEST_F(StoreClockTest, AStartAfterANightIsNoReasonForDoubt) {
    set(hours(20));
    start();
    EXPECT_FALSE(doubted());
}

TEST_F(StoreClockTest, AJumpIsDoubtedAtAStartAndWhileItRuns) {
    for (auto jump : {days(400), days(2), days(-2), days(-9000)})
        for (bool running : {true, false}) {
            set(jump);
            if (!running) start();
            EXPECT_TRUE(doubted()) << jump.count() << running;
            start();
            EXPECT_TRUE(doubted()) << "another start makes it no better";
            auto state = clock_->state();
            EXPECT_TRUE(state.doubted);
            EXPECT_EQ(state.now, wall_.now());
            EXPECT_EQ(state.expected, wall_.now() - jump);
            set(-jump);
            EXPECT_FALSE(doubted()) << "it is right again";
        }
}

TEST_F(StoreClockTest, AnOperatorConfirmsIt) {
    for (auto jump : {days(400), days(-200)}) {
        set(jump);
        EXPECT_TRUE(doubted());
        ASSERT_TRUE(run(clock_->confirm()));
        EXPECT_EQ(clock_->to_forget_by(), wall_.now());
        start();
        EXPECT_FALSE(doubted()) << "for good";
        EXPECT_EQ(clock_->now(), wall_.now()) << "nothing is stamped with another time any more";
    }
}

TEST_F(StoreClockTest, BehindADowntimeItIsBelievedWhenItHasRunEvenlyForSomeDays) {
    set(days(40));
    start();
    EXPECT_EQ(*clock_->state().believed_at, wall_.now() + days(7));
    run_for(days(3));
    set(hours(5));  // a restart in between
    start();
    EXPECT_TRUE(doubted());
    run_for(days(3));
    EXPECT_TRUE(doubted());
    run_for(days(1));
    EXPECT_EQ(clock_->to_forget_by(), wall_.now());
}

TEST_F(StoreClockTest, AnotherJumpBeginsTheDaysAnew) {
    set(days(40));
    run_for(days(6));
    set(days(3));
    run_for(days(6));
    EXPECT_TRUE(doubted());
    run_for(days(2));
    EXPECT_FALSE(doubted());
}

TEST_F(StoreClockTest, ItIsRightAgainAlsoAfterDaysOfRunningWrong) {
    set(days(400));
    run_for(days(5));
    set(-days(400));
    EXPECT_EQ(clock_->to_forget_by(), wall_.now());
}

TEST_F(StoreClockTest, WithoutSuchDaysOnlyAnOperatorConfirmsIt) {
    believe_after_ = std::chrono::seconds(0);
    start();
    set(days(40));
    run_for(days(30));
    EXPECT_TRUE(doubted());
    EXPECT_FALSE(clock_->state().believed_at);
    ASSERT_TRUE(run(clock_->confirm()));
    EXPECT_FALSE(doubted());
}

TEST_F(StoreClockTest, NothingIsStampedWithATimeBeforeTheLatestKnown) {
    auto known = wall_.now();
    set(-days(300));
    start();
    EXPECT_EQ(clock_->now(), known);
    set(days(301));
    EXPECT_EQ(clock_->now(), wall_.now());
}

TEST_F(StoreClockTest, IsStoredOnceAnHourAndWithTheNews) {
    auto commits = engine_.commits();
    for (int minute = 0; minute < 59; ++minute) {
        pass(std::chrono::minutes(1));
        ASSERT_TRUE(run(clock_->keep()));
    }
    EXPECT_EQ(engine_.commits(), commits);
    pass(std::chrono::minutes(1));
    ASSERT_TRUE(run(clock_->keep()));
    EXPECT_EQ(engine_.commits(), commits + 1);
    set(days(2));
    ASSERT_TRUE(run(clock_->keep()));
    EXPECT_EQ(engine_.commits(), commits + 2);
}

TEST_F(StoreClockTest, WhatCannotBeReadIsNoReasonToForget) {
    engine::Batch batch;
    batch.put("clock", "nonsense");
    ASSERT_TRUE(run(engine_.commit(engine::PartitionId(2), std::move(batch))));
    clock_.emplace(engine_, wall_, believe_after_);
    EXPECT_FALSE(run(clock_->load()));
    EXPECT_TRUE(doubted());
    clock_.emplace(engine_, wall_, believe_after_);
    engine_.fail_next_reads(1, Errc::io);
    EXPECT_FALSE(run(clock_->load()));
    EXPECT_TRUE(doubted());
}

}  // namespace
}  // namespace poplar::upkeep
