// poplar-micro-count: runs one workload so many times, for bench/regress to count instructions. Without arguments:
// lists them.
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>

#include "bench/micro/workloads.h"

int main(int argc, char** argv) {
    auto workloads = poplar::bench::make_workloads();
    for (const auto& workload : workloads) {
        if (argc < 3) {
            fmt::print("{}\n", workload.name);
        } else if (workload.name == std::string_view(argv[1])) {
            for (long i = std::atol(argv[2]); i > 0; --i) workload.once();
            return 0;
        }
    }
    return argc < 3 ? 0 : 2;
}
