#include "activity/mass_deletions.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace poplar::activity {
namespace {

using namespace std::chrono_literals;

class MassDeletionsTest : public testing::Test {
protected:
    bool note(std::uint64_t messages, std::uint64_t before, const Origin& origin, std::uint32_t mailbox = 1) {
        return deletions.note({.account = AccountId(1024),
                               .address = "bob@example.org",
                               .origin = origin,
                               .mailbox = mailbox,
                               .messages = messages,
                               .before = before,
                               .begun = clock.now(),
                               .ended = clock.now()});
    }
    std::size_t waiting() { return deletions.take(clock.now()).size(); }

    test::ManualClock clock;
    MassDeletions deletions;
    const Origin phone{.device = 7, .device_name = "phone", .peer = "192.0.2.1", .protocol = "pop3"};
    const Origin tablet{.device = 8, .device_name = "tablet", .peer = "192.0.2.1", .protocol = "pop3"};
    const Origin home{.peer = "192.0.2.1", .protocol = "pop3"}, next_door{.peer = "192.0.2.9", .protocol = "pop3"};
    const Origin abroad{.peer = "198.51.100.1", .protocol = "pop3"};
};

TEST_F(MassDeletionsTest, MoreThanHalfOfAMailboxOfAHundredWaitsForItsJudge) {
    EXPECT_FALSE(note(50, 100, phone));
    EXPECT_EQ(waiting(), 0u);
    EXPECT_TRUE(note(60, 99, tablet)) << "it is more than half";
    EXPECT_EQ(waiting(), 0u) << "... of a small mailbox";
    EXPECT_TRUE(note(101, 200, home));
    const auto taken = deletions.take(clock.now());
    ASSERT_EQ(taken.size(), 1u);
    EXPECT_TRUE(taken[0].first);
    EXPECT_EQ(taken[0].sum.messages, 101u);
    EXPECT_EQ(taken[0].sum.before, 200u);
    EXPECT_EQ(waiting(), 0u) << "they are taken once";
}

TEST_F(MassDeletionsTest, SeveralSessionsOfAnHourCountTogether) {
    const auto begun = clock.now();
    EXPECT_FALSE(note(40, 150, phone));
    clock.advance(20min);
    EXPECT_FALSE(note(30, 115, phone)) << "5 came meanwhile";
    clock.advance(20min);
    EXPECT_TRUE(note(10, 85, phone));
    clock.advance(10min);
    EXPECT_TRUE(note(5, 75, phone));
    const auto taken = deletions.take(clock.now());
    ASSERT_EQ(taken.size(), 2u);
    EXPECT_TRUE(taken[0].first);
    EXPECT_FALSE(taken[1].first) << "the user is told once";
    EXPECT_EQ(taken[1].sum.messages, 85u);
    EXPECT_EQ(taken[1].sum.begun, begun);
    clock.advance(10min);
    EXPECT_FALSE(note(30, 100, phone)) << "another hour";
}

TEST_F(MassDeletionsTest, DevicesAndNetworksAndMailboxesAreToldApart) {
    EXPECT_FALSE(note(60, 150, phone));
    EXPECT_FALSE(note(60, 150, tablet));
    EXPECT_FALSE(note(60, 150, home));
    EXPECT_FALSE(note(60, 150, abroad));
    EXPECT_FALSE(note(60, 150, home, 2));
    EXPECT_EQ(waiting(), 0u);
    EXPECT_TRUE(note(20, 90, next_door)) << "the network of home";
    EXPECT_EQ(waiting(), 1u);
}

}  // namespace
}  // namespace poplar::activity
