#include "bench/load/statistics.h"

#include <algorithm>

namespace poplar::bench {

void Histogram::record(std::chrono::nanoseconds duration) {
    auto nanoseconds = static_cast<std::uint64_t>(std::max<std::int64_t>(0, duration.count()));
    ++count_;
    sum_ += nanoseconds;
    longest_ = std::max(longest_, nanoseconds);
    // Below 64: each value its class. Above: 64 classes for each doubling.
    auto value = nanoseconds / 16;
    unsigned shift = value < kSteps ? 0 : static_cast<unsigned>(std::bit_width(value)) - 6;
    std::size_t index = shift == 0 ? value : shift * (kSteps / 2) + (value >> shift);
    ++classes_[std::min(index, classes_.size() - 1)];
}

void Histogram::merge(const Histogram& other) {
    for (std::size_t i = 0; i < classes_.size(); ++i) classes_[i] += other.classes_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    longest_ = std::max(longest_, other.longest_);
}

double Histogram::percentile(double part) const {
    auto wanted = static_cast<std::uint64_t>(part * static_cast<double>(count_));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        seen += classes_[i];
        if (seen <= wanted) continue;
        double value = static_cast<double>(i);
        if (i >= kSteps) {
            auto shift = i / (kSteps / 2) - 1;
            value = (static_cast<double>(i - shift * (kSteps / 2)) + 0.5) * static_cast<double>(1ULL << shift);
        }
        return std::min(value * 16 / 1000.0, longest());
    }
    return longest();
}

void Statistics::merge(const Statistics& other) {
    operations.merge(other.operations);
    sessions.merge(other.sessions);
    completed += other.completed;
    failed += other.failed;
    octets += other.octets;
    resumed += other.resumed;
    full_handshakes += other.full_handshakes;
    verified += other.verified;
    unmarked += other.unmarked;
    for (const auto& [kind, count] : other.errors) errors[kind] += count;
}

}  // namespace poplar::bench
