// BODY and BODYSTRUCTURE (RFC 9051 s7.5.2), part by part.
#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "imap/fetch_items.h"
#include "mail/mime_value.h"

namespace poplar::imap {

namespace {

using Kind = mail::ContentType::Kind;
using mail::KeptField;
using Part = mail::Structure::Part;

bool is_multipart(Kind kind) {
    return kind == Kind::multipart || kind == Kind::signed_multipart || kind == Kind::digest;
}

bool is_message_type(const mail::MimeValue& type) {
    return ascii::same(type.type, "message") &&
           (ascii::same(type.subtype, "rfc822") || ascii::same(type.subtype, "global"));
}

mail::MimeValue plain_text() { return {"text", "plain", {{"charset", "us-ascii"}}}; }

/// RFC 2045 s5.2 where nothing is said, or nothing that can be read. A multipart that has no boundary is a text.
mail::MimeValue type_of(const Part& part) {
    if (const auto value = part.field(KeptField::content_type)) {
        auto type = mail::parse_raw_mime_value(*value);
        const bool multipart = type && ascii::same(type->type, "multipart");
        if (type && !type->subtype.empty() && multipart == is_multipart(part.kind) &&
            is_message_type(*type) == (part.kind == Kind::message))
            return std::move(*type);
    }
    if (part.kind == Kind::message) return {"message", "rfc822", {}};
    if (is_multipart(part.kind)) return {"multipart", "mixed", {}};
    return plain_text();
}

class StructureWriter {
public:
    StructureWriter(std::string& out, const mail::Structure& structure, Extensions extensions, TextForm form)
        : out_(out), structure_(structure), extensions_(extensions), form_(form) {}

    /// Levels are bounded by the walk that made the structure, or by the row's decoder. Returns the part behind.
    std::size_t write(std::size_t number) {
        const auto& part = structure_.parts[number];
        out_ += '(';
        const auto behind = is_multipart(part.kind) ? multipart(number) : single(number);
        out_ += ')';
        return behind;
    }

private:
    void string(std::string_view text) { write_string(out_, text, form_); }
    void nil() { out_ += "NIL"; }
    void nstring(const Part& part, KeptField name) {
        const auto value = part.field(name);
        if (value)
            string(*value);
        else
            nil();
    }
    void number(std::uint64_t value) { write_number(out_, value); }
    void space() { out_ += ' '; }

    void parameters(const mail::MimeValue& value) {
        if (value.parameters.empty()) return nil();
        out_ += '(';
        for (const auto& one : value.parameters) {
            if (&one != &value.parameters.front()) space();
            string(one.name);
            space();
            string(one.value);
        }
        out_ += ')';
    }

    /// A part of a multipart that has none: the grammar wants one.
    void empty_text() {
        out_ += R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)";
        if (extensions_ == Extensions::yes) out_ += " NIL NIL NIL NIL";
        out_ += ')';
    }

    std::size_t multipart(std::size_t number) {
        const auto& part = structure_.parts[number];
        const auto& parts = structure_.parts;
        auto next = number + 1;
        const bool any = next < parts.size() && parts[next].level > part.level;
        while (next < parts.size() && parts[next].level > part.level) next = write(next);
        if (!any) empty_text();
        const auto type = type_of(part);
        space();
        string(type.subtype);
        if (extensions_ == Extensions::no) return next;
        space();
        parameters(type);
        extensions(part);
        return next;
    }

    std::size_t single(std::size_t number_of_part) {
        const auto& parts = structure_.parts;
        const auto& part = parts[number_of_part];
        const auto type = type_of(part);
        string(type.type);
        space();
        string(type.subtype);
        space();
        parameters(type);
        space();
        nstring(part, KeptField::content_id);
        space();
        nstring(part, KeptField::content_description);
        space();
        encoding(part);
        space();
        number(part.body_octets);
        auto next = number_of_part + 1;
        if (part.kind == Kind::message) {
            const bool holds_one = next < parts.size() && parts[next].level > part.level;
            space();
            write_envelope(out_, holds_one ? parts[next] : Part(), form_);
            space();
            if (holds_one)
                next = write(next);
            else
                empty_text();
        }
        if (part.kind == Kind::message || ascii::same(type.type, "text")) {
            space();
            number(part.body_lines);
        }
        if (extensions_ == Extensions::no) return next;
        space();
        nstring(part, KeptField::content_md5);
        extensions(part);
        return next;
    }

    /// A token; what stands behind it is no mechanism (RFC 2045 s6.1).
    void encoding(const Part& part) {
        auto value = part.field(KeptField::content_transfer_encoding).value_or("");
        value = value.substr(0, std::min(value.find_first_of(" \t;("), value.size()));
        string(value.empty() ? std::string_view("7bit") : value);
    }

    void extensions(const Part& part) {
        space();
        disposition(part);
        space();
        language(part);
        space();
        nstring(part, KeptField::content_location);
    }

    void disposition(const Part& part) {
        const auto value = part.field(KeptField::content_disposition);
        const auto read = value ? mail::parse_raw_mime_value(*value) : std::nullopt;
        if (!read) return nil();
        out_ += '(';
        string(read->type);
        space();
        parameters(*read);
        out_ += ')';
    }

    void language(const Part& part) {
        auto rest = part.field(KeptField::content_language).value_or("");
        std::vector<std::string_view> languages;
        while (!rest.empty()) {
            const auto one = rest.substr(0, rest.find(','));
            rest.remove_prefix(std::min(one.size() + 1, rest.size()));
            if (const auto trimmed = ascii::trim(one); !trimmed.empty()) languages.push_back(trimmed);
        }
        if (languages.empty()) return nil();
        if (languages.size() == 1) return string(languages.front());
        out_ += '(';
        for (const auto one : languages) {
            if (one.data() != languages.front().data()) space();
            string(one);
        }
        out_ += ')';
    }

    std::string& out_;
    const mail::Structure& structure_;
    const Extensions extensions_;
    const TextForm form_;
};

}  // namespace

void write_body_structure(std::string& out, const mail::Structure& structure, Extensions extensions, TextForm form) {
    StructureWriter(out, structure, extensions, form).write(0);
}

}  // namespace poplar::imap
