// Reads SEARCH programs.
#include "imap/search_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/casemap.h"
#include "mail/charset.h"
#include "mail/date.h"

namespace poplar::imap {

namespace {

using Kind = SearchKey::Kind;
using mail::KeptField;

/// The form of what stands behind a key's name.
enum class Form : std::uint8_t {
    nothing,
    text,
    date,
    number,
    nonzero,
    keyword,
    object_id,
    header,
    set,
    mod_sequence,
    not_key,
    or_keys
};

struct Name {
    std::string_view name;
    Kind kind;
    Form form;
    std::uint64_t number = 0;  // a flag's bit
    bool negated = false;
    std::string_view field = {};
};

constexpr std::array<Name, 44> kNames = {{
    {"ALL", Kind::all, Form::nothing},
    {"ANSWERED", Kind::flag, Form::nothing, kAnsweredFlag},
    {"BCC", Kind::header, Form::text, 0, false, "bcc"},
    {"BEFORE", Kind::before, Form::date},
    {"BODY", Kind::body, Form::text},
    {"CC", Kind::header, Form::text, 0, false, "cc"},
    {"DELETED", Kind::flag, Form::nothing, kDeletedFlag},
    {"DRAFT", Kind::flag, Form::nothing, kDraftFlag},
    {"EMAILID", Kind::email_id, Form::object_id},
    {"FLAGGED", Kind::flag, Form::nothing, kFlaggedFlag},
    {"FROM", Kind::header, Form::text, 0, false, "from"},
    {"HEADER", Kind::header, Form::header},
    {"KEYWORD", Kind::keyword, Form::keyword},
    {"LARGER", Kind::larger, Form::number},
    {"MODSEQ", Kind::mod_sequence, Form::mod_sequence},
    {"NEW", Kind::conjunction, Form::nothing},
    {"NOT", Kind::negation, Form::not_key},
    {"OLD", Kind::recent, Form::nothing, 0, true},
    {"OLDER", Kind::older, Form::nonzero},
    {"ON", Kind::on, Form::date},
    {"OR", Kind::disjunction, Form::or_keys},
    {"RECENT", Kind::recent, Form::nothing},
    {"SAVEDATESUPPORTED", Kind::save_date_supported, Form::nothing},
    {"SAVEDBEFORE", Kind::saved_before, Form::date},
    {"SAVEDON", Kind::saved_on, Form::date},
    {"SAVEDSINCE", Kind::saved_since, Form::date},
    {"SEEN", Kind::flag, Form::nothing, kSeenFlag},
    {"SENTBEFORE", Kind::sent_before, Form::date},
    {"SENTON", Kind::sent_on, Form::date},
    {"SENTSINCE", Kind::sent_since, Form::date},
    {"SINCE", Kind::since, Form::date},
    {"SMALLER", Kind::smaller, Form::number},
    {"SUBJECT", Kind::header, Form::text, 0, false, "subject"},
    {"TEXT", Kind::text, Form::text},
    {"THREADID", Kind::thread_id, Form::object_id},
    {"TO", Kind::header, Form::text, 0, false, "to"},
    {"UID", Kind::uid, Form::set},
    {"UNANSWERED", Kind::flag, Form::nothing, kAnsweredFlag, true},
    {"UNDELETED", Kind::flag, Form::nothing, kDeletedFlag, true},
    {"UNDRAFT", Kind::flag, Form::nothing, kDraftFlag, true},
    {"UNFLAGGED", Kind::flag, Form::nothing, kFlaggedFlag, true},
    {"UNKEYWORD", Kind::keyword, Form::keyword, 0, true},
    {"UNSEEN", Kind::flag, Form::nothing, kSeenFlag, true},
    {"YOUNGER", Kind::younger, Form::nonzero},
}};

constexpr std::array<std::pair<std::string_view, KeptField>, 10> kKeptFields = {{
    {"bcc", KeptField::bcc},
    {"cc", KeptField::cc},
    {"date", KeptField::date},
    {"from", KeptField::from},
    {"in-reply-to", KeptField::in_reply_to},
    {"message-id", KeptField::message_id},
    {"reply-to", KeptField::reply_to},
    {"sender", KeptField::sender},
    {"subject", KeptField::subject},
    {"to", KeptField::to},
}};

SearchCost cost_of(const SearchKey& key) {
    switch (key.kind) {
        case Kind::all:
        case Kind::sequence:
        case Kind::uid:
        case Kind::saved_result:
        case Kind::flag:
        case Kind::recent:
        case Kind::keyword:
        case Kind::save_date_supported:
        case Kind::mod_sequence: return SearchCost::list;
        case Kind::conjunction:
        case Kind::disjunction:
        case Kind::negation: {
            auto cost = SearchCost::list;
            for (const auto& one : key.keys) cost = std::max(cost, one.cost);
            return cost;
        }
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
        case Kind::email_id: return SearchCost::record;
        case Kind::thread_id: return SearchCost::thread;
        case Kind::sent_before:
        case Kind::sent_on:
        case Kind::sent_since: return SearchCost::structure;
        case Kind::header: return key.kept ? SearchCost::structure : SearchCost::header;
        case Kind::body:
        case Kind::text: return SearchCost::text;
    }
    return SearchCost::text;
}

SearchKey priced(SearchKey key) {
    if (key.kind == Kind::conjunction || key.kind == Kind::disjunction)
        std::ranges::sort(key.keys, {}, &SearchKey::cost);
    key.cost = cost_of(key);
    return key;
}

SearchKey negated(SearchKey key) {
    SearchKey out;
    out.kind = Kind::negation;
    out.keys.push_back(priced(std::move(key)));
    return out;
}

class ProgramReader {
public:
    ProgramReader(Cursor& in, const SearchLimits& limits, std::optional<std::string> charset)
        : in_(in), limits_(limits), charset_known_(charset.has_value()) {
        if (charset) set_charset(*charset);
    }

