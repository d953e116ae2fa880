// poplar-micro: the hot functions under Google Benchmark. `poplar-micro --benchmark_filter=wire` chooses.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/micro/workloads.h"

int main(int argc, char** argv) {
    auto workloads = poplar::bench::make_workloads();
    for (auto& workload : poplar::bench::make_disk_workloads()) workloads.push_back(std::move(workload));
    for (const auto& workload : workloads)
        benchmark::RegisterBenchmark(workload.name.c_str(), [&workload](benchmark::State& state) {
            for (auto _ : state) workload.once();
            if (workload.octets > 0)
                state.SetBytesProcessed(static_cast<std::int64_t>(workload.octets) * state.iterations());
        });
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
