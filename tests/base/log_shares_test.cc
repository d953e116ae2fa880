#include "base/log_shares.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar::log {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1000s};
constexpr PeerKey kPeer = 1, kOther = 2, kLate = 3;

/// Octets of lines that a peer gets written, one after the other, until one is held back.
std::uint64_t fill(Shares& shares, PeerKey peer, std::uint64_t sent, SteadyTime now = kStart) {
    constexpr std::size_t kLine = 100;
    std::uint64_t written = 0;
    for (; shares.take(peer, sent, kLine, now); sent = 0) written += kLine;
    return written;
}

TEST(LogShares, APeerEarnsItsLinesWithWhatItSends) {
    Shares shares;
    EXPECT_EQ(fill(shares, kPeer, 0), 1000u) << "to begin with";
    EXPECT_EQ(fill(shares, kPeer, 0), 0u);
    EXPECT_EQ(fill(shares, kPeer, 100), 1500u);
    EXPECT_EQ(fill(shares, kPeer, 1'000'000'000), 65'500u) << "what is saved is bounded";
    EXPECT_EQ(fill(shares, kOther, 0), 1000u) << "another peer has a purse of its own";
}

TEST(LogShares, TimeGivesAPeerALineNowAndThen) {
    Shares shares;
    EXPECT_EQ(fill(shares, kPeer, 0), 1000u);
    EXPECT_EQ(fill(shares, kPeer, 0, kStart + 4s), 200u);
    EXPECT_EQ(fill(shares, kPeer, 0, kStart + 1h), 1000u);
}

TEST(LogShares, TheRateIsForAllTogetherAndNobodyTakesItAlone) {
    Shares shares;
    shares.set_limits({.rate = 30'000, .per_octet = 0});
    EXPECT_EQ(fill(shares, kPeer, 0), 15'000u);
    EXPECT_EQ(fill(shares, kOther, 0), 7'500u);
    EXPECT_EQ(fill(shares, kPeer, 0), 0u);
    std::uint64_t rest = 0;
    for (unsigned i = 0; i < 100; ++i) rest += fill(shares, PeerKey(100 + i), 0);
    EXPECT_EQ(rest, 7'500u);
    EXPECT_EQ(fill(shares, kPeer, 0, kStart + 1s), 15'000u) << "the next second";
}

TEST(LogShares, WithoutLimitsEverythingIsWritten) {
    Shares shares;
    shares.set_limits({.rate = 0, .per_octet = 0});
    for (int i = 0; i < 100; ++i) EXPECT_TRUE(shares.take(kPeer, 0, 1'000'000, kStart));
}

TEST(LogShares, RemembersSoManyPeersAndNoMore) {
    Shares shares;
    shares.set_limits({.rate = 0, .per_octet = 15});
    for (unsigned i = 0; i < 100'000; ++i) EXPECT_TRUE(shares.take(PeerKey(1000 + i), 100, 100, kStart));
    EXPECT_LE(shares.size(), 64u * 1024 + 1);
    EXPECT_TRUE(shares.take(kLate, 0, 100, kStart + 1min));
    EXPECT_LE(shares.size(), 2u);
}

}  // namespace
}  // namespace poplar::log
