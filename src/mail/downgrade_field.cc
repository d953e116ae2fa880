// RFC 6857 s3: how each field, and each element in it, becomes ASCII. Where a field breaks its grammar the elements
// that can be told are downgraded, and what is left is encoded, in a comment if it could not stand where it stood: no
// letter is lost.
#include "mail/downgrade_field.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"

namespace poplar::mail {
namespace {

constexpr std::size_t kColumns = 74;         // of a line with a part of a long parameter, its ";" not counted
constexpr std::size_t kLongestName = 32;     // of a parameter that is cut into parts
constexpr std::size_t kMostParameters = 64;  // whose names are compared
constexpr std::string_view kHex = "0123456789ABCDEF";

using ascii::is_wsp;
using ascii::trim;
/// RFC 5322 s2.2.3: takes the CRLFs out, also that of the last line.
std::string unfold(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    while (!text.empty()) {
        const auto newline = text.find('\n');
        auto line = text.substr(0, newline);
        text.remove_prefix(newline == text.npos ? text.size() : newline + 1);
        if (newline != text.npos && line.ends_with('\r')) line.remove_suffix(1);
        out += line;
    }
    return out;
}

/// The tokens of a structured field (RFC 5322 s3.2). A token without an end reaches to the end of the field.
struct Token {
    enum Kind { none, wsp, comment, quoted, literal, special, atom } kind = none;
    std::string_view text;
};
Token next_token(std::string_view in) {
    if (in.empty()) return {};
    const auto until = [&](char open, char close) {
        int depth = 0;
        for (std::size_t i = 0; i < in.size(); ++i) {
            if (in[i] == '\\') {
                ++i;
            } else if (in[i] == close && (open != close || depth > 0)) {
                if (--depth == 0) return in.substr(0, i + 1);
            } else if (in[i] == open) {
                ++depth;
            }
        }
        return in;
    };
    constexpr std::string_view kSpecials = "<>@,:;.()[]\"";
    switch (in.front()) {
        case ' ':
        case '\t': return {Token::wsp, in.substr(0, in.find_first_not_of(" \t"))};
        case '(': return {Token::comment, until('(', ')')};
        case '"': return {Token::quoted, until('"', '"')};
        case '[': return {Token::literal, in.substr(0, std::min(in.find(']'), in.size() - 1) + 1)};
        default: break;
    }
    if (kSpecials.contains(in.front())) return {Token::special, in.substr(0, 1)};
    return {Token::atom, in.substr(0, in.find_first_of("<>@,:;.()[]\" \t"))};
}

/// The offset of the first special that is `wanted`; with `outside_angle` not one within "<" and ">".
std::size_t find_special(std::string_view in, char wanted, bool outside_angle = true) {
    bool angle = false;
    for (std::size_t at = 0; at < in.size();) {
        const auto token = next_token(in.substr(at));
        if (token.kind == Token::special) {
            const char c = token.text.front();
            if (c == wanted && !(outside_angle && angle && wanted != '>')) return at;
            if (c == '<') angle = true;
            if (c == '>') angle = false;
        }
        at += token.text.size();
    }
    return in.npos;
}

/// `text`, a quoted-string or the inside of a comment, without what quotes.
std::string unquote(std::string_view text) {
    if (text.starts_with('"')) text.remove_prefix(1);
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size())
            out += text[++i];
        else if (text[i] != '"')
            out += text[i];
    }
    return out;
}

// The elements

/// `text`, in ASCII, as it is behind `wsp`.
void as_it_is(FieldWriter& out, std::string_view wsp, std::string_view text) {
    const auto first = std::min(text.find_first_of(" \t"), text.size());
    out.word(wsp, text.substr(0, first));
    out.words(text.substr(first));
}

/// A comment that says `text`.
void aside(FieldWriter& out, std::string_view wsp, std::string_view text) {
    if (text.empty()) return out.word(" ", "()");
    out.encoded((wsp.empty() ? " " : std::string(wsp)) + '(', text);
    out.word("", ")");
}

