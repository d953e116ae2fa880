#pragma once
// The figures of a run: counts, latencies, errors by kind. One thread writes, its loop's; the totals are atomic so that
// the progress line can look on.
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace poplar::bench {

/// Durations in classes of 3 % width, from 16 ns to hours; recording one costs nanoseconds.
class Histogram {
public:
    void record(std::chrono::nanoseconds duration);
    void merge(const Histogram& other);
    std::uint64_t count() const { return count_; }
    /// In microseconds: what `part` of all (0.5, 0.99) were not over; the mean; the longest.
    double percentile(double part) const;
    double mean() const { return count_ == 0 ? 0 : static_cast<double>(sum_) / 1000.0 / static_cast<double>(count_); }
    double longest() const { return static_cast<double>(longest_) / 1000.0; }

private:
    static constexpr unsigned kSteps = 64;
    std::array<std::uint32_t, kSteps * 36> classes_{};
    std::uint64_t count_ = 0, sum_ = 0, longest_ = 0;
};

struct Statistics {
    Histogram operations;  ///< a poll, a message fetched, a message delivered
    Histogram sessions;    ///< from connect to the end
    std::atomic<std::uint64_t> completed{0}, failed{0}, octets{0};
    std::uint64_t resumed = 0, full_handshakes = 0, verified = 0, unmarked = 0;
    std::map<std::string, std::uint64_t> errors;

    void merge(const Statistics& other);
};

}  // namespace poplar::bench
