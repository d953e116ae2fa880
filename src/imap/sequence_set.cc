#include "imap/sequence_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>

namespace poplar::imap {

std::optional<SequenceSet> SequenceSet::parse(Cursor& in) {
    auto behind = in;
    SequenceSet set;
    std::size_t count = 0;
    do {
        if (++count > kMostRanges) return std::nullopt;
        const bool first_star = behind.take('*');
        const auto first = first_star ? std::optional<std::uint32_t>(0) : behind.nonzero();
        if (!first) return std::nullopt;
        auto last = first;
        bool last_star = first_star;
        if (behind.take(':')) {
            last_star = behind.take('*');
            last = last_star ? std::optional<std::uint32_t>(0) : behind.nonzero();
            if (!last) return std::nullopt;
        }
        if (first_star || last_star)
            set.stars_.push_back(std::max(*first, *last));
        else
            set.ranges_.push_back({std::min(*first, *last), std::max(*first, *last)});
    } while (behind.take(','));
    set.normalize();
    in = behind;
    return set;
}

void SequenceSet::normalize() {
    const auto sorted = [](const Range& a, const Range& b) { return a.first < b.first; };
    if (!std::ranges::is_sorted(ranges_, sorted)) std::ranges::sort(ranges_, sorted);
    std::size_t kept = 0;
    for (const auto& range : ranges_)
        if (kept > 0 && range.first <= std::uint64_t{ranges_[kept - 1].last} + 1)
            ranges_[kept - 1].last = std::max(ranges_[kept - 1].last, range.last);
        else
            ranges_[kept++] = range;
    ranges_.resize(kept);
}

void SequenceSet::resolve(std::uint32_t greatest) {
    for (const auto end : stars_) {
        const auto other = end == 0 ? greatest : end;
        if (greatest != 0) ranges_.push_back({std::min(other, greatest), std::max(other, greatest)});
    }
    stars_.clear();
    normalize();
}

bool SequenceSet::contains(std::uint32_t number) const {
    const auto found = std::ranges::lower_bound(ranges_, number, {}, &Range::last);
    return found != ranges_.end() && found->first <= number;
}

void SequenceSet::append(std::uint32_t number) {
    if (!ranges_.empty() && std::uint64_t{ranges_.back().last} + 1 == number)
        ranges_.back().last = number;
    else
        ranges_.push_back({number, number});
}

std::string SequenceSet::text() const {
    std::string out;
    for (const auto& [first, last] : ranges_) {
        if (!out.empty()) out += ',';
        if (first == last)
            fmt::format_to(std::back_inserter(out), "{}", first);
        else
            fmt::format_to(std::back_inserter(out), "{}:{}", first, last);
    }
    return out;
}

}  // namespace poplar::imap
