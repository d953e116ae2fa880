// Rules that the table of the language has no notation for: which tags belong together, and what constants may be.
#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "sieve/checker.h"
#include "sieve/constants.h"
#include "sieve/dates.h"
#include "sieve/notify_method.h"

namespace poplar::sieve {

namespace {

constexpr std::array<std::pair<Tag, Match::Type>, 7> kMatchTags = {{{Tag::is, Match::Type::is},
                                                                    {Tag::contains, Match::Type::contains},
                                                                    {Tag::matches, Match::Type::matches},
                                                                    {Tag::regex, Match::Type::regex},
                                                                    {Tag::count, Match::Type::count},
                                                                    {Tag::value, Match::Type::value},
                                                                    {Tag::list, Match::Type::list}}};

std::string wrong_zone(std::string_view text) {
    return parse_zone(text) ? std::string() : fmt::format("\"{}\" is no time zone as \"+0100\"", text);
}
std::string wrong_address(std::string_view text) {
    return parse_one_address(text) ? std::string() : fmt::format("\"{}\" is no address", text);
}
std::string wrong_date_part(std::string_view text) {
    return find_date_part(text) ? std::string() : fmt::format("\"{}\" is no part of a date", text);
}
std::string wrong_address_field(std::string_view text) {
    return may_hold_addresses(text) ? std::string() : fmt::format("the field \"{}\" has no addresses", text);
}
std::string wrong_field_name(std::string_view text) {
    return is_field_name(text) ? std::string() : fmt::format("\"{}\" is no name of a header field", text);
}
std::string wrong_script_name(std::string_view text) {
    return is_script_name(text) ? std::string() : fmt::format("no script can be called \"{}\"", text);
}
std::string wrong_method(std::string_view text) {
    auto method = parse_notify_method(text);
    return method ? std::string() : method.error();
}

}  // namespace

/// The only string, if no variable is in it.
const std::string* Checker::constant(const std::vector<Text>& strings) const {
    return strings.size() == 1 && strings[0].constant() ? &strings[0].source() : nullptr;
}

void Checker::each_constant(const Node& out, const std::vector<Text>& strings, std::string (*rule)(std::string_view)) {
    for (const auto& text : strings)
        if (text.constant())
            if (auto found = rule(text.source()); !found.empty()) wrong(out.at, std::move(found));
}

void Checker::tag_rule(const Node& out, Tag tag, std::string (*rule)(std::string_view)) {
    if (const auto* given = out.tag(tag)) each_constant(out, given->strings, rule);
}

void Checker::match(Node& out, const CommandRow& row) {
    if (std::ranges::find(row.tags, Tag::comparator, &TagRow::tag) == row.tags.end()) return;
    auto& match = out.match;
    for (const auto& [tag, type] : kMatchTags)
        if (const auto* given = out.tag(tag)) {
            match.type = type;
            if (given->strings.empty()) continue;
            const auto* name = constant(given->strings);
            const auto relation = name ? find_relation(*name) : std::nullopt;
            if (!relation) return wrong(out.at, "a relation is one of gt, ge, lt, le, eq and ne");
            match.relation = *relation;
        }
    if (const auto* given = out.tag(Tag::comparator)) {
        const auto* name = constant(given->strings);
        const auto comparator = name ? find_comparator(*name) : std::nullopt;
        if (!comparator) return wrong(out.at, fmt::format("there is no comparator \"{}\"", given->strings[0].source()));
        match.comparator = *comparator;
        if (match.comparator == Comparator::ascii_numeric || match.comparator == Comparator::unicode_casemap) {
            Capabilities needs;
            needs.add(*find_capability("comparator-" + *name));
            need(out, needs, out.at, fmt::format("the comparator \"{}\"", *name));
        }
    }
    using Type = Match::Type;
    if (match.comparator == Comparator::ascii_numeric &&
        (match.type == Type::contains || match.type == Type::matches || match.type == Type::regex))
        wrong(out.at, "the comparator \"i;ascii-numeric\" finds no parts of a text");
    if (match.type != Type::regex || out.arguments.empty() || !out.arguments.back().given) return;
    const auto letters = match.comparator == Comparator::octet ? Regex::Case::matters : Regex::Case::ignored;
    for (const auto& key : out.arguments.back().strings) {
        match.regexes.emplace_back();
        if (!key.constant()) continue;
        if (++regexes_ > options_.regexes)
            return wrong(out.at, fmt::format("more than {} regular expressions in one script", options_.regexes));
        auto compiled = Regex::compile(key.source(), letters, options_);
        if (!compiled) return wrong(out.at, std::move(compiled.error()));
        match.regexes.back() = std::move(*compiled);
    }
}

void Checker::rules(Node& out, const CommandRow& row) {
    if (out.has(Tag::last) && !out.has(Tag::index) && out.op != Op::addheader && out.op != Op::duplicate)
        wrong(out.at, "\":last\" needs \":index\"");
    if (const auto* index = out.tag(Tag::index); index && index->number == 0) wrong(out.at, "\":index\" counts from 1");
    tag_rule(out, Tag::zone, wrong_zone);
    if (row.kind == CommandRow::Kind::test) return test_rules(out);
    place_rules(out);
    variable_rules(out);
    edit_rules(out);
    message_rules(out);
}

/// Where messages go: fileinto and the copies of what is sent (RFC 8580).
void Checker::place_rules(Node& out) {
    tag_rule(out, Tag::fcc, wrong_mailbox);
    const bool takes_fcc = out.op == Op::vacation || out.op == Op::notify;
    if (takes_fcc && !out.has(Tag::fcc))
        for (const auto tag : {Tag::flags, Tag::create, Tag::specialuse, Tag::mailboxid})
            if (out.has(tag))
                return wrong(out.at, "\":flags\", \":create\", \":specialuse\" and \":mailboxid\" need \":fcc\"");
    switch (out.op) {
        case Op::fileinto: each_constant(out, out.arguments[0].strings, wrong_mailbox); break;
        case Op::redirect:
            if (!out.has(Tag::list)) each_constant(out, out.arguments[0].strings, wrong_address);
            tag_rule(out, Tag::notify, wrong_notify_conditions);
            tag_rule(out, Tag::ret, wrong_ret);
            tag_rule(out, Tag::bymode, wrong_by_mode);
            tag_rule(out, Tag::bytimeabsolute, [](std::string_view text) {
                return parse_iso8601(text) ? std::string() : fmt::format("\"{}\" is no time of RFC 3339", text);
            });
            // RFC 6009 s7: the mode, or the trace, belongs to a time.
            if ((out.has(Tag::bymode) || out.has(Tag::bytrace)) && !out.has(Tag::bytimeabsolute) &&
                !out.has(Tag::bytimerelative))
                wrong(out.at, "\":bymode\" and \":bytrace\" need \":bytimeabsolute\" or \":bytimerelative\"");
            break;
        case Op::include:
            each_constant(out, out.arguments[0].strings, wrong_script_name);
            looks_into_body_ = true;  // what is included may
            break;
        default: break;
    }
}

void Checker::variable_rules(Node& out) {
    const auto check_name = [&](const Text& name, bool global) {
        auto text = std::string_view(name.source());
        if (global && ascii::starts_with(text, "global.") && required_.has(Capability::include)) text.remove_prefix(7);
        if (!is_variable_name(text)) wrong(out.at, fmt::format("no variable can be called \"{}\"", name.source()));
    };
    switch (out.op) {
        case Op::set:
        case Op::extracttext: check_name(out.arguments[0].strings[0], true); break;
        case Op::global:
            if (!required_.has(Capability::variables)) wrong(out.at, "\"global\" needs \"variables\" in \"require\"");
            for (const auto& name : out.arguments[0].strings) check_name(name, false);
            break;
        case Op::setflag:
        case Op::addflag:
        case Op::removeflag:
            if (!out.arguments[0].given) break;
            if (!required_.has(Capability::variables)) wrong(out.at, "a variable needs \"variables\" in \"require\"");
            if (const auto* name = constant(out.arguments[0].strings)) check_name(Text(*name), true);
            break;
        default: break;
    }
    if (out.op == Op::extracttext) {
        looks_into_body_ = true;
        if (!required_.has(Capability::variables)) wrong(out.at, "\"extracttext\" needs \"variables\" in \"require\"");
    }
    if (out.op == Op::foreverypart) looks_into_body_ = true;
}

void Checker::edit_rules(Node& out) {
    switch (out.op) {
        case Op::addheader:
            each_constant(out, out.arguments[0].strings, wrong_field_name);
            each_constant(out, out.arguments[1].strings, wrong_header_value);
            break;
        case Op::deleteheader: each_constant(out, out.arguments[0].strings, wrong_field_name); break;
        case Op::replace:
            looks_into_body_ = true;
            if (out.has(Tag::mime) && (out.has(Tag::subject) || out.has(Tag::from)))
                wrong(out.at, "\":mime\" brings its own header: no \":subject\" and no \":from\"");
            tag_rule(out, Tag::from, wrong_address);
            break;
        case Op::enclose:
            looks_into_body_ = true;
            tag_rule(out, Tag::headers, wrong_field_name);
            break;
        default: break;
    }
}

void Checker::message_rules(Node& out) {
    switch (out.op) {
        case Op::vacation: tag_rule(out, Tag::from, wrong_address); break;
        case Op::notify:
            tag_rule(out, Tag::importance, wrong_importance);
            tag_rule(out, Tag::options, wrong_option);
            each_constant(out, out.arguments[0].strings, wrong_method);
            break;
        default: break;
    }
}

void Checker::test_rules(Node& out) {
    const bool mime = out.has(Tag::mime);
    if (out.has(Tag::anychild) && !mime) wrong(out.at, "\":anychild\" needs \":mime\"");
    for (const auto tag : {Tag::type, Tag::subtype, Tag::contenttype, Tag::param})
        if (out.has(tag) && !mime)
            wrong(out.at, "\":type\", \":subtype\", \":contenttype\" and \":param\" need \":mime\"");
    if (out.has(Tag::anychild)) looks_into_body_ = true;
    switch (out.op) {
        case Op::address:
            if (!mime) each_constant(out, out.arguments[0].strings, wrong_address_field);
            break;
        case Op::envelope:
            for (const auto& part : out.arguments[0].strings) {
                if (!part.constant()) continue;
                const auto found = find_envelope_part(part.source());
                if (!found) {
                    wrong(out.at, fmt::format("the envelope has no part \"{}\"", part.source()));
                    continue;
                }
                Capabilities needs;
                if (is_of_dsn(*found)) needs.add(Capability::envelope_dsn);
                if (is_of_deliver_by(*found)) needs.add(Capability::envelope_deliverby);
                need(out, needs, out.at, fmt::format("the part \"{}\"", part.source()));
                if (!is_address(*found))
                    for (const auto tag : {Tag::all, Tag::localpart, Tag::domain, Tag::user, Tag::detail})
                        if (out.has(tag)) wrong(out.at, fmt::format("\"{}\" is no address", part.source()));
            }
            break;
        case Op::size:
            if (out.tags.empty()) wrong(out.at, "\"size\" takes \":over\" or \":under\" with a number");
            break;
        case Op::body: looks_into_body_ = true; break;
        case Op::date:
            each_constant(out, out.arguments[0].strings, wrong_field_name);
            each_constant(out, out.arguments[1].strings, wrong_date_part);
            break;
        case Op::currentdate: each_constant(out, out.arguments[0].strings, wrong_date_part); break;
        case Op::hasflag:
            if (out.arguments[0].given && !required_.has(Capability::variables))
                wrong(out.at, "a variable needs \"variables\" in \"require\"");
            break;
        default: break;
    }
}

}  // namespace poplar::sieve
