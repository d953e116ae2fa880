#include "base/background.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "base/log.h"

namespace poplar {
namespace {

// Answers `call` with EPERM, for this thread alone, as systemd's SystemCallFilter does for a service.
void forbid(unsigned call) {
    sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),  // the number of the call
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter{std::size(program), program};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter), 0);
}

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

TEST(BackgroundThread, SaysOnceThatItMayNotGiveWay) {
    std::string pattern = (std::filesystem::temp_directory_path() / "poplar-log-XXXXXX").string();
    const std::filesystem::path directory = mkdtemp(pattern.data());
    log::configure(log::Level::info, log::Format::text, directory / "log");
    for (unsigned call : {SYS_setpriority, SYS_sched_setscheduler})
        std::thread([call] {
            forbid(call);
            become_background_thread("background");
        }).join();
    log::configure(log::Level::info, log::Format::text, "");
    std::ifstream in(directory / "log");
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_TRUE(
        text.contains(" warning server.background_not_nice thread=background reason=\"Operation not permitted\""))
        << text;
    EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
    std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace poplar
