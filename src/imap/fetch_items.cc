// Names of FETCH's items, and the items that need no octet of the message.
#include "imap/fetch_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <utility>

#include "base/ascii.h"
#include "mail/address_list.h"
#include "mail/date.h"

namespace poplar::imap {

namespace {

using Kind = FetchItem::Kind;
using mail::KeptField;

constexpr std::size_t kMostAddresses = 10'000;  // of a field

struct Name {
    std::string_view name;
    Kind kind;
};
constexpr std::array<Name, 16> kNames = {{
    {"FLAGS", Kind::flags},
    {"UID", Kind::uid},
    {"INTERNALDATE", Kind::internal_date},
    {"RFC822.SIZE", Kind::size},
    {"ENVELOPE", Kind::envelope},
    {"BODYSTRUCTURE", Kind::body_structure},
    {"BODY", Kind::body},
    {"RFC822", Kind::rfc822},
    {"RFC822.HEADER", Kind::rfc822_header},
    {"RFC822.TEXT", Kind::rfc822_text},
    {"MODSEQ", Kind::mod_sequence},
    {"EMAILID", Kind::email_id},
    {"THREADID", Kind::thread_id},
    {"SAVEDATE", Kind::save_date},
    {"PREVIEW", Kind::preview},
    {"BINARY.SIZE", Kind::binary_size},
}};

std::unexpected<Error> refuse(std::string text) { return fail(Errc::invalid, std::move(text)); }

/// Letters, digits and dots: "[" begins a section.
std::string_view take_name(Cursor& in) {
    const auto rest = in.rest();
    std::size_t size = 0;
    while (size < rest.size() && (ascii::is_alnum(rest[size]) || rest[size] == '.')) ++size;
    in.skip(size);
    return rest.substr(0, size);
}

/// Reads the section behind BODY or BINARY, beginning with "[".
Result<FetchItem> parse_bracketed(Cursor& in, std::string_view name) {
    FetchItem item;
    const bool is_size = ascii::same(name, "BINARY.SIZE");
    item.peek = ascii::same(name, "BODY.PEEK") || ascii::same(name, "BINARY.PEEK");
    const bool is_body = ascii::same(name, "BODY") || ascii::same(name, "BODY.PEEK");
    if (!is_body && !is_size && !ascii::same(name, "BINARY") && !ascii::same(name, "BINARY.PEEK"))
        return refuse(fmt::format("\"{}\" has no sections", name.substr(0, 40)));
    item.kind = is_body ? Kind::section : is_size ? Kind::binary_size : Kind::binary;
    in.skip(1);
    auto section = is_body ? parse_section(in) : parse_binary_section(in);
    if (!section) return pass_on(section);
    item.section = std::move(*section);
    if (!in.take(']')) return refuse("\"]\" is missing behind a section");
    if (is_size) return item;
    auto partial = parse_partial(in);
    if (!partial) return pass_on(partial);
    item.partial = *partial;
    return item;
}

/// RFC 8970 s3: PREVIEW may have modifiers.
Result<FetchItem> parse_preview(Cursor& in) {
    FetchItem item{.kind = Kind::preview};
    auto behind = in;
    if (!behind.space() || !behind.take('(')) return item;
    do {
        if (!ascii::same(take_name(behind), "LAZY")) return refuse("PREVIEW has no such modifier");
        item.lazy = true;
    } while (behind.space());
    if (!behind.take(')')) return refuse("\")\" is missing behind PREVIEW's modifiers");
    in = behind;
    return item;
}

Result<FetchItem> parse_item(Cursor& in) {
    const auto name = take_name(in);
    if (in.at('[')) return parse_bracketed(in, name);
    const auto* found = std::ranges::find_if(kNames, [&](const Name& one) { return ascii::same(one.name, name); });
    if (found == kNames.end() || found->kind == Kind::binary_size)
        return refuse(fmt::format("\"{}\" is nothing that FETCH can give", name.substr(0, 40)));
    if (found->kind == Kind::preview) return parse_preview(in);
    return FetchItem{.kind = found->kind};
}

/// RFC 9051 s6.4.5: macros stand alone.
std::optional<std::vector<FetchItem>> take_macro(Cursor& in) {
    auto behind = in;
    const auto name = take_name(behind);
    std::vector<FetchItem> items;
    const auto add = [&](Kind kind) { items.push_back({.kind = kind}); };
    const bool all = ascii::same(name, "ALL"), full = ascii::same(name, "FULL"), fast = ascii::same(name, "FAST");
    if (!all && !full && !fast) return std::nullopt;
    for (auto kind : {Kind::flags, Kind::internal_date, Kind::size}) add(kind);
    if (all || full) add(Kind::envelope);
    if (full) add(Kind::body);
    in = behind;
    return items;
}

void write_nstring(std::string& out, std::optional<std::string_view> text, TextForm form) {
    if (text)
        write_string(out, *text, form);
    else
        out += "NIL";
}

void write_two_digits(std::string& out, unsigned number, char pad = '0') {
    out += number < 10 ? pad : static_cast<char>('0' + number / 10);
    out += static_cast<char>('0' + number % 10);
}

void write_address(std::string& out, const mail::ListedAddress& address, TextForm form) {
    using Is = mail::ListedAddress::Is;
    const auto text_or_nil = [&](const std::string& text) {
        if (text.empty())
            out += "NIL";
        else
            write_string(out, text, form);
    };
    out += '(';
    if (address.is == Is::group_begins) {  // RFC 9051 s7.5.2: a group begins with a NIL host, and ends with all NIL
        out += "NIL NIL ";
        write_string(out, address.name, form);
        out += " NIL";
    } else if (address.is == Is::group_ends) {
        out += "NIL NIL NIL NIL";
    } else {
        text_or_nil(address.name);
        out += " NIL ";
        write_string(out, address.local, form);
        out += ' ';
        write_string(out, address.domain, form);  // not NIL: that would make it a group
    }
    out += ')';
}

/// Whether there was one.
bool write_addresses(std::string& out, std::optional<std::string_view> value, TextForm form) {
    if (!value) return false;
    const auto addresses = mail::parse_address_groups(*value, kMostAddresses);
    if (addresses.empty()) return false;
    out += '(';
    for (const auto& address : addresses) write_address(out, address, form);
    out += ')';
    return true;
}

}  // namespace

bool FetchItem::sets_seen() const {
    switch (kind) {
        case Kind::rfc822:
        case Kind::rfc822_text: return true;
        case Kind::section:
        case Kind::binary: return !peek;
        default: return false;
    }
}

Result<std::vector<FetchItem>> parse_fetch_items(Cursor& in) {
    if (auto macro = take_macro(in)) return std::move(*macro);
    std::vector<FetchItem> items;
    const bool list = in.take('(');
    do {
        if (items.size() == kMostFetchItems) return refuse("too many items");
        auto item = parse_item(in);
        if (!item) return pass_on(item);
        items.push_back(std::move(*item));
    } while (list && in.space());
    if (list && !in.take(')')) return refuse("\")\" is missing behind the items");
    return items;
}

FetchNeeds needs_of(std::span<const FetchItem> items) {
    FetchNeeds needs;
    for (const auto& item : items) {
        const auto kind = item.kind;
        needs.record |= kind == Kind::internal_date || kind == Kind::size || kind == Kind::email_id ||
                        kind == Kind::save_date || kind == Kind::thread_id;
        needs.thread |= kind == Kind::thread_id;
        needs.structure |= kind >= Kind::envelope;
        needs.octets |= item.needs_octets();
        needs.sets_seen |= item.sets_seen();
    }
    needs.record |= needs.structure;
    return needs;
}

void write_date_time(std::string& out, Timestamp time) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
    const auto day = std::chrono::floor<std::chrono::days>(seconds);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(seconds - day);
    out += '"';
    write_two_digits(out, static_cast<unsigned>(date.day()), ' ');
    out += '-';
    out += mail::kMonths[static_cast<unsigned>(date.month()) - 1];
    out += '-';
    const auto year = static_cast<unsigned>(std::clamp(static_cast<int>(date.year()), 0, 9999));
    write_two_digits(out, year / 100);
    write_two_digits(out, year % 100);
    out += ' ';
    write_two_digits(out, static_cast<unsigned>(clock.hours().count()));
    out += ':';
    write_two_digits(out, static_cast<unsigned>(clock.minutes().count()));
    out += ':';
    write_two_digits(out, static_cast<unsigned>(clock.seconds().count()));
    out += " +0000\"";
}

