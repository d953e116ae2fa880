#pragma once
// Dates as the tests `date` and `currentdate` see them (RFC 5260).
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace poplar::sieve {

/// A moment, and the zone that it is told in.
struct ZonedTime {
    std::chrono::sys_seconds time{};
    std::chrono::minutes zone{};  ///< east of UTC
};

/// The date that a header field is, or that stands behind its last semicolon (RFC 5322 s3.3, with obsolete forms).
/// Nothing: there is none, or no calendar has it.
std::optional<ZonedTime> parse_mail_date(std::string_view field);
/// RFC 3339 s5.6.
std::optional<ZonedTime> parse_iso8601(std::string_view text);

enum class DatePart : std::uint8_t {
    year,
    month,
    day,
    date,
    julian,
    hour,
    minute,
    second,
    time,
    iso8601,
    std11,
    zone,
    weekday
};
std::optional<DatePart> find_date_part(std::string_view name);
std::string format(DatePart part, const ZonedTime& time);

}  // namespace poplar::sieve
