#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace poplar {

namespace {

// The line "0::/system.slice/poplar.service" of /proc/self/cgroup; without the slash in front.
std::filesystem::path own_group(const std::filesystem::path& root) {
    std::ifstream groups(root / "proc/self/cgroup");
    for (std::string line; std::getline(groups, line);)
        if (line.starts_with("0::/")) return line.substr(4);
    return {};
}

// "max" where nothing is limited; the root group has no such file.
std::uint64_t limit_of(const std::filesystem::path& group) {
    std::ifstream file(group / "memory.max");
    std::uint64_t octets = 0;
    return file >> octets ? octets : std::numeric_limits<std::uint64_t>::max();
}

}  // namespace

std::uint64_t memory_at_hand(const std::filesystem::path& root) {
    std::uint64_t octets =
        std::uint64_t(std::max(0l, sysconf(_SC_PHYS_PAGES))) * std::uint64_t(std::max(0l, sysconf(_SC_PAGESIZE)));
    auto group = root / "sys/fs/cgroup";
    octets = std::min(octets, limit_of(group));
    for (const auto& part : own_group(root)) {
        group /= part;
        octets = std::min(octets, limit_of(group));
    }
    return octets;
}

}  // namespace poplar
