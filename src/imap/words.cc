#include "imap/words.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "base/ascii.h"

namespace poplar::imap {

namespace {

constexpr std::uint64_t kMost63 = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kMostFlags = 1000;  // in a list

std::optional<std::uint64_t> digits(std::string_view text, std::uint64_t most) {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (char c : text) {
        if (!ascii::is_digit(c)) return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (digit > most || value > (most - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

template <class Is>
std::string_view take_run(Cursor& in, Is is) {
    const auto rest = in.rest();
    const auto end = std::ranges::find_if_not(rest, is);
    const auto found = rest.substr(0, static_cast<std::size_t>(end - rest.begin()));
    in.skip(found.size());
    return found;
}

bool is_8bit(char c) { return static_cast<unsigned char>(c) > 0x7f; }

std::string in_capitals(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii::upper(c);
    return out;
}

}  // namespace

std::optional<LiteralMark> literal_at_end(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    const auto open = line.rfind('{');
    if (open == line.npos) return std::nullopt;
    auto inside = line.substr(open + 1, line.size() - open - 2);
    LiteralMark mark;
    mark.at = open;
    if (inside.ends_with('+')) {
        mark.waits = false;
        inside.remove_suffix(1);
    }
    if (inside.empty() || !std::ranges::all_of(inside, ascii::is_digit)) return std::nullopt;
    mark.octets = digits(inside, kMost63).value_or(kMost63);
    if (open > 0 && line[open - 1] == '~') {
        mark.binary = true;
        --mark.at;
    }
    return mark;
}

std::optional<std::string_view> parse_tag(Cursor& in) {
    const auto found = take_run(in, [](char c) { return is_astring_char(c) && c != '+'; });
    if (found.empty()) return std::nullopt;
    return found;
}

std::optional<std::string> parse_keyword(Cursor& in) {
    const auto found = in.atom();
    if (!found) return std::nullopt;
    return in_capitals(*found);
}

std::optional<std::uint64_t> parse_number63(Cursor& in) { return digits(take_run(in, ascii::is_digit), kMost63); }

std::optional<std::string> parse_mailbox(Cursor& in) {
    if (in.at('"') || in.at('{')) return in.string();
    const auto found = take_run(in, [](char c) { return is_astring_char(c) || is_8bit(c); });
    if (found.empty()) return std::nullopt;
    return std::string(found);
}

std::optional<std::string> parse_pattern(Cursor& in) {
    if (in.at('"') || in.at('{')) return in.string();
    const auto found = take_run(in, [](char c) { return is_astring_char(c) || c == '%' || c == '*' || is_8bit(c); });
    if (found.empty()) return std::nullopt;
    return std::string(found);
}

std::optional<std::string> parse_flag(Cursor& in) {
    std::string name;
    if (in.take('\\')) name = "\\";
    const auto found = in.atom();
    if (!found) return std::nullopt;
    return name.append(*found);
}

std::optional<std::vector<std::string>> parse_flag_list(Cursor& in) {
    if (!in.take('(')) return std::nullopt;
    std::vector<std::string> flags;
    if (in.take(')')) return flags;
    do {
        auto one = parse_flag(in);
        if (!one || flags.size() == kMostFlags) return std::nullopt;
        flags.push_back(std::move(*one));
    } while (in.space());
    if (!in.take(')')) return std::nullopt;
    return flags;
}

std::optional<std::vector<std::string>> parse_words(Cursor& in) {
    if (!in.take('(')) return std::nullopt;
    std::vector<std::string> words;
    do {
        auto one = parse_keyword(in);
        if (!one || words.size() == kMostFlags) return std::nullopt;
        words.push_back(std::move(*one));
    } while (in.space());
    if (!in.take(')')) return std::nullopt;
    return words;
}

std::optional<Timestamp> parse_date_time(Cursor& in) {
    static constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                                 "jul", "aug", "sep", "oct", "nov", "dec"};
    static constexpr std::string_view kForm = "\"dd-mmm-yyyy hh:mm:ss +zzzz\"";
    if (in.rest().size() < kForm.size()) return std::nullopt;
    const auto t = in.rest().substr(1, kForm.size() - 2);
    if (!in.at('"') || in.rest()[kForm.size() - 1] != '"') return std::nullopt;
    for (std::size_t at : {2, 6, 11, 14, 17, 20})
        if (t[at] != kForm[at + 1]) return std::nullopt;
    if (t[21] != '+' && t[21] != '-') return std::nullopt;
    const auto month =
        std::ranges::find_if(kMonths, [&](std::string_view m) { return ascii::same(m, t.substr(3, 3)); });
    const auto day = digits(t[0] == ' ' ? t.substr(1, 1) : t.substr(0, 2), 31);
    const auto year = digits(t.substr(7, 4), 9999);
    const auto hour = digits(t.substr(12, 2), 23), minute = digits(t.substr(15, 2), 59);
    const auto second = digits(t.substr(18, 2), 60);  // a leap second
    const auto zone_hours = digits(t.substr(22, 2), 99), zone_minutes = digits(t.substr(24, 2), 59);
    if (month == kMonths.end() || !day || !year || !hour || !minute || !second || !zone_hours || !zone_minutes)
        return std::nullopt;
    using namespace std::chrono;
    const year_month_day date{std::chrono::year(static_cast<int>(*year)),
                              std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                              std::chrono::day(static_cast<unsigned>(*day))};
    if (!date.ok()) return std::nullopt;
    const minutes zone(static_cast<int>(*zone_hours * 60 + *zone_minutes));
    in.skip(kForm.size());
    return Timestamp(sys_days(date)) + hours(*hour) + minutes(*minute) + seconds(*second) -
           (t[21] == '-' ? -zone : zone);
}

}  // namespace poplar::imap