/// RFC 6857 s3.1.3. `text` with its parentheses.
void comment(FieldWriter& out, std::string_view wsp, std::string_view text) {
    if (!has_8bit(text)) return as_it_is(out, wsp, text);
    text.remove_prefix(1);
    if (text.ends_with(')')) text.remove_suffix(1);
    aside(out, wsp, unquote(text));
}

/// RFC 6857 s3.1.2, s3.1.5: a phrase, with the comments in it.
void phrase(FieldWriter& out, std::string_view text) {
    bool quoted = false;
    std::size_t part = 0;
    auto finish_part = [&](std::size_t end) {
        auto words = text.substr(part, end - part);
        if (!has_8bit(words)) return out.words(words);
        if (!quoted) return out.unstructured(words);
        std::string plain;
        for (auto rest = trim(words); !rest.empty();) {
            const auto token = next_token(rest);
            plain += token.kind == Token::quoted ? unquote(token.text) : std::string(token.text);
            rest.remove_prefix(token.text.size());
        }
        out.encoded(" ", plain);
    };
    for (std::size_t at = 0; at < text.size();) {
        const auto token = next_token(text.substr(at));
        quoted |= token.kind == Token::quoted;
        if (token.kind == Token::comment) {
            finish_part(at);
            comment(out, " ", token.text);
            part = at + token.text.size();
            quoted = false;
        }
        at += token.text.size();
    }
    finish_part(text.size());
}

/// RFC 6857 s3.1.6: an addr-spec with U-labels in its domain as one in ASCII; nothing if its local part is not ASCII.
std::optional<std::string> ascii_address(std::string_view text) {
    auto address = parse_address(trim(text), Grammar::tolerant);
    if (!address || has_8bit(address->local)) return std::nullopt;
    auto domain = canonical_domain(address->domain);
    if (!domain) return std::nullopt;
    address->domain = std::move(*domain);
    return to_string(*address);
}

/// `text` without its comments, which are added to `comments`, and without white space.
std::string without_comments(std::string_view text, std::vector<std::string_view>* comments = nullptr) {
    std::string out;
    while (!text.empty()) {
        const auto token = next_token(text);
        if (token.kind == Token::comment && comments != nullptr) comments->push_back(token.text);
        if (token.kind != Token::comment && token.kind != Token::wsp) out += token.text;
        text.remove_prefix(token.text.size());
    }
    return out;
}

/// An address that can't be said in ASCII: a group without members says what it was (RFC 6857 s3.1.8).
void no_address(FieldWriter& out, std::string_view text) {
    out.encoded(" ", trim(text));
    out.word(" ", ":;");
}

/// The addr-spec of a mailbox; `angle`: "<" and ">" belong to it.
std::string_view addr_spec_of(std::string_view mailbox, std::size_t angle) {
    if (angle == mailbox.npos) return mailbox;
    auto inside = mailbox.substr(angle + 1);
    return inside.substr(0, find_special(inside, '>', false));
}

bool can_be_ascii(std::string_view mailbox) {
    auto spec = without_comments(addr_spec_of(mailbox, find_special(mailbox, '<')));
    return !has_8bit(spec) || ascii_address(spec).has_value();
}

/// RFC 6857 s3.1.8.
void mailbox(FieldWriter& out, std::string_view text) {
    text = trim(text);
    const auto angle = find_special(text, '<');
    const auto inside = addr_spec_of(text, angle);
    if (!has_8bit(text)) return as_it_is(out, " ", text);
    std::vector<std::string_view> comments;
    if (angle != text.npos) {
        phrase(out, " " + std::string(trim(text.substr(0, angle))));
        if (!has_8bit(inside)) {
            out.word(" ", "<" + std::string(trim(inside)) + ">");
        } else if (auto address = ascii_address(without_comments(inside, &comments))) {
            out.word(" ", "<" + *address + ">");
            for (auto c : comments) comment(out, " ", c);
        } else {
            no_address(out, inside);
        }
        const auto end = angle + 1 + inside.size() + 1;
        if (end < text.size()) phrase(out, text.substr(end));
        return;
    }
    auto spec = without_comments(text, &comments);
    std::optional<std::string> address;
    if (!has_8bit(spec) && spec.contains('@'))
        address = spec;
    else
        address = ascii_address(spec);
    if (!address) return no_address(out, text);  // also a name without any address
    out.word(" ", *address);
    for (auto c : comments) comment(out, " ", c);
}

