#pragma once
// SORT (RFC 5256 s3, RFC 5957).
#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "imap/cursor.h"
#include "mail/structure.h"

namespace poplar::imap {

struct SortCriterion {
    enum class Key : std::uint8_t { arrival, cc, date, display_from, display_to, from, size, subject, to };
    Key key = Key::arrival;
    bool reverse = false;
    bool operator==(const SortCriterion&) const = default;
};

/// Takes `(REVERSE SUBJECT DATE)`. Errors: invalid, with a text for the client.
Result<std::vector<SortCriterion>> parse_sort_criteria(Cursor& in);

/// Whether structures are wanted for it, beside records.
bool needs_structure(const std::vector<SortCriterion>& criteria);

/// The keys that a message is sorted by. Take one a message; octets of long values are cut.
struct SortEntry {
    std::uint32_t number = 0;  ///< its message number, by which equals are sorted
    std::uint32_t uid = 0;
    std::vector<std::int64_t> numbers = {};  ///< dates and sizes, in the criteria's order
    std::vector<std::string> texts = {};     ///< texts, in the criteria's order
};
/// `structure` may be null if none is needed.
SortEntry sort_entry(const std::vector<SortCriterion>& criteria, std::uint32_t number, std::uint32_t uid,
                     Timestamp received, std::uint64_t octets, const mail::Structure* structure);

void sort(std::vector<SortEntry>& entries, const std::vector<SortCriterion>& criteria);

/// When it was sent (RFC 5256 s2.2), in seconds since 1970 UTC: its Date, else when it was received.
std::int64_t sent_time(const mail::Structure& structure, Timestamp received);

}  // namespace poplar::imap
