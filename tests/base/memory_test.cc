#include "base/memory.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/temp_dir.h"

namespace poplar {
namespace {

void put(const std::filesystem::path& file, std::string_view text) {
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

TEST(MemoryAtHand, IsTheLeastThatAControlGroupOrItsParentsAllow) {
    test::TempDir root;
    const auto machine = memory_at_hand(root.path());
    EXPECT_GT(machine, 64u << 20) << "no control groups: the machine's";

    put(root.path() / "proc/self/cgroup", "1:name=systemd:/elsewhere\n0::/system.slice/poplar.service\n");
    put(root.path() / "sys/fs/cgroup/system.slice/poplar.service/memory.max", "max\n");
    EXPECT_EQ(memory_at_hand(root.path()), machine);
    put(root.path() / "sys/fs/cgroup/system.slice/memory.max", "50331648\n");
    EXPECT_EQ(memory_at_hand(root.path()), 48u << 20);
    put(root.path() / "sys/fs/cgroup/system.slice/poplar.service/memory.max", "16777216\n");
    EXPECT_EQ(memory_at_hand(root.path()), 16u << 20);
    put(root.path() / "proc/self/cgroup", "0::/\n");
    EXPECT_EQ(memory_at_hand(root.path()), machine) << "a container's own root";
    put(root.path() / "sys/fs/cgroup/memory.max", "33554432\n");
    EXPECT_EQ(memory_at_hand(root.path()), 32u << 20);
}

}  // namespace
}  // namespace poplar
