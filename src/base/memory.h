#pragma once
// How much memory there is, for defaults that grow with it.
#include <cstdint>
#include <filesystem>

namespace poplar {

/// Octets of memory that this process may count on: the machine's, or less where a control group (cgroup v2, as
/// systemd's MemoryMax= and containers have it) or one of its parents allows less. `root` is where /proc and /sys lie;
/// tests have another.
std::uint64_t memory_at_hand(const std::filesystem::path& root = "/");

}  // namespace poplar
