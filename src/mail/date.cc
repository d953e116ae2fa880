#include "mail/date.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/ascii.h"

namespace poplar::mail {

namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::sys_days;

constexpr std::array<std::pair<std::string_view, int>, 10> kZones = {{{"UT", 0},
                                                                      {"GMT", 0},
                                                                      {"EST", -5},
                                                                      {"EDT", -4},
                                                                      {"CST", -6},
                                                                      {"CDT", -5},
                                                                      {"MST", -7},
                                                                      {"MDT", -6},
                                                                      {"PST", -8},
                                                                      {"PDT", -7}}};

std::optional<int> number(std::string_view text, std::size_t least, std::size_t most) {
    if (text.size() < least || text.size() > most) return std::nullopt;
    int value = 0;
    for (const char c : text) {
        if (!ascii::is_digit(c)) return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return value;
}

std::optional<ZonedTime> make(int year, int month, int day, int hour, int minute, int second, minutes zone) {
    const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok() || hour > 23 || minute > 59 || second > 60 || year < 0 || year > 9999) return std::nullopt;
    return ZonedTime{sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - zone, zone};
}

/// Words, numbers and marks, without white space and comments.
std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> out;
    std::size_t depth = 0;
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        if (c == '\\' && depth > 0) {
            at += 2;
        } else if (c == '(') {
            ++depth, ++at;
        } else if (c == ')' && depth > 0) {
            --depth, ++at;
        } else if (depth > 0 || c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            ++at;
        } else {
            std::size_t end = at + 1;
            if (ascii::is_alnum(c) || c == '+' || c == '-')
                while (end < text.size() && ascii::is_alnum(text[end])) ++end;
            out.push_back(text.substr(at, end - at));
            at = end;
        }
        if (out.size() > 16) break;  // more than any date has
    }
    return out;
}

std::optional<minutes> read_zone(std::string_view text) {
    if (auto zone = parse_zone(text)) return zone;
    for (const auto& [name, offset] : kZones)
        if (ascii::same(name, text)) return hours(offset);
    if (text.size() == 1 && ascii::is_alpha(text[0])) return minutes(0);  // RFC 5322 s4.3: military ones mean nothing
    return std::nullopt;
}

std::optional<ZonedTime> read(std::string_view text) {
    const auto words = split(text);
    std::size_t at = 0;
    const auto next = [&]() -> std::string_view { return at < words.size() ? words[at++] : std::string_view(); };
    auto word = next();
    if (!word.empty() && ascii::is_alpha(word[0])) {
        bool known = false;
        for (const auto day : kWeekdays) known |= ascii::same(day, word.substr(0, 3));
        if (!known || next() != ",") return std::nullopt;
        word = next();
    }
    const auto day = number(word, 1, 2);
    const auto month_name = next();
    int month = 0;
    for (std::size_t i = 0; i < kMonths.size(); ++i)
        if (ascii::same(kMonths[i], month_name)) month = static_cast<int>(i) + 1;
    const auto year_text = next();
    auto year = number(year_text, 2, 4);
    if (!day || month == 0 || !year) return std::nullopt;
    if (year_text.size() == 2) *year += *year < 50 ? 2000 : 1900;  // RFC 5322 s4.3
    if (year_text.size() == 3) *year += 1900;
    const auto hour = number(next(), 1, 2);
    if (next() != ":") return std::nullopt;
    const auto minute = number(next(), 1, 2);
    std::optional<int> second = 0;
    auto zone_text = next();
    if (zone_text == ":") {
        second = number(next(), 1, 2);
        zone_text = next();
    }
    const auto zone = zone_text.empty() ? minutes(0) : read_zone(zone_text);
    if (!hour || !minute || !second || !zone || at != words.size()) return std::nullopt;
    return make(*year, month, *day, *hour, *minute, *second, *zone);
}

}  // namespace

std::optional<std::chrono::minutes> parse_zone(std::string_view text) {
    if (text.size() != 5 || (text[0] != '+' && text[0] != '-')) return std::nullopt;
    if (!std::ranges::all_of(text.substr(1), ascii::is_digit)) return std::nullopt;
    const int hours = (text[1] - '0') * 10 + text[2] - '0', minutes = (text[3] - '0') * 10 + text[4] - '0';
    if (minutes > 59) return std::nullopt;
    const std::chrono::minutes offset(hours * 60 + minutes);
    return text[0] == '-' ? -offset : offset;
}

std::optional<ZonedTime> parse_mail_date(std::string_view field) {
    if (const auto semicolon = field.rfind(';'); semicolon != std::string_view::npos)
        if (auto found = read(field.substr(semicolon + 1))) return found;
    return read(field);
}

std::optional<ZonedTime> parse_iso8601(std::string_view text) {
    if (text.size() < 20 || text[4] != '-' || text[7] != '-' || ascii::upper(text[10]) != 'T' || text[13] != ':' ||
        text[16] != ':')
        return std::nullopt;
    const auto part = [&](std::size_t at, std::size_t size) { return number(text.substr(at, size), size, size); };
    const auto year = part(0, 4), month = part(5, 2), day = part(8, 2), hour = part(11, 2), minute = part(14, 2),
               second = part(17, 2);
    auto rest = text.substr(19);
    if (rest.starts_with('.')) {
        std::size_t digits = 1;
        while (digits < rest.size() && ascii::is_digit(rest[digits])) ++digits;
        if (digits == 1) return std::nullopt;
        rest.remove_prefix(digits);
    }
    std::optional<minutes> zone;
    if (rest == "Z" || rest == "z")
        zone = minutes(0);
    else if (rest.size() == 6 && rest[3] == ':')
        zone = parse_zone(std::string(rest.substr(0, 3)) + std::string(rest.substr(4)));
    if (!year || !month || !day || !hour || !minute || !second || !zone) return std::nullopt;
    return make(*year, *month, *day, *hour, *minute, *second, *zone);
}

}  // namespace poplar::mail