    std::expected<SearchProgram, SearchRefusal> read() {
        if (!charset_known_ && in_.take_word("CHARSET ")) {
            if (const auto charset = in_.astring())
                set_charset(*charset);
            else
                refuse("CHARSET is without a name");
            if (!in_.space()) refuse("no search key");
        }
        SearchProgram program;
        program.root.kind = Kind::conjunction;
        do program.root.keys.push_back(key(0));
        while (in_.space());
        if (!in_.at_end()) refuse("something else than a search key");
        if (refusal_) return std::unexpected(std::move(*refusal_));
        program.root = priced(std::move(program.root));
        program.cost = program.root.cost;
        program.asks_mod_sequence = asks_mod_sequence_;
        program.asks_saved_result = asks_saved_result_;
        program.asks_numbers = asks_numbers_;
        return program;
    }

private:
    /// The first refusal counts. Nothing is left to read then, so that all who read come to their end.
    void refuse(std::string text, SearchRefusal::Why why = SearchRefusal::Why::bad) {
        if (!refusal_) refusal_ = SearchRefusal{why, std::move(text)};
        in_.skip(in_.rest().size());
    }

    void set_charset(std::string_view name) {
        charset_ = mail::iconv_name(name);
        if (charset_.empty()) refuse("the charset is not known", SearchRefusal::Why::charset);
    }

