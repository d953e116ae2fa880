#pragma once
// PARTIAL's ranges of results (RFC 9394): `1:500`, or `-1:-500` from the last one on.
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "imap/cursor.h"

namespace poplar::imap {

struct ResultRange {
    std::uint32_t first = 1, last = 1;  ///< from 1; first <= last
    bool from_end = false;              ///< 1 is the last result
    bool operator==(const ResultRange&) const = default;

    /// Those of `all`, which ascend, that are in it.
    std::span<const std::uint32_t> of(std::span<const std::uint32_t> all) const;
    /// As a response says it.
    std::string text() const;
};
/// Takes one. Nothing: there is none, and `in` may be anywhere.
std::optional<ResultRange> parse_result_range(Cursor& in);

}  // namespace poplar::imap
