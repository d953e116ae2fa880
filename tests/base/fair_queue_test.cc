#include "base/fair_queue.h"

#include <gtest/gtest.h>

#include <string>

namespace poplar {
namespace {

constexpr Share kAlice{Standing::unknown, 1, 1}, kBob{Standing::unknown, 2, 2};

std::string drain(FairQueue<char>& queue) {
    std::string order;
    while (auto job = queue.pop()) order.push_back(*job);
    return order;
}

void fill(FairQueue<char>& queue, const Share& share, std::string_view jobs) {
    for (char job : jobs) EXPECT_FALSE(queue.push(share, job)) << job;
}

TEST(FairQueue, IsFirstComeFirstServedWithinAShare) {
    FairQueue<char> queue(10);
    fill(queue, kAlice, "abc");
    EXPECT_EQ(drain(queue), "abc");
}

TEST(FairQueue, SharesTakeTurns) {
    FairQueue<char> queue(20);
    fill(queue, kAlice, "abcdef");
    fill(queue, kBob, "1");
    EXPECT_EQ(queue.size(), 7u);
    EXPECT_EQ(drain(queue), "a1bcdef");
}

TEST(FairQueue, ManyPeersOfOneNetworkHaveItsShareTogether) {
    FairQueue<char> queue(20);
    for (std::uint64_t peer = 0; peer < 5; ++peer)
        fill(queue, {Standing::unknown, 7, peer}, std::string(2, static_cast<char>('a' + peer)));
    fill(queue, kBob, "12");
    EXPECT_EQ(drain(queue), "a1b2cdeabcde");
}

TEST(FairQueue, GoodStandingComesFirstAndNobodyStarves) {
    FairQueue<char> queue(100);
    fill(queue, {Standing::bad, 1, 1}, "bbb");
    fill(queue, {Standing::unknown, 2, 2}, "uuuuu");
    fill(queue, {Standing::good, 3, 3}, "gggggggggg");
    EXPECT_EQ(drain(queue), "guggbgguguggbgguub");
}

TEST(FairQueue, RefusesTheLastOfTheLargestShare) {
    FairQueue<char> queue(4);
    fill(queue, kAlice, "abc");
    fill(queue, kBob, "1");
    EXPECT_EQ(queue.push(kBob, '2'), 'c');
    EXPECT_EQ(queue.push(kAlice, 'd'), 'd');
    EXPECT_EQ(drain(queue), "a1b2");
}

TEST(FairQueue, RefusesTheWorstStandingFirst) {
    FairQueue<char> queue(3);
    fill(queue, {Standing::bad, 1, 1}, "b");
    fill(queue, {Standing::unknown, 2, 2}, "uv");
    EXPECT_EQ(queue.push({Standing::good, 2, 2}, 'g'), 'b');
    EXPECT_EQ(queue.push({Standing::bad, 3, 3}, 'c'), 'c');
    EXPECT_EQ(queue.push({Standing::good, 2, 2}, 'h'), 'v');
    EXPECT_EQ(queue.size(), 3u);
}

TEST(FairQueue, AShareWithoutJobsIsForgotten) {
    FairQueue<char> queue(10);
    fill(queue, kAlice, "a");
    EXPECT_EQ(drain(queue), "a");
    fill(queue, kBob, "1");
    fill(queue, kAlice, "b");  // behind Bob now
    EXPECT_EQ(drain(queue), "1b");
}

}  // namespace
}  // namespace poplar