    SearchKey key(std::size_t depth) {
        SearchKey out;
        if (depth > limits_.depth) refuse("search keys are too deep in each other", SearchRefusal::Why::limit);
        if (++count_ > limits_.keys) refuse("too many search keys", SearchRefusal::Why::limit);
        const char first = in_.at_end() ? '\0' : in_.rest().front();
        if (in_.take('(')) {
            out.kind = Kind::conjunction;
            do out.keys.push_back(key(depth + 1));
            while (in_.space());
            if (!in_.take(')')) refuse("\")\" is missing in search keys");
            return priced(std::move(out));
        }
        if (in_.take('$')) {
            out.kind = Kind::saved_result;
            asks_saved_result_ = true;
            return priced(std::move(out));
        }
        if (first == '*' || ascii::is_digit(first)) {
            out.kind = Kind::sequence;
            asks_numbers_ = true;
            out.set = set();
            return priced(std::move(out));
        }
        auto named = priced(named_key(depth));
        const bool is_text = named.kind == Kind::body || named.kind == Kind::text || named.kind == Kind::header;
        if (is_text && named.cost >= SearchCost::header && ++texts_ > limits_.texts)
            refuse("too many texts are looked for", SearchRefusal::Why::limit);
        return named;
    }

    SearchKey named_key(std::size_t depth) {
        SearchKey out;
        const auto word = in_.atom();
        if (!word) {
            refuse("no search key");
            return out;
        }
        const auto* name = std::ranges::find_if(kNames, [&](const Name& one) { return ascii::same(one.name, *word); });
        if (name == kNames.end()) {
            refuse(fmt::format("\"{}\" is no search key", word->substr(0, 40)));
            return out;
        }
        out.kind = name->kind;
        out.number = name->number;
        if (name->kind == Kind::conjunction) {  // NEW is RECENT UNSEEN (RFC 3501 s6.4.4)
            out.keys.push_back(priced({.kind = Kind::recent}));
            out.keys.push_back(priced(negated({.kind = Kind::flag, .number = kSeenFlag})));
        }
        if (name->form != Form::nothing) {
            if (!in_.space()) refuse(fmt::format("{} is without its argument", name->name));
            argument(*name, out, depth);
        }
        return name->negated ? negated(std::move(out)) : out;
    }

    void argument(const Name& name, SearchKey& out, std::size_t depth) {
        switch (name.form) {
            case Form::nothing: break;
            case Form::text:
                out.field = name.field;
                out.kept = kept(out.field);
                out.text = text();
                break;
            case Form::date: out.day = date(); break;
            case Form::number:
            case Form::nonzero: {
                const auto number = in_.number();
                if (!number || *number >> 63 != 0 || (name.form == Form::nonzero && *number == 0))
                    refuse(fmt::format("{} is without a number", name.name));
                else
                    out.number = *number;
                break;
            }
            case Form::keyword: {
                const auto keyword = in_.atom();
                if (keyword)
                    out.text = *keyword;
                else
                    refuse(fmt::format("{} is without a keyword", name.name));
                break;
            }
            case Form::object_id: out.text = object_id(); break;
            case Form::header: {
                const auto field = in_.astring().value_or("");
                if (field.empty() || !in_.space()) refuse("HEADER is without a field, or what it has");
                out.field = ascii::to_lower(field);
                out.kept = kept(out.field);
                out.text = text();
                break;
            }
            case Form::set:
                if (in_.take('$')) {
                    out.kind = Kind::saved_result;
                    asks_saved_result_ = true;
                } else {
                    out.set = set();
                }
                break;
            case Form::mod_sequence: out.number = mod_sequence(); break;
            case Form::not_key: out.keys.push_back(key(depth + 1)); break;
            case Form::or_keys:
                out.keys.push_back(key(depth + 1));
                if (!in_.space()) refuse("OR is without its second key");
                out.keys.push_back(key(depth + 1));
                break;
        }
    }

    static std::optional<KeptField> kept(std::string_view field) {
        const auto* found = std::ranges::find(kKeptFields, field, [](const auto& one) { return one.first; });
        if (found == kKeptFields.end()) return std::nullopt;
        return found->second;
    }

    SequenceSet set() {
        auto found = SequenceSet::parse(in_);
        if (!found) refuse("not a set of numbers");
        return std::move(found).value_or(SequenceSet());
    }