/// Calls `act` with each part between commas that stand outside of "<" and ">" and, with `groups`, of ":" and ";".
template <class Act>
void split(std::string_view text, bool groups, Act act) {
    std::size_t begin = 0;
    bool angle = false, group = false;
    for (std::size_t at = 0; at < text.size();) {
        const auto token = next_token(text.substr(at));
        if (token.kind == Token::special) {
            const char c = token.text.front();
            if (c == '<') angle = true;
            if (c == '>') angle = false;
            if (c == ':' && groups && !angle) group = true;
            if (c == ';' && !angle) group = false;
            if (c == ',' && !angle && !group) {
                act(text.substr(begin, at - begin));
                begin = at + 1;
            }
        }
        at += token.text.size();
    }
    act(text.substr(begin));
}

/// RFC 6857 s3.1.7.
void group(FieldWriter& out, std::string_view text, std::size_t colon) {
    auto list = text.substr(colon + 1);
    const auto end = find_special(list, ';');
    const auto after = end == list.npos ? std::string_view() : list.substr(end + 1);
    list = list.substr(0, end);
    phrase(out, " " + std::string(trim(text.substr(0, colon))));
    bool ascii = true;
    split(list, false, [&](std::string_view member) { ascii = ascii && can_be_ascii(member); });
    if (!ascii) {
        no_address(out, list);
    } else {
        out.word(out.after_encoded() ? " " : "", ":");
        bool first = true;
        split(list, false, [&](std::string_view member) {
            if (!std::exchange(first, false)) out.word("", ",");
            mailbox(out, member);
        });
        out.word("", ";");
    }
    if (has_8bit(after) || !trim(after).empty()) phrase(out, after);
}

// The fields

/// RFC 6857 s3.2.1.
void addresses(FieldWriter& out, std::string_view value) {
    bool first = true;
    split(value, true, [&](std::string_view part) {
        if (!std::exchange(first, false)) out.word("", ",");
        const auto colon = find_special(part, ':');
        if (colon != part.npos && has_8bit(part))
            group(out, part, colon);
        else
            mailbox(out, part);
    });
}

/// Comment downgrading of a structured field; false if something else is not ASCII (RFC 6857 s3.2.2).
bool comments_only(FieldWriter& out, std::string_view value) {
    std::size_t part = 0;
    for (std::size_t at = 0; at < value.size();) {
        const auto token = next_token(value.substr(at));
        if (token.kind == Token::comment) {
            out.words(value.substr(part, at - part));
            comment(out, at > 0 && is_wsp(value[at - 1]) ? " " : "", token.text);
            part = at + token.text.size();
        } else if (has_8bit(token.text)) {
            return false;
        }
        at += token.text.size();
    }
    out.words(value.substr(part));
    return true;
}

