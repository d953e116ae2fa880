#pragma once
// Sets of message numbers and UIDs (RFC 9051 s9, sequence-set).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "imap/cursor.h"

namespace poplar::imap {

/// Ascending ranges that do not touch each other. `*` is kept as such until it is known what it means.
class SequenceSet {
public:
    struct Range {
        std::uint32_t first = 0, last = 0;  ///< both are in it; first <= last
        bool operator==(const Range&) const = default;
    };
    /// As many as are taken from a client; a set of 2 MB, as real clients send it, has about 300,000.
    static constexpr std::size_t kMostRanges = 1'000'000;

    /// Takes a sequence-set, without "$". Nothing: there is none, it has 0, or more ranges than kMostRanges.
    static std::optional<SequenceSet> parse(Cursor& in);

    SequenceSet() = default;
    explicit SequenceSet(std::vector<Range> ranges) : ranges_(std::move(ranges)) { normalize(); }

    /// Gives `*` a meaning: the number of the last message, or the greatest UID; 0: there is no message, and `*` means
    /// nothing. RFC 9051 s9: `*` may be the smaller end, so that 559:* always has the last message.
    void resolve(std::uint32_t greatest);
    bool has_star() const { return !stars_.empty(); }

    /// After resolve().
    bool contains(std::uint32_t number) const;
    const std::vector<Range>& ranges() const { return ranges_; }
    bool empty() const { return ranges_.empty() && stars_.empty(); }
    /// Appends a number that is greater than all in it.
    void append(std::uint32_t number);
    /// `1:3,5`
    std::string text() const;

private:
    void normalize();
    std::vector<Range> ranges_;
    std::vector<std::uint32_t> stars_;  // the other ends of ranges that have a `*`; 0: `*` alone
};

}  // namespace poplar::imap
