// The body (RFC 5173), and what changes it: replace, enclose, extracttext (RFC 5703).
#include <fmt/format.h>
#include <unistr.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/charset.h"
#include "mail/decode.h"
#include "mail/field_writer.h"
#include "mail/mime_value.h"
#include "sieve/compose.h"
#include "sieve/machine.h"

namespace poplar::sieve {

namespace {

using Kind = mail::ContentType::Kind;

constexpr std::size_t kMostOfPart = 4u << 20;   // octets of a part's body that tests look at
constexpr std::size_t kMostKept = 256u * 1024;  // of one decoded part that is kept for the next test

bool is_multipart(const Part& part) {
    return part.kind == Kind::multipart || part.kind == Kind::signed_multipart || part.kind == Kind::digest;
}

std::string field_value(const std::vector<Field>& fields, std::string_view name) {
    for (const auto& field : fields)
        if (ascii::same(field.name, name)) return field.unfolded();
    return {};
}

/// The type of a part; RFC 2045 s5.2 where nothing is said.
mail::MimeValue type_of(const std::vector<Field>& fields, const Part& part) {
    const auto text = field_value(fields, "content-type");
    auto parsed = mail::parse_mime_value(text);
    if (parsed && !parsed->subtype.empty()) return std::move(*parsed);
    mail::MimeValue plain{"text", "plain", {}};
    if (part.kind == Kind::message) plain = {"message", "rfc822", {}};
    return plain;
}

/// RFC 5173 s5.2.
bool is_wanted(const mail::MimeValue& type, std::string_view wanted) {
    if (wanted.empty()) return true;
    const auto slash = wanted.find('/');
    if (slash == std::string_view::npos) return ascii::same(wanted, type.type);
    if (slash == 0 || slash + 1 == wanted.size() || wanted.find('/', slash + 1) != std::string_view::npos) return false;
    return ascii::same(wanted.substr(0, slash), type.type) && ascii::same(wanted.substr(slash + 1), type.subtype);
}

bool is_of_mime(std::string_view name) {
    return ascii::starts_with(name, "content-") || ascii::same(name, "mime-version");
}

}  // namespace

/// The text of a part that holds no others, without its transfer encoding and, if it is text, in UTF-8.
std::string Machine::part_text(std::size_t number, bool as_text) {
    if (const auto found = part_texts_.find(number); found != part_texts_.end()) return found->second;
    const auto& part = message_.parts()[number];
    const auto fields = message_.fields_of(part);
    const auto body = message_.octets().substr(part.body, std::min(part.end - part.body, kMostOfPart));
    charge(2 + body.size() / 16);
    auto decoded = mail::decode_transfer(body, field_value(fields, "content-transfer-encoding"));
    if (!decoded) return {};
    const auto type = type_of(fields, part);
    if (as_text || type.type == "text") {
        const auto* charset = type.parameter("charset");
        if (charset && !ascii::same(*charset, "utf-8") && !ascii::same(*charset, "us-ascii")) {
            charge(decoded->size() / 4);
            if (auto converted = mail::to_utf8(*charset, *decoded)) decoded = std::move(*converted);
        }
    }
    if (decoded->size() <= kMostKept) {  // larger ones are decoded anew, and never two at a time
        spend(decoded->size());
        part_texts_[number] = *decoded;
    }
    return std::move(*decoded);
}

bool Machine::body(const Node& node) {
    const auto& keys = node.arguments[0].strings;
    const bool counts = node.match.type == Match::Type::count;
    const auto root = frame().root;
    if (node.has(Tag::raw)) {
        auto octets = message_.body();
        if (root != 0 && root < message_.parts().size()) {
            const auto& at = message_.parts()[root];
            octets = message_.octets().substr(at.body, at.end - at.body);
        }
        return counts ? match_count(node, 1, keys) : match_keys(node, octets, keys);
    }
    const bool text = !node.has(Tag::content);
    const auto wanted = text ? std::vector<std::string>{"text"} : expand(node.tag(Tag::content)->strings);
    std::uint64_t count = 0;
    const auto& parts = message_.parts();
    charge(parts.size());
    for (std::size_t i = root; i < parts.size() && i < parts[root].behind; ++i) {
        const auto& part = parts[i];
        const auto type = type_of(message_.fields_of(part), part);
        charge(2 + (part.body - part.begin) / 32);
        if (std::ranges::none_of(wanted, [&](const auto& one) { return is_wanted(type, one); })) continue;
        ++count;
        if (counts) continue;
        bool found = false;
        if (is_multipart(part)) {
            found = match_keys(node, part.prologue, keys) || match_keys(node, part.epilogue, keys);
        } else if (part.kind == Kind::message) {
            const bool holds_one = i + 1 < parts.size() && i + 1 < part.behind;
            const auto begin = holds_one ? parts[i + 1].begin : 0, end = holds_one ? parts[i + 1].body : 0;
            found = match_keys(node, message_.octets().substr(begin, end - begin), keys);
        } else {
            found = match_keys(node, part_text(i, text), keys);
        }
        if (found) return true;
    }
    return counts && match_count(node, count, keys);
}

void Machine::extracttext(const Node& node) {
    std::string text;
    if (const auto number = current_part(); !frame().loops.empty() && number < message_.parts().size()) {
        const auto& parts = message_.parts();
        const auto type = type_of(message_.fields_of(parts[number]), parts[number]);
        const auto* charset = type.parameter("charset");
        const bool readable = !is_multipart(parts[number]) && parts[number].kind != Kind::message &&
                              (!charset || !mail::iconv_name(*charset).empty());
        if (readable) text = part_text(number, true);
        if (!mail::is_utf8(text)) text.clear();
    }
    if (const auto* first = node.tag(Tag::first)) {
        std::size_t at = 0;
        for (std::uint64_t n = 0; n < first->number && at < text.size(); ++n) {
            ++at;
            while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xc0) == 0x80) ++at;
        }
        charge(at / 32);
        text.resize(at);
    }
    assign(node, node.arguments[0].strings[0].source(), modified(node, std::move(text)));
}