/// RFC 6857 s3.2.4. A clause that can't be said in ASCII is taken out, and a comment says it.
void received(FieldWriter& out, std::string_view value) {
    std::string_view keyword_wsp, keyword;
    const auto write_keyword = [&] { out.word(keyword_wsp, std::exchange(keyword, {})); };
    while (!value.empty()) {
        const auto wsp = value.substr(0, value.find_first_not_of(" \t"));
        value.remove_prefix(wsp.size());
        if (value.empty()) break;
        if (value.front() == ';' || value.front() == '(') {
            write_keyword();
            const auto token = next_token(value);
            value.remove_prefix(token.text.size());
            token.kind == Token::comment ? comment(out, wsp, token.text) : out.word("", token.text);
            continue;
        }
        std::size_t end = 0;  // a clause's word or value: up to white space, ";" or "("
        while (end < value.size() && !is_wsp(value[end]) && value[end] != ';' && value[end] != '(')
            end += value[end] == '"' ? next_token(value.substr(end)).text.size() : 1;
        const auto word = value.substr(0, end);
        value.remove_prefix(end);
        if (keyword.empty()) {
            const auto name = ascii::to_lower(word);
            if (name == "from" || name == "by" || name == "via" || name == "with" || name == "id" || name == "for") {
                keyword_wsp = wsp;
                keyword = word;
            } else {
                has_8bit(word) ? aside(out, wsp, word) : out.word(wsp, word);
            }
            continue;
        }
        const auto name = ascii::to_lower(keyword);
        std::optional<std::string> ascii;
        if (!has_8bit(word)) {
            ascii = word;
        } else if (name == "for") {
            const bool angle = word.starts_with('<') && word.ends_with('>') && word.size() > 2;
            ascii = ascii_address(angle ? word.substr(1, word.size() - 2) : word);
            if (ascii && angle) ascii = '<' + *ascii + '>';
        } else if (name != "id") {
            if (auto domain = canonical_domain(word)) ascii = std::move(*domain);
        }
        if (ascii) {
            write_keyword();
            out.word(wsp, *ascii);
        } else {
            aside(out, keyword_wsp, std::string(std::exchange(keyword, {})).append(" ").append(word));
        }
    }
    write_keyword();
}

/// A value in the extended encoding of RFC 2231 s4.
std::string percent_encoded(std::string_view text) {
    std::string out;
    for (unsigned char c : text) {
        if (c > 0x20 && c < 0x7f && !std::string_view("*'%()<>@,;:\\\"/[]?=").contains(static_cast<char>(c)))
            out += static_cast<char>(c);
        else
            (out += '%').append({kHex[c >> 4], kHex[c & 15]});
    }
    return out;
}

/// RFC 6857 s3.1.4, RFC 2231 s3, s4.1: one parameter, in parts if it is long.
void extended_parameter(FieldWriter& out, std::string_view name, std::string_view value) {
    const std::string charset = "UTF-8''";
    const std::string all = percent_encoded(value);
    // Each part repeats the name: with a long one the parts would hold little else.
    if (1 + name.size() + 2 + charset.size() + all.size() <= kColumns || name.size() > kLongestName) {
        out.word(" ", std::string(name).append("*=").append(charset).append(all));
        return;
    }
    std::string_view rest = all;
    for (int part = 0; !rest.empty(); ++part) {
        std::string text = std::string(name) + '*' + std::to_string(part) + "*=" + (part == 0 ? charset : "");
        std::size_t size = 0;  // never between the octets of a "%XX"
        const std::size_t room = kColumns - text.size() - 1;
        while (size < rest.size()) {
            const std::size_t next = rest[size] == '%' ? 3 : 1;
            if (size + next > room) break;
            size += next;
        }
        text += rest.substr(0, size);
        rest.remove_prefix(size);
        if (part > 0) out.word("", ";");
        out.word(" ", text);
    }
}

/// RFC 2045 s5.1.
bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && !std::string_view("()<>@,;:\\\"/[]?=").contains(c);
    });
}

/// The text between two semicolons of Content-Type and its like: the type, or a parameter.
struct Parameter {
    std::string_view text;                   // all of it
    std::string plain;                       // without comments
    std::string name, value;                 // what stands before and behind the first "="
    std::string series;                      // of one in parts or extended (RFC 2231): the name with its "*"
    std::vector<std::string_view> comments;  // taken out of `plain`
};
Parameter parameter(std::string_view text) {
    Parameter out{text, {}, {}, {}, {}, {}};
    out.plain = without_comments(text, &out.comments);
    if (out.comments.empty()) out.plain = trim(text);  // spaces in a value that should have been quoted
    const std::string_view plain = out.plain;
    if (const auto equals = plain.find('='); equals != plain.npos) {
        out.name = trim(plain.substr(0, equals));
        out.value = trim(plain.substr(equals + 1));
        if (is_token(out.name)) out.series = ascii::to_lower(out.name.substr(0, out.name.find('*') + 1));
    }
    return out;
}
std::string unquoted(std::string_view value) { return value.starts_with('"') ? unquote(value) : std::string(value); }

