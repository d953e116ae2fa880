#include "sieve/dates.h"

#include <fmt/format.h>

#include <array>

#include "base/ascii.h"
#include "mail/date.h"

namespace poplar::sieve {

namespace {

using std::chrono::days;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;

// The first day of the Modified Julian Date.
constexpr sys_days kJulian{std::chrono::year(1858) / 11 / 17};

struct Parts {
    std::chrono::year_month_day date;
    std::chrono::hh_mm_ss<seconds> time;
    sys_days day;
};

Parts parts_of(const ZonedTime& time) {
    const auto local = time.time + time.zone;
    const auto day = std::chrono::floor<days>(local);
    return {day, std::chrono::hh_mm_ss<seconds>(local - day), day};
}

std::string zone_text(minutes zone, std::string_view between) {
    const auto positive = zone < minutes(0) ? -zone : zone;
    return fmt::format("{}{:02}{}{:02}", zone < minutes(0) ? '-' : '+', positive / std::chrono::hours(1), between,
                       positive.count() % 60);
}

std::optional<ZonedTime> converted(std::optional<mail::ZonedTime> time) {
    if (!time) return std::nullopt;
    return ZonedTime{time->time, time->zone};
}

}  // namespace

std::optional<ZonedTime> parse_mail_date(std::string_view field) { return converted(mail::parse_mail_date(field)); }
std::optional<ZonedTime> parse_iso8601(std::string_view text) { return converted(mail::parse_iso8601(text)); }

std::optional<DatePart> find_date_part(std::string_view name) {
    constexpr std::array<std::string_view, 13> kNames = {"year",  "month",  "day",    "date", "julian",
                                                         "hour",  "minute", "second", "time", "iso8601",
                                                         "std11", "zone",   "weekday"};
    for (std::size_t i = 0; i < kNames.size(); ++i)
        if (ascii::same(kNames[i], name)) return static_cast<DatePart>(i);
    return std::nullopt;
}

std::string format(DatePart part, const ZonedTime& time) {
    const auto local = parts_of(time);
    const int year = static_cast<int>(local.date.year());
    const auto month = static_cast<unsigned>(local.date.month()), day = static_cast<unsigned>(local.date.day());
    const auto hour = local.time.hours().count(), minute = local.time.minutes().count(),
               second = local.time.seconds().count();
    const auto weekday = std::chrono::weekday(local.day).c_encoding();
    switch (part) {
        case DatePart::year: return fmt::format("{:04}", year);
        case DatePart::month: return fmt::format("{:02}", month);
        case DatePart::day: return fmt::format("{:02}", day);
        case DatePart::date: return fmt::format("{:04}-{:02}-{:02}", year, month, day);
        case DatePart::julian: return fmt::format("{}", (local.day - kJulian).count());
        case DatePart::hour: return fmt::format("{:02}", hour);
        case DatePart::minute: return fmt::format("{:02}", minute);
        case DatePart::second: return fmt::format("{:02}", second);
        case DatePart::time: return fmt::format("{:02}:{:02}:{:02}", hour, minute, second);
        case DatePart::iso8601:
            return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{}", year, month, day, hour, minute, second,
                               time.zone == minutes(0) ? "Z" : zone_text(time.zone, ":"));
        case DatePart::std11:
            return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} {}", mail::kWeekdays[weekday], day,
                               mail::kMonths[month - 1], year, hour, minute, second, zone_text(time.zone, ""));
        case DatePart::zone: return zone_text(time.zone, "");
        case DatePart::weekday: return fmt::format("{}", weekday);
    }
    return {};
}

}  // namespace poplar::sieve
