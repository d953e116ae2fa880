#include "queue/sending_limits.h"

#include <gtest/gtest.h>

#include "queue/record.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::queue {
namespace {

using namespace std::chrono_literals;
using test::run;
using Where = SendingLimits::Sending::Where;

class SendingLimitsTest : public testing::Test {
protected:
    /// One message to these addresses elsewhere; how many recipients were taken, or -1 if the message was not.
    int send(SendingLimits& limits, const std::vector<std::string>& addresses, bool commit = true) {
        auto sending = run(limits.begin(kAccount));
        EXPECT_TRUE(sending);
        if (!*sending) return -1;
        int taken = 0;
        for (const auto& address : addresses) taken += *run((*sending)->add(address, Where::elsewhere));
        if (!commit) return taken;
        engine::Batch batch;
        for (auto& entry : (*sending)->entries()) batch.put(entry.key, entry.value);
        EXPECT_TRUE(run(engine_.commit(kQueuePartition, std::move(batch))));
        (*sending)->commit();
        return taken;
    }

    static constexpr engine::PartitionId kAccount{2000};
    test::MemoryEngine engine_;
    test::ManualClock clock_;
};

constexpr SendingQuota kNone{0, 0, 0, 0, 0, 0};

TEST_F(SendingLimitsTest, MessagesOfAnHourAndADayAreCounted) {
    auto quota = kNone;
    quota.messages_per_hour = 2;
    quota.messages_per_day = 3;
    SendingLimits limits(engine_, clock_, quota);
    EXPECT_EQ(send(limits, {}), 0);
    EXPECT_EQ(send(limits, {}), 0);
    EXPECT_EQ(send(limits, {}), -1);
    clock_.advance(1h);
    EXPECT_EQ(send(limits, {}), 0);
    EXPECT_EQ(send(limits, {}), -1) << "the day's";
    clock_.advance(24h);
    EXPECT_EQ(send(limits, {}), 0);
}

TEST_F(SendingLimitsTest, OnlyStrangersAreNewAndOnlyOnce) {
    auto quota = kNone;
    quota.new_recipients_per_day = 2;
    SendingLimits limits(engine_, clock_, quota);
    EXPECT_EQ(send(limits, {"a@x", "a@x", "b@x", "c@x"}), 3);
    EXPECT_EQ(send(limits, {"a@x", "b@x", "c@x"}), 2);
    clock_.advance(24h);
    EXPECT_EQ(send(limits, {"c@x", "d@x", "a@x", "e@x"}), 3);
}

TEST_F(SendingLimitsTest, WhatComesToNothingIsGivenBack) {
    auto quota = kNone;
    quota.messages_per_day = quota.recipients_per_day = quota.new_recipients_per_day = 2;
    SendingLimits limits(engine_, clock_, quota);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(send(limits, {"a@x", "b@x"}, false), 2);
    EXPECT_EQ(send(limits, {"a@x", "b@x"}), 2);
    EXPECT_EQ(send(limits, {"a@x"}), 0);
}

TEST_F(SendingLimitsTest, SessionsAtTheSameTimeShareTheLimit) {
    auto quota = kNone;
    quota.messages_per_day = 2;
    SendingLimits limits(engine_, clock_, quota);
    auto first = run(limits.begin(kAccount)), second = run(limits.begin(kAccount)), third = run(limits.begin(kAccount));
    EXPECT_TRUE(*first && *second);
    EXPECT_FALSE(*third);
    EXPECT_TRUE(*run(limits.begin(engine::PartitionId{2001}))) << "another account has its own";
}

TEST_F(SendingLimitsTest, ARestartForgetsNothing) {
    auto quota = kNone;
    quota.messages_per_day = 2;
    quota.new_recipients_per_day = 1;
    {
        SendingLimits limits(engine_, clock_, quota);
        EXPECT_EQ(send(limits, {"a@x"}), 1);
    }
    SendingLimits limits(engine_, clock_, quota);
    EXPECT_EQ(send(limits, {"a@x", "b@x"}), 1);
    EXPECT_EQ(send(limits, {}), -1);
}

}  // namespace
}  // namespace poplar::queue
