#pragma once
// The resources that a server has used, read from /proc: for the processes given and all their descendants.
#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace poplar::bench {

struct Usage {
    double cpu = 0;                  ///< seconds, user and system, of what lives and what was waited for
    double user = 0, system = 0;     ///< the same by the kernel's ticks of 10 ms
    std::uint64_t written = 0;       ///< octets that went to the disk
    std::uint64_t pss = 0, rss = 0;  ///< octets of memory: shared ones divided among their users, or counted by each
    unsigned processes = 0, threads = 0, descriptors = 0;
    std::uint64_t switches = 0;  ///< context switches
};

/// `memory`: reading PSS is slow for large processes; it is not needed for CPU.
enum class WithMemory { no, yes };
Usage usage_of(const std::vector<pid_t>& roots, WithMemory memory);

}  // namespace poplar::bench
