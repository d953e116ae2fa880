#include "engine/local/copy_policy.h"

#include <algorithm>

namespace poplar::engine::local {

namespace {

constexpr std::uint64_t kAlmostEmpty = 90;  // percent dead: worth it whatever the others are like
constexpr std::uint64_t kLeast = 64;        // a segment's share of segment_size to get back, or it is not worth it
constexpr std::uint64_t kSmall = 16;        // a segment's share of segment_size that makes it small
constexpr std::size_t kMostSources = 1024;

std::uint64_t dead(const CopyCandidate& one) { return one.used - std::min(one.used, one.live); }
double dead_share(const CopyCandidate& one) {
    return one.used == 0 ? 0 : static_cast<double>(dead(one)) / static_cast<double>(one.used);
}

}  // namespace

bool worth_copying(std::uint64_t used, std::uint64_t live, const CopyRules& rules) {
    if (used <= live) return false;
    return static_cast<double>(live) <= rules.most_copied_per_freed() * static_cast<double>(used - live);
}

std::optional<CopyChoice> choose_copy(std::span<const CopyCandidate> candidates, const CopyRules& rules) {
    std::uint64_t used = 0, wasted = 0;
    for (const auto& one : candidates) {
        used += one.used;
        wasted += dead(one);
    }
    const bool too_much = wasted * 100 > used * rules.dead_percent;
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const auto& one = candidates[i];
        if (!one.free || dead(one) < rules.segment_size / kLeast || one.live > rules.room ||
            !worth_copying(one.used, one.live, rules))
            continue;
        if (!too_much && dead_share(one) * 100 < kAlmostEmpty) continue;
        if (!best || dead_share(one) > dead_share(candidates[*best])) best = i;
    }
    if (!best) return std::nullopt;

    std::size_t first = *best, last = *best;
    auto run = candidates[*best];
    auto join = [&](std::size_t i, bool adjacent) {
        const auto& one = candidates[i];
        if (!one.free || !adjacent || last - first + 1 >= kMostSources) return false;
        auto joined_used = run.used + one.used, joined_live = run.live + one.live;
        if (joined_live > rules.segment_size || joined_live > rules.room) return false;
        bool small = one.live <= rules.segment_size / kSmall;
        bool alone = worth_copying(one.used, one.live, rules) && (too_much || dead_share(one) * 100 >= kAlmostEmpty);
        if (!alone && !(small && worth_copying(joined_used, joined_live, rules))) return false;
        run.used = joined_used;
        run.live = joined_live;
        return true;
    };
    for (bool grown = true; grown;) {
        grown = false;
        if (first > 0 && join(first - 1, candidates[first - 1].last + 1 == candidates[first].id.number)) {
            --first;
            grown = true;
        }
        if (last + 1 < candidates.size() &&
            join(last + 1, candidates[last].last + 1 == candidates[last + 1].id.number)) {
            ++last;
            grown = true;
        }
    }
    return CopyChoice{first, last - first + 1};
}

}  // namespace poplar::engine::local
