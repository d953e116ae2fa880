// Reads and writes durations, sizes and times as people write them.
#include "base/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <limits>
#include <vector>

#include "base/ascii.h"

namespace poplar {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t factor;
};

constexpr Unit kDurations[] = {{"w", 604'800'000}, {"d", 86'400'000}, {"h", 3'600'000},
                               {"m", 60'000},      {"s", 1'000},      {"ms", 1}};
constexpr Unit kSizes[] = {{"TiB", 1ull << 40},
                           {"TB", 1'000'000'000'000},
                           {"GiB", 1ull << 30},
                           {"GB", 1'000'000'000},
                           {"MiB", 1ull << 20},
                           {"MB", 1'000'000},
                           {"KiB", 1ull << 10},
                           {"kB", 1'000},
                           {"B", 1}};

// Takes digits off the front of `text`. False: none, or too many.
bool take_number(std::string_view& text, std::uint64_t& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    auto wrong = [&] {
        return fail(Errc::invalid, fmt::format("\"{}\" is not a duration like \"30s\" or \"10m\"", text));
    };
    auto rest = text;
    std::uint64_t total = 0;
    bool first = true;
    do {
        std::uint64_t number = 0;
        if (!take_number(rest, number)) return wrong();
        auto letters = rest.substr(0, std::min(rest.find_first_of("0123456789"), rest.size()));
        rest.remove_prefix(letters.size());
        std::uint64_t factor = 0;
        if (letters.empty() && first && rest.empty()) factor = 1'000;
        for (const auto& unit : kDurations)
            if (letters == unit.name) factor = unit.factor;
        if (factor == 0 || number > kMost / factor || total > kMost - number * factor) return wrong();
        total += number * factor;
        first = false;
    } while (!rest.empty());
    return std::chrono::milliseconds(total);
}

Result<std::uint64_t> parse_size(std::string_view text) {
    auto wrong = [&] {
        return fail(Errc::invalid, fmt::format("\"{}\" is not a size like \"50MB\" or \"64MiB\"", text));
    };
    auto rest = text;
    std::uint64_t number = 0;
    if (!take_number(rest, number)) return wrong();
    while (rest.starts_with(' ')) rest.remove_prefix(1);
    std::uint64_t factor = rest.empty() ? 1 : 0;
    for (const auto& unit : kSizes)
        if (ascii::same(rest, unit.name)) factor = unit.factor;
    if (factor == 0 || number > kMost / factor) return wrong();
    return number * factor;
}

std::string format_duration(std::chrono::milliseconds value) {
    auto left = static_cast<std::uint64_t>(std::max<std::int64_t>(value.count(), 0));
    if (left == 0) return "0s";
    std::string text;
    for (const auto& unit : kDurations) {
        if (unit.name == "w") continue;
        if (left >= unit.factor) text += fmt::format("{}{}", left / unit.factor, unit.name);
        left %= unit.factor;
    }
    return text;
}

std::string format_size(std::uint64_t octets) {
    auto shortest = std::to_string(octets);
    if (octets == 0) return shortest;
    for (const auto& unit : kSizes) {
        if (unit.factor == 1 || octets % unit.factor != 0) continue;
        auto text = fmt::format("{}{}", octets / unit.factor, unit.name);
        if (text.size() < shortest.size()) shortest = std::move(text);
    }
    return shortest;
}

std::string human_size(std::uint64_t octets) {
    if (octets < 1000) return fmt::format("{} B", octets);
    auto value = static_cast<double>(octets);
    for (std::string_view unit : {"kB", "MB", "GB", "TB"}) {
        value /= 1000;
        if (value < 999.5 || unit == "TB") return fmt::format("{:.{}f} {}", value, value < 9.95 ? 1 : 0, unit);
    }
    return {};
}

std::string human_duration(std::chrono::seconds value) {
    auto s = value.count();
    if (s < 60) return fmt::format("{} s", s);
    if (s < 3600) return fmt::format("{} min", s / 60);
    if (s < 86'400) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
    return fmt::format("{} d {} h", s / 86'400, s % 86'400 / 3600);
}

std::string human_time(Timestamp time) {
    std::time_t whole = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
    std::tm utc{};
    gmtime_r(&whole, &utc);
    return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            auto above = row[j];
            row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

}  // namespace poplar
