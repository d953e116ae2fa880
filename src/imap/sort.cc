#include "imap/sort.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "mail/address_list.h"
#include "mail/casemap.h"
#include "mail/date.h"
#include "mail/header_walk.h"
#include "mail/thread.h"

namespace poplar::imap {

namespace {

using Key = SortCriterion::Key;
using mail::KeptField;

// Octets of a text that messages are sorted by: what is behind them decides nothing.
constexpr std::size_t kMostOfText = 500;
constexpr std::size_t kMostCriteria = 100;

constexpr std::array<std::pair<std::string_view, Key>, 9> kNames = {{
    {"ARRIVAL", Key::arrival},
    {"CC", Key::cc},
    {"DATE", Key::date},
    {"DISPLAYFROM", Key::display_from},
    {"DISPLAYTO", Key::display_to},
    {"FROM", Key::from},
    {"SIZE", Key::size},
    {"SUBJECT", Key::subject},
    {"TO", Key::to},
}};

bool is_number(Key key) { return key == Key::arrival || key == Key::date || key == Key::size; }

/// RFC 5256 s3, RFC 5957 s3: of the first address, the local part, or what is shown of it.
std::string address_text(const mail::Structure& structure, KeptField field, bool shown) {
    const auto value = structure.parts.front().field(field);
    if (!value) return {};
    const auto addresses = mail::parse_address_list(*value, 1);
    if (addresses.empty()) return {};
    const auto& first = addresses.front();
    if (!shown) return first.local;
    if (!first.name.empty()) return mail::decode_for_display(first.name);
    return first.domain.empty() ? first.local : first.local + "@" + first.domain;
}

std::string text_of(Key key, const mail::Structure& structure) {
    switch (key) {
        case Key::subject: return mail::base_subject(structure.parts.front().field(KeptField::subject).value_or(""));
        case Key::cc: return address_text(structure, KeptField::cc, false);
        case Key::from: return address_text(structure, KeptField::from, false);
        case Key::to: return address_text(structure, KeptField::to, false);
        case Key::display_from: return address_text(structure, KeptField::from, true);
        case Key::display_to: return address_text(structure, KeptField::to, true);
        case Key::arrival:
        case Key::date:
        case Key::size: break;
    }
    return {};
}

}  // namespace

Result<std::vector<SortCriterion>> parse_sort_criteria(Cursor& in) {
    std::vector<SortCriterion> criteria;
    if (!in.take('(')) return fail(Errc::invalid, "the sort criteria are missing");
    do {
        SortCriterion one;
        auto word = in.atom().value_or("");
        if (ascii::same(word, "REVERSE")) {
            one.reverse = true;
            if (!in.space()) return fail(Errc::invalid, "REVERSE is without a criterion");
            word = in.atom().value_or("");
        }
        const auto* found =
            std::ranges::find_if(kNames, [&](const auto& name) { return ascii::same(name.first, word); });
        if (found == kNames.end()) return fail(Errc::invalid, "not a sort criterion");
        if (criteria.size() == kMostCriteria) return fail(Errc::invalid, "too many sort criteria");
        one.key = found->second;
        criteria.push_back(one);
    } while (in.space());
    if (!in.take(')')) return fail(Errc::invalid, "\")\" is missing behind the sort criteria");
    return criteria;
}

bool needs_structure(const std::vector<SortCriterion>& criteria) {
    return std::ranges::any_of(
        criteria, [](const SortCriterion& one) { return one.key != Key::arrival && one.key != Key::size; });
}

std::int64_t sent_time(const mail::Structure& structure, Timestamp received) {
    const auto value = structure.parts.front().field(KeptField::date);
    const auto date = value ? mail::parse_mail_date(*value) : std::nullopt;
    if (date) return date->time.time_since_epoch().count();
    return std::chrono::floor<std::chrono::seconds>(received).time_since_epoch().count();
}

SortEntry sort_entry(const std::vector<SortCriterion>& criteria, std::uint32_t number, std::uint32_t uid,
                     Timestamp received, std::uint64_t octets, const mail::Structure* structure) {
    SortEntry entry{number, uid};
    for (const auto& [key, reverse] : criteria) {
        if (key == Key::arrival) {
            entry.numbers.push_back(received.time_since_epoch().count());
        } else if (key == Key::size) {
            entry.numbers.push_back(static_cast<std::int64_t>(octets));
        } else if (key == Key::date) {
            entry.numbers.push_back(sent_time(*structure, received));
        } else {
            const auto text = text_of(key, *structure);
            entry.texts.push_back(mail::casemapped(std::string_view(text).substr(0, kMostOfText)));
        }
    }
    return entry;
}

void sort(std::vector<SortEntry>& entries, const std::vector<SortCriterion>& criteria) {
    std::ranges::sort(entries, [&](const SortEntry& a, const SortEntry& b) {
        std::size_t number = 0, text = 0;
        for (const auto& [key, reverse] : criteria) {
            std::weak_ordering order = std::weak_ordering::equivalent;
            if (is_number(key)) {
                order = a.numbers[number] <=> b.numbers[number];
                ++number;
            } else {
                order = a.texts[text].compare(b.texts[text]) <=> 0;
                ++text;
            }
            if (order != 0) return reverse ? order > 0 : order < 0;
        }
        return a.number < b.number;  // RFC 5256 s3: also with REVERSE
    });
}

}  // namespace poplar::imap
