#include "base/background.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

namespace poplar {
namespace {

TEST(BackgroundThread, GivesWayAndNobodyElseDoes) {
    const int before = getpriority(PRIO_PROCESS, 0);
    int there = before, policy = SCHED_OTHER;
    std::thread thread([&] {
        become_background_thread("background");
        there = getpriority(PRIO_PROCESS, 0);
        policy = sched_getscheduler(0);
    });
    thread.join();
    EXPECT_EQ(there, std::min(before + 10, 19));
    EXPECT_EQ(policy, SCHED_BATCH);
    EXPECT_EQ(getpriority(PRIO_PROCESS, 0), before);
    EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

}  // namespace
}  // namespace poplar