/// `text` without "%XX" (RFC 2231 s4).
std::string percent_decoded(std::string_view text) {
    std::string out;
    for (; !text.empty(); text.remove_prefix(1)) {
        const char* const digits = text.data() + 1;
        unsigned octet = 0;
        if (text.size() > 2 && text.front() == '%' &&
            std::from_chars(digits, digits + 2, octet, 16).ptr == digits + 2) {
            out += static_cast<char>(octet);
            text.remove_prefix(2);
        } else {
            out += text.front();
        }
    }
    return out;
}

/// The value that the parameters of a series make up (RFC 2231 s3, s4), in the order in which they come.
std::string value_of_series(std::span<const Parameter> among, std::string_view series) {
    constexpr std::string_view kUtf8 = "utf-8'";
    std::string out;
    for (const auto& part : among) {
        if (part.series != series) continue;
        const auto value = unquoted(part.value);
        std::string_view said = value;
        if (out.empty() && ascii::to_lower(said.substr(0, kUtf8.size())) == kUtf8)
            said.remove_prefix(std::min(said.find('\'', kUtf8.size()), said.size() - 1) + 1);
        out += part.name.ends_with('*') ? percent_decoded(said) : said;
    }
    return out;
}

/// RFC 6857 s3.2.5. A boundary stays: the lines between the parts have it as it is.
void mime_value(FieldWriter& out, std::string_view value) {
    std::vector<Parameter> parts;
    for (auto rest = value;;) {
        const auto semicolon = find_special(rest, ';', false);
        parts.push_back(parameter(rest.substr(0, semicolon)));
        if (semicolon == rest.npos) break;
        rest.remove_prefix(semicolon + 1);
    }
    const std::span compared(parts.data(), std::min(parts.size(), kMostParameters));
    for (const auto& part : parts) {
        const bool first = &part == &parts.front();
        const auto begin = [&] { out.word("", first ? "" : ";"); };
        const bool is_compared = &part <= &compared.back();
        const auto in_series = [&](const Parameter& other) { return other.series == part.series; };
        // One charset holds for a whole series: with octets over 0x7f anywhere in it, all of it is written anew.
        const bool anew =
            !part.series.empty() && is_compared && std::ranges::any_of(compared, [&](const Parameter& other) {
                return in_series(other) && has_8bit(other.plain);
            });
        const auto whole = anew ? value_of_series(compared, part.series) : std::string();
        if (anew && is_utf8(whole)) {
            if (&*std::ranges::find_if(compared, in_series) == &part) {
                begin();
                extended_parameter(out, part.name.substr(0, part.name.find('*')), whole);
            }
        } else if (!has_8bit(part.text) || ascii::to_lower(part.name) == "boundary") {
            begin();
            out.words(part.text);
            continue;
        } else if (!has_8bit(part.plain)) {
            begin();
            out.word(" ", part.plain);
        } else if (first || !is_token(part.name) || !part.series.empty()) {
            aside(out, " ", part.plain);
        } else {
            // A mailer that was unsure sent the extended form as well.
            const auto given = unquoted(part.value);
            const auto extended =
                is_compared ? value_of_series(compared, ascii::to_lower(part.name) + '*') : std::string();
            if (extended.empty()) {
                begin();
                extended_parameter(out, part.name, given);
            } else if (extended != given) {
                aside(out, " ", given);
            }
        }
        for (auto c : part.comments) comment(out, " ", c);
    }
}

/// RFC 6857 s3.2.7.
void keywords(FieldWriter& out, std::string_view value) {
    bool first = true;
    split(value, false, [&](std::string_view part) {
        if (!std::exchange(first, false)) out.word("", ",");
        phrase(out, part);
    });
}