void Machine::rewrite(std::string octets, std::vector<std::string> fixed) {
    spend(octets.size());
    charge(octets.size() / 64);
    message_.become(std::move(octets), std::move(fixed));
    values_.clear();
    part_texts_.clear();
    state_known_ = false;
}

void Machine::replace(const Node& node) {
    auto text = with_crlf(expand_first(node.arguments[0]));
    const bool whole = frame().loops.empty() && frame().root == 0;
    std::string entity;
    if (node.has(Tag::mime))
        entity = std::move(text);
    else
        entity = fmt::format("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n{}",
                             mail::has_8bit(text) ? "8bit" : "7bit", text);
    const auto number = current_part();
    if (!whole && number != 0) {
        if (number >= message_.parts().size()) return;
        const auto& part = message_.parts()[number];
        const auto octets = message_.octets();
        std::string out = message_.header();
        const auto header = octets.size() - message_.body().size();
        if (part.begin < header) return;
        out += octets.substr(header, part.begin - header);
        out += entity;
        const auto rest = octets.substr(part.end);
        if (!rest.empty() && !rest.starts_with("\r\n") && !rest.starts_with('\n') && !out.ends_with('\n'))
            out += "\r\n";
        out += rest;
        return rewrite(std::move(out));
    }
    std::string out;
    std::vector<std::string> fixed;
    const auto subject = tag_value(node, Tag::subject), from = tag_value(node, Tag::from);
    const bool new_subject = node.has(Tag::subject), new_from = node.has(Tag::from) && is_one_address(from);
    if (new_subject) out += write_field("Subject", subject);
    if (new_from) out += write_address_field("From", from);
    for (const auto& field : message_.fields()) {
        if (is_of_mime(field.name)) continue;
        const bool was_subject = new_subject && ascii::same(field.name, "subject");
        const bool was_from = new_from && ascii::same(field.name, "from");
        if (was_subject || was_from) {
            fixed.push_back(was_subject ? "Original-Subject" : "Original-From");
            out += fixed.back();
            out += field.raw.substr(std::min(field.raw.find(':'), field.raw.size()));
        } else {
            out += field.raw;
        }
        if (!out.ends_with('\n')) out += "\r\n";
    }
    out += "MIME-Version: 1.0\r\n";
    out += entity;
    rewrite(std::move(out), std::move(fixed));
}

void Machine::enclose(const Node& node) {
    const auto text = with_crlf(expand_first(node.arguments[0]));
    const auto original = message_.text();
    spend(original.size());
    const auto boundary =
        fmt::format("enclosed-{}", message_id(fmt::format("enclose {}", out_.instructions)).substr(1, 24));
    std::string out;
    std::vector<std::string> kept;
    if (const auto* headers = node.tag(Tag::headers)) kept = expand(headers->strings);
    bool date = false, from = false, subject = false;
    if (node.has(Tag::subject)) {
        out += write_field("Subject", tag_value(node, Tag::subject));
        subject = true;
    }
    for (const auto& field : message_.fields()) {
        const bool wanted = std::ranges::any_of(kept, [&](const auto& one) { return ascii::same(one, field.name); });
        const bool inherited = ascii::same(field.name, "subject") && !node.has(Tag::subject);
        if ((!wanted && !inherited) || is_of_mime(field.name)) continue;
        if (ascii::same(field.name, "subject") && subject) continue;
        subject |= ascii::same(field.name, "subject");
        date |= ascii::same(field.name, "date");
        from |= ascii::same(field.name, "from");
        out += field.raw;
        if (!out.ends_with('\n')) out += "\r\n";
    }
    if (!date) out += fmt::format("Date: {}\r\n", format(DatePart::std11, now()));
    if (!from) out += fmt::format("From: {}\r\n", own_address());
    out += fmt::format(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"{0}\"\r\n\r\n--{0}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: {1}\r\n\r\n{2}\r\n--{0}\r\n"
        "Content-Type: message/rfc822\r\n\r\n",
        boundary, mail::has_8bit(text) ? "8bit" : "7bit", text);
    out += original;
    out += fmt::format("\r\n--{}--\r\n", boundary);
    rewrite(std::move(out));
}

}  // namespace poplar::sieve
