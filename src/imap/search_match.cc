// Holds SEARCH programs against messages, by what is known of them so far.
#include <algorithm>
#include <cstring>

#include "base/ascii.h"
#include "imap/search_keys.h"
#include "mail/casemap.h"
#include "mail/date.h"
#include "mail/header_walk.h"

namespace poplar::imap {

namespace {

using Kind = SearchKey::Kind;
using Is = SearchAnswer::Is;
using mail::KeptField;

SearchAnswer answer(bool yes) { return {yes ? Is::yes : Is::no}; }
SearchAnswer unknown(SearchCost needs) { return {Is::unknown, needs}; }

std::chrono::sys_days day_of(Timestamp time) { return std::chrono::floor<std::chrono::days>(time); }

bool has_keyword(const SearchFacts& facts, std::string_view keyword) {
    return facts.keywords &&
           std::ranges::any_of(*facts.keywords, [&](const std::string& one) { return ascii::same(one, keyword); });
}

SearchAnswer match_header(const SearchKey& key, const SearchFacts& facts) {
    if (key.kept && facts.structure) {
        const auto value = facts.structure->parts.front().field(*key.kept);
        if (!value) return answer(false);
        if (key.text.empty()) return answer(true);
        const auto text = mail::casemapped(mail::decode_for_display(*value));
        return answer(text.contains(key.text));
    }
    if (key.kept) return unknown(SearchCost::structure);
    const auto* text = facts.header ? facts.header : facts.text;
    return text ? answer(text->header_has(key.field, key.text)) : unknown(SearchCost::header);
}

/// RFC 9051 s6.4.4: the date alone, its time and zone disregarded. A message without one was sent on no day.
SearchAnswer match_sent(const SearchKey& key, const SearchFacts& facts) {
    if (!facts.structure) return unknown(SearchCost::structure);
    const auto value = facts.structure->parts.front().field(KeptField::date);
    const auto date = value ? mail::parse_mail_date(*value) : std::nullopt;
    if (!date) return answer(false);
    const std::chrono::sys_days day = std::chrono::floor<std::chrono::days>(date->time + date->zone);
    if (key.kind == Kind::sent_on) return answer(day == key.day);
    return answer(key.kind == Kind::sent_before ? day < key.day : day >= key.day);
}

SearchAnswer match_record(const SearchKey& key, const SearchFacts& facts) {
    if (!facts.record) return unknown(SearchCost::record);
    const auto& record = *facts.record;
    const auto day = day_of(record.received);
    const auto saved = record.saved ? std::optional(day_of(*record.saved)) : std::nullopt;
    const auto age = std::chrono::duration_cast<std::chrono::seconds>(facts.now - record.received).count();
    switch (key.kind) {
        case Kind::before: return answer(day < key.day);
        case Kind::on: return answer(day == key.day);
        case Kind::since: return answer(day >= key.day);
        case Kind::saved_before: return answer(saved && *saved < key.day);
        case Kind::saved_on: return answer(saved && *saved == key.day);
        case Kind::saved_since: return answer(saved && *saved >= key.day);
        case Kind::younger: return answer(age <= static_cast<std::int64_t>(key.number));
        case Kind::older: return answer(age >= static_cast<std::int64_t>(key.number));
        case Kind::larger: return answer(record.octets > key.number);
        case Kind::smaller: return answer(record.octets < key.number);
        default: return answer(record.email_id == key.text);
    }
}

SearchAnswer match_key(const SearchKey& key, const SearchFacts& facts);

/// All of them (or any of them): the first that decides does; else what is unknown is the answer.
SearchAnswer match_several(const SearchKey& key, const SearchFacts& facts, Is decides) {
    auto needs = SearchCost::text;
    bool any_unknown = false;
    for (const auto& one : key.keys) {
        const auto found = match_key(one, facts);
        if (found.is == decides) return found;
        if (found.is != Is::unknown) continue;
        needs = any_unknown ? std::min(needs, found.needs) : found.needs;
        any_unknown = true;
    }
    if (any_unknown) return unknown(needs);
    return answer(decides == Is::no);
}

SearchAnswer match_key(const SearchKey& key, const SearchFacts& facts) {
    switch (key.kind) {
        case Kind::all:
        case Kind::save_date_supported: return answer(true);
        case Kind::conjunction: return match_several(key, facts, Is::no);
        case Kind::disjunction: return match_several(key, facts, Is::yes);
        case Kind::negation: {
            const auto found = match_key(key.keys.front(), facts);
            return found.is == Is::unknown ? found : answer(found.is == Is::no);
        }
        case Kind::sequence: return answer(key.set.contains(facts.number));
        case Kind::uid: return answer(key.set.contains(facts.uid));
        case Kind::saved_result: return answer(facts.saved_result && facts.saved_result->contains(facts.uid));
        case Kind::flag: return answer((facts.flags & key.number) != 0);
        case Kind::recent: return answer(facts.recent);
        case Kind::keyword: return answer(has_keyword(facts, key.text));
        case Kind::mod_sequence: return answer(facts.mod_sequence >= key.number);
        case Kind::before:
        case Kind::on:
        case Kind::since:
        case Kind::saved_before:
        case Kind::saved_on:
        case Kind::saved_since:
        case Kind::younger:
        case Kind::older:
        case Kind::larger:
        case Kind::smaller:
        case Kind::email_id: return match_record(key, facts);
        case Kind::thread_id:
            return facts.thread_id ? answer(*facts.thread_id == key.text) : unknown(SearchCost::thread);
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since: return match_sent(key, facts);
        case Kind::header: return match_header(key, facts);
        case Kind::body: return facts.text ? answer(facts.text->body_has(key.text)) : unknown(SearchCost::text);
        case Kind::text: return facts.text ? answer(facts.text->text_has(key.text)) : unknown(SearchCost::text);
    }
    return answer(false);
}

}  // namespace

SearchAnswer match(const SearchProgram& program, const SearchFacts& facts) { return match_key(program.root, facts); }

}  // namespace poplar::imap
