// Unknown senders come twice; known ones do not, over restarts too.
#include "delivery/greylist.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::delivery {
namespace {

using namespace std::chrono_literals;
using test::run;

class GreylistTest : public testing::Test {
protected:
    bool admits(const std::string& address, const std::string& sender, bool authenticated = false) {
        auto answer = run(greylist_->admits(address, sender, authenticated));
        EXPECT_TRUE(answer);
        return answer && *answer;
    }
    void restart() { greylist_.emplace(engine_, clock_, 5min); }

    test::ManualClock clock_;
    test::MemoryEngine engine_;
    std::optional<Greylist> greylist_{std::in_place, engine_, clock_, 5min};
};

TEST_F(GreylistTest, TakesWhoComesAgainAfterTheDelay) {
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example"));
    clock_.advance(1min);
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example"));
    clock_.advance(5min);
    EXPECT_TRUE(admits("192.0.2.77", "ann@FAR.example")) << "from the same network, for the same domain";
    restart();
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example")) << "it is known, over a restart";
    EXPECT_FALSE(admits("192.0.2.1", "joe@else.example"));
    EXPECT_FALSE(admits("198.51.100.1", "joe@far.example"));
}

TEST_F(GreylistTest, WhoPassedOnceNeverWaits) {
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example", true));
    restart();
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example")) << "the DNS is silent this time";
}

TEST_F(GreylistTest, ForgetsWhoDoesNotComeForLong) {
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example", true));
    clock_.advance(std::chrono::days(20));
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example"));
    clock_.advance(std::chrono::days(20));
    EXPECT_EQ(*run(greylist_->forget_old("", 10)), "");
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example")) << "the last message counts";
    clock_.advance(std::chrono::days(37));
    EXPECT_EQ(*run(greylist_->forget_old("", 10)), "");
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example"));
    clock_.advance(49h);
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example")) << "too late: it counts as the first time again";
}

TEST_F(GreylistTest, HasRoomForSoManyWhoHaveToComeAgainAndTakesOthersAtOnce) {
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example"));
    for (std::size_t i = 1; i < Greylist::kMostWaiting; ++i)
        EXPECT_FALSE(admits("198.51.100.1", "x@" + std::to_string(i) + ".example"));
    EXPECT_TRUE(admits("203.0.113.1", "jane@elsewhere.example")) << "who fills it keeps nobody out";
    EXPECT_FALSE(admits("192.0.2.1", "joe@far.example")) << "nor who waits already";
    clock_.advance(6min);
    EXPECT_TRUE(admits("192.0.2.1", "joe@far.example"));
    EXPECT_TRUE(admits("198.51.100.1", "x@99999.example"));
}

}  // namespace
}  // namespace poplar::delivery
