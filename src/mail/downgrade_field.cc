// RFC 6857 s3: how each field, and each element in it, becomes ASCII. Where a field breaks its grammar the elements
// that can be told are downgraded, and what is left is encoded or masked: something readable always comes out.
#include "mail/downgrade_field.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "mail/address.h"
#include "mail/field_writer.h"

namespace poplar::mail {
namespace {

constexpr std::size_t kColumns = 74;         // of a line with a part of a long parameter, its ";" not counted
constexpr std::size_t kLongestName = 32;     // of a parameter that is cut into parts
constexpr std::size_t kMostParameters = 64;  // whose names are compared
constexpr std::string_view kHex = "0123456789ABCDEF";

bool is_wsp(char c) { return c == ' ' || c == '\t'; }
bool is_ftext(char c) { return c > 0x20 && c < 0x7f && c != ':'; }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }
std::string lower_case(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}
std::string_view trim(std::string_view text) {
    while (!text.empty() && is_wsp(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_wsp(text.back())) text.remove_suffix(1);
    return text;
}
std::string masked(std::string_view text) {
    std::string out;
    append_masked(out, text);
    return out;
}

/// RFC 5322 s2.2.3: the CRLFs go. What ends the last line goes too.
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

/// The tokens of a structured field (RFC 5322 s3.2). What has no end reaches to the end of the field.
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

/// The offset of the first `wanted` special, as those of `skipping` allow: within "<" and ">" there is none if
/// `outside_angle`.
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

/// RFC 6857 s3.1.3. `text` with its parentheses.
void comment(FieldWriter& out, std::string_view wsp, std::string_view text) {
    if (!has_8bit(text)) return as_it_is(out, wsp, text);
    text.remove_prefix(1);
    if (text.ends_with(')')) text.remove_suffix(1);
    const auto inside = unquote(text);
    if (inside.empty()) return out.word(" ", "()");
    out.encoded((wsp.empty() ? " " : std::string(wsp)) + '(', inside);
    out.word("", ")");
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

/// What `text` has besides comments and white space, and its comments.
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
    if (angle != text.npos) {
        phrase(out, " " + std::string(trim(text.substr(0, angle))));
        if (!has_8bit(inside))
            out.word(" ", "<" + std::string(trim(inside)) + ">");
        else if (auto address = ascii_address(without_comments(inside)))
            out.word(" ", "<" + *address + ">");
        else
            no_address(out, inside);
        const auto end = angle + 1 + inside.size() + 1;
        if (end < text.size()) phrase(out, text.substr(end));
        return;
    }
    std::vector<std::string_view> comments;
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

/// RFC 6857 s3.2.4: a clause FOR or ID that can't be said in ASCII is left out.
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
            const auto name = lower_case(word);
            if (name == "from" || name == "by" || name == "via" || name == "with" || name == "id" || name == "for") {
                keyword_wsp = wsp;
                keyword = word;
            } else {
                out.word(wsp, masked(word));
            }
            continue;
        }
        const auto name = lower_case(keyword);
        if (!has_8bit(word)) {
            write_keyword();
            out.word(wsp, word);
        } else if (name == "for") {
            const bool angle = word.starts_with('<') && word.ends_with('>') && word.size() > 2;
            if (auto address = ascii_address(angle ? word.substr(1, word.size() - 2) : word)) {
                write_keyword();
                out.word(wsp, angle ? "<" + *address + ">" : *address);
            }
            keyword = {};
        } else if (name == "id") {
            keyword = {};
        } else {
            write_keyword();
            auto domain = canonical_domain(word);
            out.word(wsp, domain ? *domain : masked(word));
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
    const std::string charset = is_utf8(value) ? "UTF-8''" : "unknown-8bit''";
    const std::string all = percent_encoded(value);
    // Each part repeats the name: a long one would make much of little.
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

/// RFC 6857 s3.2.5.
void mime_value(FieldWriter& out, std::string_view value) {
    std::vector<std::string_view> parts;
    std::vector<std::string> names;
    for (auto rest = value;;) {
        const auto semicolon = find_special(rest, ';', false);
        parts.push_back(rest.substr(0, semicolon));
        auto name = parts.back().substr(0, parts.back().find('='));
        if (parts.size() > 1 && names.size() < kMostParameters) names.push_back(lower_case(without_comments(name)));
        if (semicolon == rest.npos) break;
        rest.remove_prefix(semicolon + 1);
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const auto part = parts[i];
        if (!has_8bit(part)) {
            if (i > 0) out.word("", ";");
            out.words(part);
            continue;
        }
        std::vector<std::string_view> comments;
        auto plain = without_comments(part, &comments);
        if (comments.empty()) plain = trim(part);  // spaces in a value that should have been quoted
        const auto equals = plain.find('=');
        const std::string name(trim(std::string_view(plain).substr(0, equals)));
        const std::string_view given = equals == plain.npos ? "" : trim(std::string_view(plain).substr(equals + 1));
        const bool parameter = i > 0 && equals != plain.npos && !name.empty() && !has_8bit(name);
        const bool extended = name.contains('*');
        // A mailer that was unsure sent the extended form as well.
        const auto twin = [&](const std::string& other) { return other.starts_with(lower_case(name) + '*'); };
        if (parameter && !extended && has_8bit(plain) && std::ranges::any_of(names, twin)) continue;
        if (i > 0) out.word("", ";");
        if (!parameter || !has_8bit(plain)) {
            out.word(" ", masked(plain));
        } else if (extended) {
            std::string text = name + '=';
            for (unsigned char c : given)
                c < 0x80 ? void(text += static_cast<char>(c))
                         : void((text += '%').append({kHex[c >> 4], kHex[c & 15]}));
            out.word(" ", text);
        } else {
            extended_parameter(out, name, given.starts_with('"') ? unquote(given) : std::string(given));
        }
        for (auto c : comments) comment(out, " ", c);
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
    if (semicolon == value.npos || lower_case(without_comments(value.substr(0, semicolon))) != "utf-8") return false;
    std::vector<std::string_view> comments;
    const auto address = without_comments(value.substr(semicolon + 1), &comments);
    if (!is_utf8(address)) return false;
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
        if (std::ranges::equal(entry.name, name, {}, {}, lower)) return entry.form;
    return Form::unstructured;
}

}  // namespace

void append_masked(std::string& out, std::string_view text) {
    for (char c : text) out += static_cast<unsigned char>(c) > 0x7f ? '?' : c;
}

std::string_view field_name_of(std::string_view field) {
    std::size_t size = 0;
    while (size < field.size() && is_ftext(field[size])) ++size;
    std::size_t colon = size;
    while (colon < field.size() && is_wsp(field[colon])) ++colon;  // RFC 5322 s4.5
    return colon < field.size() && field[colon] == ':' ? field.substr(0, size) : std::string_view();
}

std::string downgrade_field(std::string_view field) {
    const auto name = field_name_of(field);
    if (name.empty()) return masked(field);
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
