#pragma once
// Dates as messages have them.
#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace poplar::mail {

inline constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::array<std::string_view, 7> kWeekdays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

/// A moment, and the zone that it is told in.
struct ZonedTime {
    std::chrono::sys_seconds time{};
    std::chrono::minutes zone{};  ///< east of UTC
};

/// "+0130" as minutes east of UTC.
std::optional<std::chrono::minutes> parse_zone(std::string_view text);
/// The date that a header field is, or that stands behind its last semicolon (RFC 5322 s3.3, with obsolete forms).
/// Nothing: there is none, or no calendar has it.
std::optional<ZonedTime> parse_mail_date(std::string_view field);
/// RFC 3339 s5.6.
std::optional<ZonedTime> parse_iso8601(std::string_view text);

}  // namespace poplar::mail
