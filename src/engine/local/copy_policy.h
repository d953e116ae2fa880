#pragma once
// Says which segments are worth copying. Pure: sizes in, a choice out.
#include <cstdint>
#include <optional>
#include <span>

#include "engine/local/record.h"

namespace poplar::engine::local {

struct CopyCandidate {
    SegmentId id;
    std::uint64_t last = 0;
    std::uint64_t used = 0;  ///< octets of the disk
    std::uint64_t live = 0;  ///< octets that count, as far as is known
    bool free = true;        ///< may be copied
};

struct CopyRules {
    std::uint64_t dead_percent = 15;  ///< 1 to 90: how much of the log's space may hold nothing that counts
    std::uint64_t segment_size = 0;   ///< octets; a copy does not get larger
    std::uint64_t room = 0;           ///< octets the disk has for a copy

    /// At most this many octets are copied for each that comes back: what a segment with just dead_percent costs.
    double most_copied_per_freed() const {
        return static_cast<double>(100 - dead_percent) / static_cast<double>(dead_percent);
    }
};

struct CopyChoice {
    std::size_t first = 0, count = 0;  ///< of the candidates
};

/// `candidates`: all files of the log but the one being written, in its order. Chooses neighbours to copy into one
/// file: the segment with the greatest dead share, and those beside it that join it cheaply. Chooses nothing while
/// little enough is dead in all and no segment is almost empty, or if no copy is worth it.
std::optional<CopyChoice> choose_copy(std::span<const CopyCandidate> candidates, const CopyRules& rules);

/// Whether copying `live` octets to get back the others of `used` is within the rules.
bool worth_copying(std::uint64_t used, std::uint64_t live, const CopyRules& rules);

}  // namespace poplar::engine::local
