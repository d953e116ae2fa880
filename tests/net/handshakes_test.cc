#include "net/handshakes.h"

#include <gtest/gtest.h>

namespace {

using namespace poplar;
using namespace poplar::net;
using namespace std::chrono_literals;

class HandshakesTest : public testing::Test {
protected:
    /// "at once", "later" or "refused".
    std::string begin(std::string address) {
        auto wait = handshakes_.begin({std::move(address), 1, false});
        if (!wait) return "refused";
        EXPECT_LE(*wait, Handshakes::kLongest);
        return *wait == 0s ? "at once" : "later";
    }

    Handshakes handshakes_{{.handshakes_per_peer = 4, .handshakes_per_network = 8}};
};

TEST_F(HandshakesTest, OfACrowdBeginAtOnceThenWaitThenAreRefused) {
    std::map<std::string, int> seen;
    SteadyClock::duration last{};
    for (int i = 0; i < 100; ++i) {
        auto wait = handshakes_.begin({"192.0.2.1", 1, false});
        if (wait && *wait > 0s) {
            EXPECT_GT(*wait, last);
            last = *wait;
        }
        ++seen[!wait ? "refused" : *wait == 0s ? "at once" : "later"];
    }
    EXPECT_NEAR(seen["at once"], 20, 1) << "five seconds' worth";
    EXPECT_NEAR(seen["later"], 20, 1);
    EXPECT_NEAR(seen["refused"], 60, 2);
    EXPECT_EQ(begin("198.51.100.1"), "at once") << "somebody else's";
    SteadyClock::move(Handshakes::kAtOnce + Handshakes::kLongest);
    EXPECT_EQ(begin("192.0.2.1"), "at once");
}

TEST_F(HandshakesTest, OfANetworkAreBoundTogether) {
    for (int i = 0; i < 80; ++i) EXPECT_NE(begin("192.0.2." + std::to_string(i)), "refused") << i;
    EXPECT_EQ(begin("192.0.2.200"), "refused");
    EXPECT_EQ(begin("192.0.3.1"), "at once");
}

TEST_F(HandshakesTest, OfThisMachineNeverWait) {
    for (int i = 0; i < 1'000; ++i) EXPECT_EQ(handshakes_.begin({"127.0.0.1", 1, true}), 0s);
}

TEST_F(HandshakesTest, OfMorePeersThanAreRememberedAreNotHeldBackAndThoseThatAreStillAre) {
    for (int i = 0; i < 100; ++i) begin("192.0.2.1");
    auto nth = [](std::size_t i) { return fmt::format("2001:db8:{:x}::1", i); };
    for (std::size_t i = 0; i < Handshakes::kRemembered; ++i) EXPECT_NE(begin(nth(i)), "refused");
    for (int i = 0; i < 1'000; ++i) EXPECT_EQ(begin("2001:db8:ffff::1"), "at once");
    EXPECT_EQ(begin("192.0.2.1"), "refused");
    SteadyClock::move(20s);
    for (int i = 0; i < 1'000; ++i) begin("2001:db8:ffff::1");
    EXPECT_EQ(begin("2001:db8:ffff::1"), "refused") << "those that are long over still take the room";
}

}  // namespace
