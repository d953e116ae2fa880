// Section specifications, and the octets of a message that they mean.
#include "imap/section.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

#include "imap/text_form.h"

namespace poplar::imap {

namespace {

using Kind = mail::ContentType::Kind;
using What = Section::What;

std::unexpected<Error> refuse(std::string text) { return fail(Errc::invalid, std::move(text)); }

bool is_multipart(Kind kind) {
    return kind == Kind::multipart || kind == Kind::signed_multipart || kind == Kind::digest;
}

Result<std::vector<std::string>> parse_field_names(Cursor& in) {
    std::vector<std::string> names;
    if (!in.space() || !in.take('(')) return refuse("a list of header fields is missing");
    do {
        auto name = in.astring();
        if (!name || name->empty()) return refuse("a header field's name is missing");
        if (names.size() == Section::kMostFields) return refuse("too many header fields");
        names.push_back(std::move(*name));
    } while (in.space());
    if (!in.take(')')) return refuse("\")\" is missing behind the header fields");
    return names;
}

Result<> parse_numbers(Cursor& in, Section& section) {
    do {
        const auto number = in.nonzero();
        if (!number) return refuse("a part's number is missing, or 0");
        if (section.part.size() == Section::kMostLevels) return refuse("too many numbers in a section");
        section.part.push_back(*number);
        if (in.at(']')) return {};
        if (!in.take('.') || in.at(']')) return refuse("not a section");
    } while (!in.rest().empty() && in.rest().front() >= '0' && in.rest().front() <= '9');
    return {};
}

/// The n-th part, from 1, of those that are a level below.
std::optional<std::size_t> child(const mail::Structure& structure, std::size_t part, std::uint32_t n) {
    const auto& parts = structure.parts;
    const auto level = parts[part].level + 1;
    for (auto i = part + 1; i < parts.size() && parts[i].level >= level; ++i)
        if (parts[i].level == level && --n == 0) return i;
    return std::nullopt;
}

Extent header_of(const mail::Structure::Part& part) { return {part.begin, part.body, part.header_octets}; }
Extent body_of(const mail::Structure::Part& part) { return {part.body, part.end, part.body_octets}; }

}  // namespace

Result<Section> parse_section(Cursor& in) {
    Section section;
    if (in.at(']')) return section;
    const bool numbered = !in.rest().empty() && in.rest().front() >= '0' && in.rest().front() <= '9';
    if (numbered) {
        if (auto done = parse_numbers(in, section); !done) return pass_on(done);
        if (in.at(']')) return section;
    }
    // The longer words first: one begins with the other.
    if (in.take_word("HEADER.FIELDS.NOT"))
        section.what = What::header_fields_not;
    else if (in.take_word("HEADER.FIELDS"))
        section.what = What::header_fields;
    else if (in.take_word("HEADER"))
        section.what = What::header;
    else if (in.take_word("TEXT"))
        section.what = What::text;
    else if (numbered && in.take_word("MIME"))
        section.what = What::mime;
    else
        return refuse("not a section");
    if (section.what == What::header_fields || section.what == What::header_fields_not) {
        auto names = parse_field_names(in);
        if (!names) return pass_on(names);
        section.fields = std::move(*names);
    }
    if (!in.at(']')) return refuse("not a section");
    return section;
}

Result<Section> parse_binary_section(Cursor& in) {
    Section section;
    if (in.at(']')) return section;
    if (auto done = parse_numbers(in, section); !done) return pass_on(done);
    if (!in.at(']')) return refuse("not a section of BINARY");
    return section;
}

Result<std::optional<Partial>> parse_partial(Cursor& in) {
    if (!in.take('<')) return std::optional<Partial>();
    Partial partial;
    const auto offset = in.number();
    const bool dot = in.take('.');
    const auto octets = in.number();
    if (!offset || !dot || !octets || *octets == 0 || *offset >> 63 != 0 || *octets >> 63 != 0 || !in.take('>'))
        return refuse("not a partial: <offset.octets>, and octets not 0");
    partial.offset = *offset;
    partial.octets = *octets;
    return partial;
}

void write_section(std::string& out, const Section& section) {
    bool first = true;
    for (const auto number : section.part) {
        if (!std::exchange(first, false)) out += '.';
        write_number(out, number);
    }
    if (section.what == What::whole) return;
    if (!first) out += '.';
    switch (section.what) {
        case What::whole: break;
        case What::header: out += "HEADER"; break;
        case What::text: out += "TEXT"; break;
        case What::mime: out += "MIME"; break;
        case What::header_fields:
        case What::header_fields_not:
            out += section.what == What::header_fields ? "HEADER.FIELDS (" : "HEADER.FIELDS.NOT (";
            for (const auto& field : section.fields) {
                if (&field != &section.fields.front()) out += ' ';
                write_astring(out, field, TextForm::ascii);
            }
            out += ')';
    }
}

// RFC 9051 s6.4.5.1: the parts of a multipart have numbers from 1. A message that is no multipart has one part, its
// body; what a message/rfc822 has inside is numbered as that message's own parts are.
std::optional<std::size_t> find_part(const mail::Structure& structure, const std::vector<std::uint32_t>& numbers) {
    if (structure.parts.empty()) return std::nullopt;
    std::size_t at = 0;
    bool as_message = true;  // and not as a part of one
    for (const auto number : numbers) {
        auto container = at;
        if (!as_message && structure.parts[at].kind == Kind::message) {
            const auto inner = child(structure, at, 1);
            if (!inner) return std::nullopt;
            container = *inner;
            as_message = true;
        }
        if (is_multipart(structure.parts[container].kind)) {
            const auto found = child(structure, container, number);
            if (!found) return std::nullopt;
            at = *found;
        } else if (as_message && number == 1) {
            at = container;
        } else {
            return std::nullopt;
        }
        as_message = false;
    }
    return at;
}

std::optional<Extent> find_section(const mail::Structure& structure, const Section& section) {
    const auto found = find_part(structure, section.part);
    if (!found) return std::nullopt;
    const auto* part = &structure.parts[*found];
    if (section.part.empty()) {
        if (section.what == What::whole) return Extent{part->begin, part->end, part->header_octets + part->body_octets};
    } else {
        if (section.what == What::whole) return body_of(*part);
        if (section.what == What::mime) return header_of(*part);
        // HEADER and TEXT are of the message in a message/rfc822.
        const auto inner = part->kind == Kind::message ? child(structure, *found, 1) : std::nullopt;
        if (!inner) return std::nullopt;
        part = &structure.parts[*inner];
    }
    return section.what == What::text ? body_of(*part) : header_of(*part);
}

}  // namespace poplar::imap
