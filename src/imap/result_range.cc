#include "imap/result_range.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace poplar::imap {

std::optional<ResultRange> parse_result_range(Cursor& in) {
    ResultRange range;
    range.from_end = in.take('-');
    const auto first = in.nonzero();
    if (!first || !in.take(':') || in.take('-') != range.from_end) return std::nullopt;
    const auto last = in.nonzero();
    if (!last) return std::nullopt;
    std::tie(range.first, range.last) = std::minmax(*first, *last);
    return range;
}

std::span<const std::uint32_t> ResultRange::of(std::span<const std::uint32_t> all) const {
    if (first > all.size()) return {};
    const auto count = std::min<std::size_t>(last, all.size()) - first + 1;
    return from_end ? all.subspan(all.size() - first + 1 - count, count) : all.subspan(first - 1, count);
}

std::string ResultRange::text() const {
    return from_end ? fmt::format("-{}:-{}", first, last) : fmt::format("{}:{}", first, last);
}

}  // namespace poplar::imap
