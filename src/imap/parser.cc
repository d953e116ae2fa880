// The words of a command, and sets of numbers.
#include "imap/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>

#include "base/ascii.h"

namespace poplar::imap {

namespace {

constexpr std::uint64_t kMost64 = std::numeric_limits<std::int64_t>::max();
constexpr int kDepth = 32;  // lists within each other that skip_value() passes over

bool is_quoted_char(char c) { return c != '\r' && c != '\n' && c != '\0'; }

// RFC 9051 s9: ABNF's CTL, and no 8-bit octets outside of strings; rev2 and UTF8=ACCEPT bring UTF-8 in quoted strings.
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::optional<std::uint64_t> digits(std::string_view text, std::uint64_t most) {
    if (text.empty()) return std::nullopt;
    std::uint64_t value = 0;
    for (char c : text) {
        if (!ascii::is_digit(c)) return std::nullopt;
        const auto digit = static_cast<std::uint64_t>(c - '0');
        if (value > (most - digit) / 10) return std::nullopt;
        value = value * 10 + digit;
    }
    return value;
}

}  // namespace

bool is_atom_char(char c) {
    if (is_control(c) || static_cast<unsigned char>(c) > 0x7f) return false;
    return !std::string_view("(){ %*\"\\]").contains(c);
}

std::optional<LiteralMark> literal_at_end(std::string_view line) {
    if (!line.ends_with('}')) return std::nullopt;
    auto open = line.rfind('{');
    if (open == line.npos) return std::nullopt;
    auto inside = line.substr(open + 1, line.size() - open - 2);
    LiteralMark mark;
    mark.at = open;
    if (inside.ends_with('+')) {
        mark.waits = false;
        inside.remove_suffix(1);
    }
    if (inside.empty() || !std::ranges::all_of(inside, ascii::is_digit)) return std::nullopt;
    mark.octets = digits(inside, kMost64).value_or(kMost64);
    if (open > 0 && line[open - 1] == '~') {
        mark.binary = true;
        --mark.at;
    }
    return mark;
}

std::vector<NumberRange> joined(std::vector<NumberRange> ranges) {
    const auto by_first = [](const NumberRange& a, const NumberRange& b) { return a.first < b.first; };
    if (!std::ranges::is_sorted(ranges, by_first)) std::ranges::sort(ranges, by_first);
    std::vector<NumberRange> out;
    for (const auto& range : ranges) {
        if (!out.empty() && range.first <= std::uint64_t(out.back().last) + 1)
            out.back().last = std::max(out.back().last, range.last);
        else
            out.push_back(range);
    }
    return out;
}

std::vector<NumberRange> SequenceSet::resolve(std::uint32_t star) const {
    std::vector<NumberRange> numbers;
    numbers.reserve(ranges.size());
    for (auto [first, last] : ranges) {
        if (first == kStar) first = star;
        if (last == kStar) last = star;
        if (first == 0) first = last;
        if (last == 0) last = first;
        if (first != 0) numbers.push_back({std::min(first, last), std::max(first, last)});
    }
    return joined(std::move(numbers));
}

bool SequenceSet::passes(std::uint32_t count) const {
    const auto beyond = [count](std::uint32_t number) { return number == kStar ? count == 0 : number > count; };
    return std::ranges::any_of(ranges, [&](const Given& one) { return beyond(one.first) || beyond(one.last); });
}

bool contains(const std::vector<NumberRange>& ranges, std::uint32_t number) {
    const auto at = std::ranges::lower_bound(ranges, number, {}, &NumberRange::last);
    return at != ranges.end() && at->first <= number;
}

std::string to_set(const std::vector<NumberRange>& ranges) {
    std::string text;
    for (const auto& range : ranges) {
        if (!text.empty()) text += ',';
        fmt::format_to(std::back_inserter(text), "{}", range.first);
        if (range.last != range.first) fmt::format_to(std::back_inserter(text), ":{}", range.last);
    }
    return text;
}

void append_number(std::vector<NumberRange>& ranges, std::uint32_t number) {
    if (!ranges.empty() && ranges.back().last + 1 == number)
        ranges.back().last = number;
    else
        ranges.push_back({number, number});
}

template <class Is>
std::string_view Parser::run(Is is) {
    const auto end = std::ranges::find_if_not(left_, is);
    const auto found = left_.substr(0, static_cast<std::size_t>(end - left_.begin()));
    left_.remove_prefix(found.size());
    return found;
}

bool Parser::take(char octet) {
    if (left_.empty() || left_.front() != octet) return false;
    left_.remove_prefix(1);
    return true;
}

bool Parser::word(std::string_view wanted) {
    if (!ascii::starts_with(left_, wanted)) return false;
    if (left_.size() > wanted.size() && is_atom_char(left_[wanted.size()]) && is_atom_char(wanted.back())) return false;
    left_.remove_prefix(wanted.size());
    return true;
}

std::optional<std::string_view> Parser::atom() {
    const auto found = run(is_atom_char);
    if (found.empty()) return std::nullopt;
    return found;
}

std::optional<std::string_view> Parser::astring_atom() {
    const auto found = run([](char c) { return is_atom_char(c) || c == ']'; });
    if (found.empty()) return std::nullopt;
    return found;
}

std::optional<std::string_view> Parser::tag() {
    const auto found = run([](char c) { return (is_atom_char(c) || c == ']') && c != '+'; });
    if (found.empty()) return std::nullopt;
    return found;
}

std::optional<std::string> Parser::quoted() {
    if (!take('"')) return std::nullopt;
    std::string out;
    while (!left_.empty()) {
        const char c = left_.front();
        left_.remove_prefix(1);
        if (c == '"') return out;
        if (!is_quoted_char(c)) return std::nullopt;
        if (c != '\\') {
            out += c;
            continue;
        }
        if (left_.empty() || (left_.front() != '"' && left_.front() != '\\')) return std::nullopt;
        out += left_.front();
        left_.remove_prefix(1);
    }
    return std::nullopt;
}

std::optional<std::string> Parser::literal() {
    const bool binary = take('~');
    const auto end = left_.find("\r\n");
    if (end == left_.npos) return std::nullopt;
    const auto mark = literal_at_end(left_.substr(0, end));
    if (!mark || mark->at != 0 || mark->octets > left_.size() - end - 2) return std::nullopt;
    std::string out(left_.substr(end + 2, mark->octets));
    if (!binary && out.contains('\0')) return std::nullopt;
    left_.remove_prefix(end + 2 + out.size());
    return out;
}

std::optional<std::string> Parser::string() { return peek() == '"' ? quoted() : literal(); }

std::optional<std::string> Parser::astring() {
    if (peek() == '"' || peek() == '{' || peek() == '~') {
        if (peek() == '~' && !left_.substr(1).starts_with('{')) return std::string(*astring_atom());
        return string();
    }
    auto found = astring_atom();
    if (!found) return std::nullopt;
    return std::string(*found);
}

std::optional<std::string> Parser::nstring() {
    if (peek() == '"' || peek() == '{' || peek() == '~') return string();
    if (!word("NIL")) return std::nullopt;
    return std::string();
}

std::optional<std::uint64_t> Parser::number64() { return digits(run(ascii::is_digit), kMost64); }

std::optional<std::uint32_t> Parser::number() {
    auto value = digits(run(ascii::is_digit), std::numeric_limits<std::uint32_t>::max());
    if (!value) return std::nullopt;
    return static_cast<std::uint32_t>(*value);
}

// RFC 9051 s9: no leading zero.
std::optional<std::uint32_t> Parser::nz_number() {
    if (peek() == '0') return std::nullopt;
    return number();
}

std::optional<SequenceSet> Parser::sequence_set() {
    SequenceSet set;
    if (take('$')) {
        set.saved = true;
        return set;
    }
    const auto one = [this]() -> std::optional<std::uint32_t> {
        if (take('*')) return SequenceSet::kStar;
        return nz_number();
    };
    do {
        const auto first = one();
        if (!first) return std::nullopt;
        auto last = first;
        if (take(':')) {
            last = one();
            if (!last) return std::nullopt;
        }
        set.ranges.push_back({*first, *last});
    } while (take(','));
    return set;
}

std::optional<std::string> Parser::list_mailbox() {
    if (peek() == '"' || peek() == '{') return string();
    const auto found = run([](char c) {
        return is_atom_char(c) || c == ']' || c == '%' || c == '*' || static_cast<unsigned char>(c) > 0x7f;
    });
    if (found.empty()) return std::nullopt;
    return std::string(found);
}

std::optional<std::string> Parser::flag() {
    std::string name;
    if (take('\\')) name = "\\";
    const auto found = atom();
    if (!found) return std::nullopt;
    return name.append(*found);
}

std::optional<std::vector<std::string>> Parser::flag_list() {
    if (!take('(')) return std::nullopt;
    std::vector<std::string> flags;
    if (take(')')) return flags;
    do {
        auto one = flag();
        if (!one) return std::nullopt;
        flags.push_back(std::move(*one));
    } while (space());
    if (!take(')')) return std::nullopt;
    return flags;
}

std::optional<std::int64_t> Parser::date_time() {
    const auto text = quoted();
    if (!text || text->size() != 26) return std::nullopt;
    const std::string_view t = *text;
    static constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                                 "jul", "aug", "sep", "oct", "nov", "dec"};
    const auto month = std::ranges::find_if(kMonths, [&](std::string_view m) { return ascii::same(m, t.substr(3, 3)); });
    const auto day = digits(t[0] == ' ' ? t.substr(1, 1) : t.substr(0, 2), 31);
    const auto year = digits(t.substr(7, 4), 9999);
    const auto hour = digits(t.substr(12, 2), 23), minute = digits(t.substr(15, 2), 59),
               second = digits(t.substr(18, 2), 60);
    const auto zone_hours = digits(t.substr(22, 2), 99), zone_minutes = digits(t.substr(24, 2), 59);
    if (month == kMonths.end() || !day || !year || !hour || !minute || !second || !zone_hours || !zone_minutes)
        return std::nullopt;
    if (t[2] != '-' || t[6] != '-' || t[11] != ' ' || t[14] != ':' || t[17] != ':' || t[20] != ' ')
        return std::nullopt;
    if (t[21] != '+' && t[21] != '-') return std::nullopt;
    using namespace std::chrono;
    const year_month_day date(std::chrono::year(static_cast<int>(*year)),
                              std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1),
                              std::chrono::day(static_cast<unsigned>(*day)));
    if (!date.ok()) return std::nullopt;
    const auto zone = static_cast<std::int64_t>(*zone_hours * 60 + *zone_minutes) * 60 * (t[21] == '-' ? -1 : 1);
    const auto seconds = static_cast<std::int64_t>(sys_days(date).time_since_epoch().count()) * 86'400 +
                         static_cast<std::int64_t>(*hour * 3600 + *minute * 60 + *second) - zone;
    return seconds * 1000;
}

bool Parser::skip_value() {
    int depth = 0;
    do {
        if (take('(')) {
            if (++depth > kDepth) return false;
            if (peek() != ')') continue;
        }
        while (depth > 0 && peek() == ')') {
            take(')');
            --depth;
        }
        if (depth == 0 && (at_end() || peek() == ' ')) return true;
        if (peek() == ' ') {
            take(' ');
            continue;
        }
        const bool passed = peek() == '"' || peek() == '{' ? string().has_value() : flag().has_value();
        if (!passed) return false;
        while (depth > 0 && take(')')) --depth;
        if (depth > 0 && !space()) return false;
    } while (depth > 0);
    return true;
}

}  // namespace poplar::imap