/// RFC 6857 s3.1.9: utf-8-address as utf-8-addr-xtext (RFC 6533 s3); false for other types of addresses.
bool type_addr(FieldWriter& out, std::string_view value) {
    const auto semicolon = find_special(value, ';', false);
    std::vector<std::string_view> comments;
    if (semicolon == value.npos || ascii::to_lower(without_comments(value.substr(0, semicolon), &comments)) != "utf-8")
        return false;
    const auto address = without_comments(value.substr(semicolon + 1), &comments);
    std::string xtext;
    for (std::string_view rest = address; !rest.empty();) {
        ucs4_t c = 0;
        const int size = u8_mbtouc(&c, reinterpret_cast<const std::uint8_t*>(rest.data()), rest.size());
        if (c > 0x20 && c < 0x7f && c != '+' && c != '=' && c != '\\') {
            xtext += static_cast<char>(c);
        } else {
            std::array<char, 16> text{};
            std::snprintf(text.data(), text.size(), "\\x{%02X}", static_cast<unsigned>(c));
            xtext += text.data();
        }
        rest.remove_prefix(static_cast<std::size_t>(size));
    }
    out.word(" ", "utf-8;");
    out.word(" ", xtext);
    for (auto c : comments) comment(out, " ", c);
    return true;
}

enum class Form { unstructured, addresses, comments, message_id, received, mime, keywords, type_addr };

Form form_of(std::string_view name) {
    struct Entry {
        std::string_view name;
        Form form;
    };
    static constexpr Entry kForms[] = {
        {"from", Form::addresses},
        {"sender", Form::addresses},
        {"to", Form::addresses},
        {"cc", Form::addresses},
        {"bcc", Form::addresses},
        {"reply-to", Form::addresses},
        {"resent-from", Form::addresses},
        {"resent-sender", Form::addresses},
        {"resent-to", Form::addresses},
        {"resent-cc", Form::addresses},
        {"resent-bcc", Form::addresses},
        {"resent-reply-to", Form::addresses},
        {"return-path", Form::addresses},
        {"disposition-notification-to", Form::addresses},
        {"date", Form::comments},
        {"resent-date", Form::comments},
        {"mime-version", Form::comments},
        {"content-id", Form::comments},
        {"content-transfer-encoding", Form::comments},
        {"content-language", Form::comments},
        {"accept-language", Form::comments},
        {"auto-submitted", Form::comments},
        {"message-id", Form::message_id},
        {"resent-message-id", Form::message_id},
        {"in-reply-to", Form::message_id},
        {"references", Form::message_id},
        {"received", Form::received},
        {"content-type", Form::mime},
        {"content-disposition", Form::mime},
        {"keywords", Form::keywords},
        {"original-recipient", Form::type_addr},
        {"final-recipient", Form::type_addr},
    };
    for (const auto& entry : kForms)
        if (ascii::same(entry.name, name)) return entry.form;
    return Form::unstructured;
}

}  // namespace

std::string downgrade_field(std::string_view field) {
    const auto name = field_name(field);
    const auto colon = field.find(':') + 1;
    const std::string value = unfold(field.substr(colon));
    FieldWriter out(field.substr(0, colon));
    bool done = true;
    switch (form_of(name)) {
        case Form::unstructured: out.unstructured(value); break;
        case Form::addresses: addresses(out, value); break;
        case Form::received: received(out, value); break;
        case Form::mime: mime_value(out, value); break;
        case Form::keywords: keywords(out, value); break;
        case Form::comments:
            done = comments_only(out, value);
            if (!done) out = FieldWriter(field.substr(0, colon));
            break;
        case Form::message_id: done = comments_only(out, value); break;
        case Form::type_addr: done = type_addr(out, value); break;
    }
    if (!done) {
        // RFC 6857 s3.1.10: encapsulation.
        const bool keeps_name = form_of(name) == Form::comments;
        if (!keeps_name) out = FieldWriter("Downgraded-" + std::string(name) + ":");
        out.unstructured(value);
    }
    return std::move(out).finish();
}

}  // namespace poplar::mail
