#include "smtp/unknown_recipients.h"

#include <gtest/gtest.h>

namespace poplar::smtp {
namespace {

using namespace std::chrono_literals;

constexpr PeerKey kPeer = 1, kOther = 2, kThird = 3, kFourth = 4;

/// Seconds until the peer's next answer, to the millisecond; -1: it is sent away.
double wait_of(UnknownRecipients& unknown, PeerKey peer = kPeer) {
    const auto now = SteadyClock::now();
    auto place = unknown.place(peer);
    if (!place) return -1;
    return std::chrono::duration<double>(std::chrono::floor<std::chrono::milliseconds>(*place - now)).count();
}

void count(UnknownRecipients& unknown, int times, PeerKey peer = kPeer) {
    for (int i = 0; i < times; ++i) unknown.count(peer);
}

TEST(UnknownRecipients, CostAPeerNothingBelowTheLimit) {
    UnknownRecipients unknown({.free = 10});
    EXPECT_TRUE(unknown.empty());
    count(unknown, 9);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(wait_of(unknown), 0);
    count(unknown, 20);
    EXPECT_GT(wait_of(unknown), 0);
    EXPECT_EQ(wait_of(unknown, kOther), 0) << "another peer";
}

TEST(UnknownRecipients, MakeAPeerWaitLongerTheMoreThereAre) {
    UnknownRecipients unknown({.free = 10});
    count(unknown, 11);
    double last = wait_of(unknown);
    EXPECT_NEAR(last, 1, 0.2);
    for (int i = 0; i < 4; ++i) {
        SteadyClock::move(1min);
        count(unknown, 10);
        double wait = wait_of(unknown);
        EXPECT_NEAR(wait / last, 2, 0.3) << i;
        last = wait;
    }
}

TEST(UnknownRecipients, LetAllConnectionsOfAPeerStandInOneRow) {
    UnknownRecipients unknown({.free = 10});
    count(unknown, 11);
    double last = 0;
    int answered = 0;
    for (; answered < 1000; ++answered) {
        double wait = wait_of(unknown);
        if (wait < 0) break;
        EXPECT_GE(wait, last + 0.9);
        last = wait;
    }
    EXPECT_NEAR(answered, 27, 3) << "places of a second and more within half a minute";
    SteadyClock::move(31s);
    EXPECT_GT(wait_of(unknown), 0) << "the row is empty again";
}

TEST(UnknownRecipients, AreForgottenWithTime) {
    UnknownRecipients unknown({.free = 10});
    count(unknown, 20);
    SteadyClock::move(59min);
    EXPECT_GT(wait_of(unknown), 0);
    SteadyClock::move(10min);
    EXPECT_EQ(wait_of(unknown), 0);
}

TEST(UnknownRecipients, AreForgivenToWhomMailIsTakenFrom) {
    UnknownRecipients unknown({.free = 10});
    count(unknown, 30);
    unknown.forgive(kPeer, 15);
    EXPECT_GT(wait_of(unknown), 0);
    unknown.forgive(kPeer, 10);
    EXPECT_EQ(wait_of(unknown), 0);
    unknown.forgive(kPeer, 100);
    EXPECT_TRUE(unknown.empty());
    unknown.forgive(kOther, 1);
    count(unknown, 11);
    EXPECT_GT(wait_of(unknown), 0) << "nothing is saved up";
}

TEST(UnknownRecipients, AreRememberedOfSoManyPeers) {
    UnknownRecipients unknown({.free = 2, .peers = 3});
    count(unknown, 3, kPeer);
    for (auto peer : {kOther, kThird}) count(unknown, 1, peer);
    count(unknown, 1, kPeer);
    count(unknown, 1, kFourth);
    EXPECT_EQ(unknown.size(), 3u);
    EXPECT_GT(wait_of(unknown, kPeer), 0) << "heard of later than b";
}

}  // namespace
}  // namespace poplar::smtp
