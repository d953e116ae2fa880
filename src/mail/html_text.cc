// HTML is read as far as finding its text needs it: what a browser would make of the rest is of no interest here.
#include "mail/html_text.h"

#include <unistr.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/ascii.h"

namespace poplar::mail {

namespace {

using std::string_view;

constexpr std::array<std::pair<string_view, string_view>, 36> kCharacters = {{
    {"AMP", "&"},         {"Auml", "\u00c4"},   {"GT", ">"},          {"LT", "<"},          {"Ouml", "\u00d6"},
    {"QUOT", "\""},       {"Uuml", "\u00dc"},   {"agrave", "\u00e0"}, {"amp", "&"},         {"apos", "'"},
    {"aacute", "\u00e1"}, {"auml", "\u00e4"},   {"bull", "\u2022"},   {"ccedil", "\u00e7"}, {"copy", "\u00a9"},
    {"eacute", "\u00e9"}, {"egrave", "\u00e8"}, {"euro", "\u20ac"},   {"gt", ">"},          {"hellip", "\u2026"},
    {"iacute", "\u00ed"}, {"laquo", "\u00ab"},  {"ldquo", "\u201c"},  {"lsquo", "\u2018"},  {"lt", "<"},
    {"mdash", "\u2014"},  {"nbsp", " "},        {"ndash", "\u2013"},  {"ntilde", "\u00f1"}, {"oacute", "\u00f3"},
    {"ouml", "\u00f6"},   {"quot", "\""},       {"raquo", "\u00bb"},  {"rdquo", "\u201d"},  {"rsquo", "\u2019"},
    {"uuml", "\u00fc"},
}};
constexpr std::array<string_view, 24> kBlocks = {
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt",  "footer",  "h1", "h2",    "h3",
    "h4",      "h5",      "h6",         "hr", "li", "ol",  "p",  "pre", "section", "td", "table", "tr"};
/// Elements whose content is no text.
constexpr std::array<string_view, 4> kSilent = {"head", "script", "style", "title"};

bool is_space(char c) { return ascii::is_wsp(c) || c == '\r' || c == '\n' || c == '\f'; }

/// "&name;" or "&#8364;" at the beginning: what it stands for, and its octets.
struct Reference {
    std::string text;
    std::size_t size;
};
std::optional<Reference> reference(string_view html) {
    constexpr std::size_t kLongest = 12;
    const auto end = html.substr(0, kLongest).find(';');
    if (end == html.npos || end < 2) return std::nullopt;
    auto name = html.substr(1, end - 1);
    if (name.front() != '#') {
        const auto* found = std::ranges::find(kCharacters, name, [](const auto& one) { return one.first; });
        if (found == kCharacters.end()) return std::nullopt;
        return Reference{std::string(found->second), end + 1};
    }
    name.remove_prefix(1);
    const bool hex = !name.empty() && ascii::lower(name.front()) == 'x';
    if (hex) name.remove_prefix(1);
    if (name.empty()) return std::nullopt;
    std::uint32_t code = 0;
    for (const char c : name) {
        const auto l = ascii::lower(c);
        const bool digit = ascii::is_digit(c), letter = hex && l >= 'a' && l <= 'f';
        if (!digit && !letter) return std::nullopt;
        code = code * (hex ? 16 : 10) + static_cast<std::uint32_t>(digit ? c - '0' : l - 'a' + 10);
        if (code > 0x10ffff) return std::nullopt;
    }
    if (code == 0xa0) code = ' ';
    std::array<std::uint8_t, 6> octets;
    const int size = code == 0 ? -1 : u8_uctomb(octets.data(), code, octets.size());
    if (size <= 0) return std::nullopt;
    return Reference{std::string(reinterpret_cast<const char*>(octets.data()), static_cast<std::size_t>(size)),
                     end + 1};
}

/// The octets of a tag that `html` begins with, quoted attributes respected.
std::size_t tag_size(string_view html) {
    char quote = 0;
    for (std::size_t i = 1; i < html.size(); ++i) {
        const char c = html[i];
        if (quote != 0) {
            if (c == quote) quote = 0;
        } else if ((c == '"' || c == '\'') && html[i - 1] == '=') {
            quote = c;
        } else if (c == '>') {
            return i + 1;
        }
    }
    // A quote that does not end must not take the text behind it away.
    const auto end = html.find('>');
    return end == html.npos ? html.size() : end + 1;
}

/// Where the end tag of an element is; the end, if it has none.
std::size_t find_end_tag(string_view html, string_view name) {
    for (auto at = html.find("</"); at != html.npos; at = html.find("</", at + 2))
        if (ascii::starts_with(html.substr(at + 2), name)) return at;
    return html.size();
}

class TextWriter {
public:
    explicit TextWriter(std::string& out) : out_(out), begin_(out.size()) {}
    void add(string_view text) {
        for (const char c : text)
            if (is_space(c))
                space();
            else
                out_ += c;
    }
    void space() {
        if (out_.size() > begin_ && out_.back() != ' ' && out_.back() != '\n') out_ += ' ';
    }
    void line_end() {
        if (out_.size() > begin_ && out_.back() == ' ')
            out_.back() = '\n';
        else if (out_.size() > begin_ && out_.back() != '\n')
            out_ += '\n';
    }

private:
    std::string& out_;
    const std::size_t begin_;
};

}  // namespace

void append_html_text(std::string_view html, std::string& out) {
    TextWriter text(out);
    while (!html.empty()) {
        const auto plain = html.substr(0, html.find_first_of("<&"));
        text.add(plain);
        html.remove_prefix(plain.size());
        if (html.empty()) return;
        if (html.front() == '&') {
            const auto found = reference(html);
            text.add(found ? string_view(found->text) : "&");
            html.remove_prefix(found ? found->size : 1);
            continue;
        }
        if (html.starts_with("<!--")) {
            const auto end = html.find("-->", 4);
            html.remove_prefix(end == html.npos ? html.size() : end + 3);
            continue;
        }
        const char next = html.size() > 1 ? html[1] : '\0';
        if (!ascii::is_alpha(next) && next != '/' && next != '!' && next != '?') {
            text.add("<");
            html.remove_prefix(1);
            continue;
        }
        const bool closes = next == '/';
        auto name = html.substr(closes ? 2 : 1);
        name = name.substr(0, static_cast<std::size_t>(std::ranges::find_if_not(name, ascii::is_alnum) - name.begin()));
        const auto is_named = [name](string_view one) { return ascii::same(one, name); };
        html.remove_prefix(tag_size(html));
        if (std::ranges::any_of(kBlocks, is_named)) text.line_end();
        if (!closes && std::ranges::any_of(kSilent, is_named)) html.remove_prefix(find_end_tag(html, name));
    }
}

}  // namespace poplar::mail
