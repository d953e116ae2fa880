#include "bench/load/process.h"

#include <dirent.h>
#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <sstream>
#include <string>

namespace poplar::bench {

namespace {

std::string read_all(const std::string& name) {
    std::ifstream file(name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// The numbers that stand as names in a folder of /proc.
std::vector<pid_t> numbers_in(const std::string& folder) {
    std::vector<pid_t> numbers;
    std::unique_ptr<DIR, decltype([](DIR* dir) { closedir(dir); })> dir(opendir(folder.c_str()));
    while (dirent* entry = dir ? readdir(dir.get()) : nullptr) {
        std::string_view name = entry->d_name;
        pid_t number = 0;
        if (std::from_chars(name.data(), name.data() + name.size(), number).ptr == name.data() + name.size())
            numbers.push_back(number);
    }
    return numbers;
}

/// The fields of /proc/PID/stat from the third on (proc(5)); empty if the process is gone.
std::vector<std::string> stat_fields(pid_t pid) {
    std::string text = read_all(fmt::format("/proc/{}/stat", pid));
    auto behind_name = text.rfind(')');
    if (behind_name == text.npos) return {};
    std::istringstream words(text.substr(behind_name + 1));
    return {std::istream_iterator<std::string>(words), {}};
}

/// The number behind "`key`" at the beginning of a line; 0 if there is none.
std::uint64_t value_of(const std::string& text, const std::string& key) {
    auto at = text.starts_with(key) ? 0 : text.find("\n" + key);
    if (at == text.npos) return 0;
    return std::strtoull(text.c_str() + at + key.size() + (at == 0 ? 0 : 1), nullptr, 10);
}

std::vector<pid_t> with_descendants(const std::vector<pid_t>& roots) {
    std::multimap<pid_t, pid_t> children;
    for (pid_t pid : numbers_in("/proc"))
        if (auto fields = stat_fields(pid); fields.size() > 1) children.emplace(std::stoi(fields[1]), pid);
    std::vector<pid_t> all = roots;
    for (std::size_t i = 0; i < all.size(); ++i)
        for (auto [child, end] = children.equal_range(all[i]); child != end; ++child) all.push_back(child->second);
    return all;
}

/// Seconds a living process has used, to the nanosecond, its ended threads included.
double cpu_clock(pid_t pid) {
    clockid_t clock;
    timespec time{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

}  // namespace

Usage usage_of(const std::vector<pid_t>& roots, WithMemory memory) {
    constexpr std::size_t kUser = 11, kSystem = 12, kChildrenUser = 13, kChildrenSystem = 14, kThreads = 17;
    static const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
    Usage usage;
    for (pid_t pid : roots.empty() ? roots : with_descendants(roots)) {
        auto fields = stat_fields(pid);
        if (fields.size() <= kThreads) continue;
        auto ticks = [&](std::size_t field) { return std::stod(fields[field]) * tick; };
        double reaped = ticks(kChildrenUser) + ticks(kChildrenSystem);
        usage.cpu += cpu_clock(pid) + reaped;
        usage.user += ticks(kUser) + ticks(kChildrenUser);
        usage.system += ticks(kSystem) + ticks(kChildrenSystem);
        ++usage.processes;
        usage.threads += static_cast<unsigned>(std::stoul(fields[kThreads]));
        usage.written += value_of(read_all(fmt::format("/proc/{}/io", pid)), "write_bytes:");
        for (pid_t thread : numbers_in(fmt::format("/proc/{}/task", pid))) {
            auto status = read_all(fmt::format("/proc/{}/task/{}/status", pid, thread));
            usage.switches +=
                value_of(status, "voluntary_ctxt_switches:") + value_of(status, "nonvoluntary_ctxt_switches:");
        }
        if (memory == WithMemory::no) continue;
        auto rollup = read_all(fmt::format("/proc/{}/smaps_rollup", pid));
        usage.pss += value_of(rollup, "Pss:") * 1024;
        usage.rss += value_of(rollup, "Rss:") * 1024;
        usage.descriptors += static_cast<unsigned>(numbers_in(fmt::format("/proc/{}/fd", pid)).size());
    }
    return usage;
}

}  // namespace poplar::bench