// RFC 9051 s7.5.2. Sender and Reply-To that are not there, or have no address, are as From is.
void write_envelope(std::string& out, const mail::Structure::Part& message, TextForm form) {
    out += '(';
    write_nstring(out, message.field(KeptField::date), form);
    out += ' ';
    write_nstring(out, message.field(KeptField::subject), form);
    out += ' ';
    const auto from = out.size();
    if (!write_addresses(out, message.field(KeptField::from), form)) out += "NIL";
    const auto from_size = out.size() - from;
    for (const auto field : {KeptField::sender, KeptField::reply_to}) {
        out += ' ';
        if (!write_addresses(out, message.field(field), form)) {
            out.reserve(out.size() + from_size);
            out.append(out, from, from_size);
        }
    }
    for (const auto field : {KeptField::to, KeptField::cc, KeptField::bcc}) {
        out += ' ';
        if (!write_addresses(out, message.field(field), form)) out += "NIL";
    }
    out += ' ';
    write_nstring(out, message.field(KeptField::in_reply_to), form);
    out += ' ';
    write_nstring(out, message.field(KeptField::message_id), form);
    out += ')';
}

void write_item(std::string& out, const FetchItem& item, const FetchFacts& facts, TextForm form) {
    const auto in_parentheses = [&](std::string_view name, std::string_view text) {
        out += name;
        out += " (";
        out += text;
        out += ')';
    };
    switch (item.kind) {
        case Kind::uid:
            out += "UID ";
            write_number(out, facts.uid);
            break;
        case Kind::flags: in_parentheses("FLAGS", facts.flags); break;
        case Kind::mod_sequence:
            out += "MODSEQ (";
            write_number(out, facts.mod_sequence);
            out += ')';
            break;
        case Kind::internal_date:
            out += "INTERNALDATE ";
            write_date_time(out, facts.received);
            break;
        case Kind::size:
            out += "RFC822.SIZE ";
            write_number(out, facts.octets);
            break;
        case Kind::email_id: in_parentheses("EMAILID", facts.email_id); break;
        case Kind::thread_id:
            if (facts.thread_id.empty())
                out += "THREADID NIL";
            else
                in_parentheses("THREADID", facts.thread_id);
            break;
        case Kind::save_date:
            out += "SAVEDATE ";
            if (facts.saved)
                write_date_time(out, *facts.saved);
            else
                out += "NIL";
            break;
        case Kind::envelope:
            out += "ENVELOPE ";
            write_envelope(out, facts.structure->parts.front(), form);
            break;
        case Kind::body:
            out += "BODY ";
            write_body_structure(out, *facts.structure, Extensions::no, form);
            break;
        case Kind::body_structure:
            out += "BODYSTRUCTURE ";
            write_body_structure(out, *facts.structure, Extensions::yes, form);
            break;
        case Kind::section:
        case Kind::rfc822:
        case Kind::rfc822_header:
        case Kind::rfc822_text:
        case Kind::binary:
        case Kind::binary_size:
        case Kind::preview: break;
    }
}

}  // namespace poplar::imap