    std::string text() {
        auto found = in_.astring();
        if (!found) {
            refuse("a search key is without its text");
            return {};
        }
        if (found->size() > limits_.text) refuse("a text is too long", SearchRefusal::Why::limit);
        if (charset_ != "utf-8")
            if (auto converted = mail::from_iconv(charset_, *found)) found = std::move(*converted);
        if (!mail::is_utf8(*found)) refuse("a text is not of its charset");
        return mail::casemapped(*found);
    }

    std::string object_id() {
        const auto id = in_.atom();
        constexpr std::size_t kLongest = 255;
        const auto fits = [](char c) { return ascii::is_alnum(c) || c == '-' || c == '_'; };
        if (!id || id->size() > kLongest || !std::ranges::all_of(*id, fits)) refuse("not an object id");
        return std::string(id.value_or(""));
    }

    /// RFC 9051 s9: date. Both `1-Feb-2026` and `"1-Feb-2026"`.
    std::chrono::sys_days date() {
        const bool quoted = in_.take('"');
        const auto before = in_.rest().size();
        const auto day = in_.number();
        const auto digits = before - in_.rest().size();
        const bool dash = in_.take('-');
        const auto name = in_.rest().substr(0, 3);
        const auto* month =
            std::ranges::find_if(mail::kMonths, [&](std::string_view one) { return ascii::same(one, name); });
        in_.skip(name.size());
        const bool second_dash = in_.take('-');
        const auto year_size = in_.rest().size();
        const auto year = in_.number();
        const auto year_digits = year_size - in_.rest().size();
        const bool ends = !quoted || in_.take('"');
        if (!day || digits > 2 || !dash || month == mail::kMonths.end() || !second_dash || !year || year_digits != 4 ||
            !ends || *day > 31) {
            refuse("not a date");
            return {};
        }
        const std::chrono::year_month_day date(
            std::chrono::year(static_cast<int>(*year)),
            std::chrono::month(static_cast<unsigned>(month - mail::kMonths.begin()) + 1),
            std::chrono::day(static_cast<unsigned>(*day)));
        if (!date.ok()) {
            refuse("no calendar has such a date");
            return {};
        }
        return date;
    }

    /// RFC 7162 s3.1.5: an entry's name and type may stand in front; all flags have one mod-sequence here.
    std::uint64_t mod_sequence() {
        if (in_.at('"')) {
            const auto name = in_.string();
            const bool flags = name && ascii::starts_with(*name, "/flags/") && name->size() > 7;
            const auto type = in_.space() ? in_.atom() : std::nullopt;
            const bool known =
                type && (ascii::same(*type, "all") || ascii::same(*type, "priv") || ascii::same(*type, "shared"));
            if (!flags || !known || !in_.space()) refuse("not an entry of MODSEQ");
        }
        const auto number = in_.number();
        if (!number || *number >> 63 != 0) refuse("MODSEQ is without a number");
        asks_mod_sequence_ = true;
        return number.value_or(0);
    }

    Cursor& in_;
    const SearchLimits& limits_;
    const bool charset_known_;
    std::string charset_ = "utf-8";
    std::size_t count_ = 0;
    std::size_t texts_ = 0;
    bool asks_mod_sequence_ = false, asks_saved_result_ = false, asks_numbers_ = false;
    std::optional<SearchRefusal> refusal_;
};

void resolve(SearchKey& key, std::uint32_t messages, std::uint32_t greatest_uid) {
    if (key.kind == Kind::sequence) key.set.resolve(messages);
    if (key.kind == Kind::uid) key.set.resolve(greatest_uid);
    for (auto& one : key.keys) resolve(one, messages, greatest_uid);
}

}  // namespace

std::expected<SearchProgram, SearchRefusal> parse_search(Cursor& in, const SearchLimits& limits,
                                                         std::optional<std::string> in_charset) {
    return ProgramReader(in, limits, std::move(in_charset)).read();
}

void resolve(SearchProgram& program, std::uint32_t messages, std::uint32_t greatest_uid) {
    resolve(program.root, messages, greatest_uid);
}

}  // namespace poplar::imap
