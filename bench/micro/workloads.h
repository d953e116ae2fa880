#pragma once
// The hot functions, each as something that can be done again and again: timed by poplar-micro, counted in
// instructions by bench/regress.
#include <functional>
#include <string>
#include <vector>

namespace poplar::bench {

struct Workload {
    std::string name;
    std::function<void()> once;
    std::size_t octets = 0;  ///< that it goes through, for a rate; 0: none
};

/// Prepares those that need nothing but the processor: they take the same instructions each time.
std::vector<Workload> make_workloads();
/// Those on a disk, in a folder of their own.
std::vector<Workload> make_disk_workloads();

}  // namespace poplar::bench
