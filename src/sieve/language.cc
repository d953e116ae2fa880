// The table, in a notation that is read at the first use. A tag is `name`, with `:n`, `:s` or `:l` for a number, a
// string or a list that it takes, `@capability` if it needs one of its own (`|` between those of which one is enough),
// and `/group` if others of the group exclude it. Positional arguments are n, s and l: behind "?" one may be missing,
// and in capitals one is constant.
#include "sieve/language.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <map>
#include <utility>

namespace poplar::sieve {

namespace {

using Kind = CommandRow::Kind;
using Tests = CommandRow::Tests;

constexpr std::array<std::pair<std::string_view, Capability>, 45> kCapabilities = {{
    {"body", Capability::body},
    {"comparator-i;ascii-casemap", Capability::ascii_casemap},
    {"comparator-i;ascii-numeric", Capability::ascii_numeric},
    {"comparator-i;octet", Capability::octet},
    {"comparator-i;unicode-casemap", Capability::unicode_casemap},
    {"copy", Capability::copy},
    {"date", Capability::date},
    {"duplicate", Capability::duplicate},
    {"editheader", Capability::editheader},
    {"enclose", Capability::enclose},
    {"encoded-character", Capability::encoded_character},
    {"enotify", Capability::enotify},
    {"envelope", Capability::envelope},
    {"envelope-deliverby", Capability::envelope_deliverby},
    {"envelope-dsn", Capability::envelope_dsn},
    {"environment", Capability::environment},
    {"ereject", Capability::ereject},
    {"extlists", Capability::extlists},
    {"extracttext", Capability::extracttext},
    {"fcc", Capability::fcc},
    {"fileinto", Capability::fileinto},
    {"foreverypart", Capability::foreverypart},
    {"ihave", Capability::ihave},
    {"imap4flags", Capability::imap4flags},
    {"include", Capability::include},
    {"index", Capability::index},
    {"mailbox", Capability::mailbox},
    {"mailboxid", Capability::mailboxid},
    {"mboxmetadata", Capability::mboxmetadata},
    {"mime", Capability::mime},
    {"redirect-deliverby", Capability::redirect_deliverby},
    {"redirect-dsn", Capability::redirect_dsn},
    {"regex", Capability::regex},
    {"reject", Capability::reject},
    {"relational", Capability::relational},
    {"replace", Capability::replace},
    {"servermetadata", Capability::servermetadata},
    {"spamtest", Capability::spamtest},
    {"spamtestplus", Capability::spamtestplus},
    {"special-use", Capability::special_use},
    {"subaddress", Capability::subaddress},
    {"vacation", Capability::vacation},
    {"vacation-seconds", Capability::vacation_seconds},
    {"variables", Capability::variables},
    {"virustest", Capability::virustest},
}};
static_assert(std::ranges::is_sorted(kCapabilities, {}, [](const auto& row) { return row.first; }));

constexpr std::array<std::pair<std::string_view, Tag>, 67> kTags = {{
    {"addresses", Tag::addresses},
    {"all", Tag::all},
    {"anychild", Tag::anychild},
    {"bymode", Tag::bymode},
    {"bytimeabsolute", Tag::bytimeabsolute},
    {"bytimerelative", Tag::bytimerelative},
    {"bytrace", Tag::bytrace},
    {"comparator", Tag::comparator},
    {"contains", Tag::contains},
    {"content", Tag::content},
    {"contenttype", Tag::contenttype},
    {"copy", Tag::copy},
    {"count", Tag::count},
    {"create", Tag::create},
    {"days", Tag::days},
    {"detail", Tag::detail},
    {"domain", Tag::domain},
    {"encodeurl", Tag::encodeurl},
    {"fcc", Tag::fcc},
    {"first", Tag::first},
    {"flags", Tag::flags},
    {"from", Tag::from},
    {"global", Tag::global},
    {"handle", Tag::handle},
    {"header", Tag::header},
    {"headers", Tag::headers},
    {"importance", Tag::importance},
    {"index", Tag::index},
    {"is", Tag::is},
    {"last", Tag::last},
    {"length", Tag::length},
    {"list", Tag::list},
    {"localpart", Tag::localpart},
    {"lower", Tag::lower},
    {"lowerfirst", Tag::lowerfirst},
    {"mailboxid", Tag::mailboxid},
    {"matches", Tag::matches},
    {"message", Tag::message},
    {"mime", Tag::mime},
    {"name", Tag::name},
    {"notify", Tag::notify},
    {"once", Tag::once},
    {"optional", Tag::optional},
    {"options", Tag::options},
    {"originalzone", Tag::originalzone},
    {"over", Tag::over},
    {"param", Tag::param},
    {"percent", Tag::percent},
    {"personal", Tag::personal},
    {"quoteregex", Tag::quoteregex},
    {"quotewildcard", Tag::quotewildcard},
    {"raw", Tag::raw},
    {"regex", Tag::regex},
    {"ret", Tag::ret},
    {"seconds", Tag::seconds},
    {"specialuse", Tag::specialuse},
    {"subject", Tag::subject},
    {"subtype", Tag::subtype},
    {"text", Tag::text},
    {"type", Tag::type},
    {"under", Tag::under},
    {"uniqueid", Tag::uniqueid},
    {"upper", Tag::upper},
    {"upperfirst", Tag::upperfirst},
    {"user", Tag::user},
    {"value", Tag::value},
    {"zone", Tag::zone},
}};
static_assert(std::ranges::is_sorted(kTags, {}, [](const auto& row) { return row.first; }));

struct Row {
    std::string_view name;
    Op op;
    Kind kind;
    std::string_view needs, tags, positional;
    Tests tests = Tests::none;
    bool block = false;
};

#define MATCH                                                                                                    \
    "is/match contains/match matches/match regex@regex/match count:s@relational/match value:s@relational/match " \
    "comparator:s "
#define MATCH_OR_LIST "list@extlists/match " MATCH
#define PART "all/part localpart/part domain/part user@subaddress/part detail@subaddress/part "
#define INDEX "index:n@index last@index "
#define OF_MIME "mime@mime anychild@mime "
#define INTO "flags:l@imap4flags create@mailbox specialuse:s@special-use/place mailboxid:s@mailboxid/place "
#define MODIFIERS                                                                                         \
    "lower/case upper/case lowerfirst/first upperfirst/first quotewildcard/quote quoteregex@regex/quote " \
    "encodeurl@enotify length "

constexpr std::array kRows = {
    Row{"require", Op::require, Kind::control, "", "", "L"},
    Row{"if", Op::if_, Kind::control, "", "", "", Tests::one, true},
    Row{"elsif", Op::elsif, Kind::control, "", "", "", Tests::one, true},
    Row{"else", Op::else_, Kind::control, "", "", "", Tests::none, true},
    Row{"stop", Op::stop, Kind::control, "", "", ""},
    Row{"include", Op::include, Kind::control, "include", "personal/place global/place once optional", "S"},
    Row{"return", Op::return_, Kind::control, "include", "", ""},
    Row{"global", Op::global, Kind::control, "include", "", "L"},
    Row{"error", Op::error, Kind::control, "ihave", "", "s"},
    Row{"foreverypart", Op::foreverypart, Kind::control, "foreverypart", "name:s", "", Tests::none, true},
    Row{"break", Op::break_, Kind::control, "foreverypart", "name:s", ""},

    Row{"keep", Op::keep, Kind::action, "", "flags:l@imap4flags", ""},
    Row{"discard", Op::discard, Kind::action, "", "", ""},
    Row{"fileinto", Op::fileinto, Kind::action, "fileinto", "copy@copy " INTO, "s"},
    Row{"redirect", Op::redirect, Kind::action, "",
        "copy@copy list@extlists notify:s@redirect-dsn ret:s@redirect-dsn "
        "bytimeabsolute:s@redirect-deliverby/bytime bytimerelative:n@redirect-deliverby/bytime "
        "bymode:s@redirect-deliverby bytrace@redirect-deliverby",
        "s"},
    Row{"reject", Op::reject, Kind::action, "reject", "", "s"},
    Row{"ereject", Op::ereject, Kind::action, "ereject", "", "s"},
    Row{"vacation", Op::vacation, Kind::action, "vacation",
        "days:n/time seconds:n@vacation-seconds/time subject:s from:s addresses:l mime handle:s fcc:s@fcc " INTO, "s"},
    Row{"notify", Op::notify, Kind::action, "enotify", "from:s importance:s options:l message:s fcc:s@fcc " INTO, "s"},
    Row{"set", Op::set, Kind::action, "variables", MODIFIERS, "Ss"},
    Row{"setflag", Op::setflag, Kind::action, "imap4flags", "", "?sl"},
    Row{"addflag", Op::addflag, Kind::action, "imap4flags", "", "?sl"},
    Row{"removeflag", Op::removeflag, Kind::action, "imap4flags", "", "?sl"},
    Row{"addheader", Op::addheader, Kind::action, "editheader", "last", "ss"},
    Row{"deleteheader", Op::deleteheader, Kind::action, "editheader", "index:n last " MATCH, "s?l"},
    Row{"replace", Op::replace, Kind::action, "replace", "mime subject:s from:s", "s"},
    Row{"enclose", Op::enclose, Kind::action, "enclose", "subject:s headers:l", "s"},
    Row{"extracttext", Op::extracttext, Kind::action, "extracttext", MODIFIERS "first:n", "S"},

    Row{"true", Op::true_, Kind::test, "", "", ""},
    Row{"false", Op::false_, Kind::test, "", "", ""},
    Row{"not", Op::not_, Kind::test, "", "", "", Tests::one},
    Row{"anyof", Op::anyof, Kind::test, "", "", "", Tests::several},
    Row{"allof", Op::allof, Kind::test, "", "", "", Tests::several},
    Row{"address", Op::address, Kind::test, "", INDEX OF_MIME PART MATCH_OR_LIST, "ll"},
    Row{"envelope", Op::envelope, Kind::test, "envelope", "zone:s@envelope-deliverby " PART MATCH_OR_LIST, "ll"},
    Row{"exists", Op::exists, Kind::test, "", OF_MIME, "l"},
    Row{"header", Op::header, Kind::test, "",
        INDEX OF_MIME "type@mime/option subtype@mime/option contenttype@mime/option param:l@mime/option " MATCH_OR_LIST,
        "ll"},
    Row{"size", Op::size, Kind::test, "", "over:n/size under:n/size", ""},
    Row{"string", Op::string, Kind::test, "variables", MATCH_OR_LIST, "ll"},
    Row{"hasflag", Op::hasflag, Kind::test, "imap4flags", MATCH, "?ll"},
    Row{"body", Op::body, Kind::test, "body", "raw/transform content:l/transform text/transform " MATCH, "l"},
    Row{"date", Op::date, Kind::test, "date", INDEX "zone:s/zone originalzone/zone " MATCH, "ssl"},
    Row{"currentdate", Op::currentdate, Kind::test, "date", "zone:s " MATCH, "sl"},
    Row{"duplicate", Op::duplicate, Kind::test, "duplicate", "handle:s header:s/id uniqueid:s/id seconds:n last", ""},
    Row{"environment", Op::environment, Kind::test, "environment", MATCH, "sl"},
    Row{"ihave", Op::ihave, Kind::test, "ihave", "", "L"},
    Row{"mailboxexists", Op::mailboxexists, Kind::test, "mailbox", "", "l"},
    Row{"mailboxidexists", Op::mailboxidexists, Kind::test, "mailboxid", "", "l"},
    Row{"specialuse_exists", Op::specialuse_exists, Kind::test, "special-use", "", "?sl"},
    Row{"metadata", Op::metadata, Kind::test, "mboxmetadata", MATCH, "ssl"},
    Row{"metadataexists", Op::metadataexists, Kind::test, "mboxmetadata", "", "sl"},
    Row{"servermetadata", Op::servermetadata, Kind::test, "servermetadata", MATCH, "sl"},
    Row{"servermetadataexists", Op::servermetadataexists, Kind::test, "servermetadata", "", "l"},
    Row{"spamtest", Op::spamtest, Kind::test, "spamtest|spamtestplus", "percent@spamtestplus " MATCH, "s"},
    Row{"virustest", Op::virustest, Kind::test, "virustest", MATCH, "s"},
    Row{"valid_notify_method", Op::valid_notify_method, Kind::test, "enotify", "", "l"},
    Row{"notify_method_capability", Op::notify_method_capability, Kind::test, "enotify", MATCH, "ssl"},
    Row{"valid_ext_list", Op::valid_ext_list, Kind::test, "extlists", "", "l"},
};

#undef MATCH
#undef MATCH_OR_LIST
#undef PART
#undef INDEX
#undef OF_MIME
#undef INTO
#undef MODIFIERS

std::string_view cut(std::string_view& text, char separator) {
    const auto at = std::min(text.find(separator), text.size());
    const auto first = text.substr(0, at);
    text.remove_prefix(std::min(at + 1, text.size()));
    return first;
}

Capabilities read_needs(std::string_view text) {
    Capabilities needs;
    while (!text.empty()) needs.add(find_capability(cut(text, '|')).value());
    return needs;
}

Takes read_type(char c) {
    switch (c) {
        case 'n':
        case 'N': return Takes::number;
        case 's':
        case 'S': return Takes::string;
        default: return Takes::list;
    }
}

TagRow read_tag(std::string_view text) {
    TagRow row;
    auto rest = text;
    const auto words = cut(rest, '/');
    row.group = rest;
    rest = words;
    auto name = cut(rest, '@');
    row.needs = read_needs(rest);
    rest = name;
    row.name = cut(rest, ':');
    if (!rest.empty()) row.takes = read_type(rest.front());
    const auto* found = std::ranges::find(kTags, row.name, [](const auto& one) { return one.first; });
    assert(found != kTags.end());
    row.tag = found->second;
    return row;
}

CommandRow read(const Row& row) {
    CommandRow out{row.name, row.op, row.kind, read_needs(row.needs), {}, {}, row.tests, row.block};
    for (auto rest = row.tags; !rest.empty();)
        if (const auto one = cut(rest, ' '); !one.empty()) out.tags.push_back(read_tag(one));
    bool optional = false;
    for (const char c : row.positional) {
        if (c != '?') out.positional.push_back({read_type(c), optional, c < 'a'});
        optional = c == '?';
    }
    return out;
}

}  // namespace

std::optional<Capability> find_capability(std::string_view name) {
    const auto* found = std::ranges::lower_bound(kCapabilities, name, {}, [](const auto& row) { return row.first; });
    if (found == kCapabilities.end() || found->first != name) return std::nullopt;
    return found->second;
}

std::string_view name_of(Capability capability) {
    return std::ranges::find(kCapabilities, capability, [](const auto& row) { return row.second; })->first;
}

std::string names_of(Capabilities set) {
    std::string out;
    for (const auto& [name, capability] : kCapabilities) {
        if (!set.has(capability)) continue;
        if (!out.empty()) out += " or ";
        out += '"';
        out += name;
        out += '"';
    }
    return out;
}

std::vector<std::string_view> capability_names() {
    std::vector<std::string_view> names;
    for (const auto& [name, capability] : kCapabilities)
        if (capability != Capability::octet && capability != Capability::ascii_casemap) names.push_back(name);
    return names;
}

namespace {

const std::map<std::string_view, CommandRow>& table() {
    static const auto rows = [] {
        std::map<std::string_view, CommandRow> read_rows;
        for (const auto& row : kRows) read_rows.emplace(row.name, read(row));
        return read_rows;
    }();
    return rows;
}

}  // namespace

std::string_view name_of(Op op) {
    for (const auto& [name, row] : table())
        if (row.op == op) return name;
    return {};
}

const CommandRow* find_command(std::string_view name) {
    const auto found = table().find(name);
    return found == table().end() ? nullptr : &found->second;
}

}  // namespace poplar::sieve
