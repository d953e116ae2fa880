#include "screening/authentication_results.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::screening {

namespace {

constexpr std::string_view kName = "authentication-results";
constexpr std::size_t kLongestValue = 300;  // octets of a value or a comment

bool is_token(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return c > ' ' && c < 0x7f && std::string_view("()<>@,;:\\\"/[]?=").find(c) == std::string_view::npos;
    });
}

/// A value as RFC 8601 s2.2 has it: "@" may stand in a property's. What no field may have becomes "?".
std::string value_text(std::string_view text, bool property) {
    text = text.substr(0, kLongestValue);
    std::string out(text);
    for (char& c : out)
        if (c < ' ' || c == 0x7f) c = '?';  // char is signed: octets over 0x7f, too
    std::string_view plain = out;
    if (property) {
        const auto at = plain.rfind('@');
        const auto local = at == plain.npos ? std::string_view() : plain.substr(0, at);
        if (at != plain.npos && (local.empty() || is_token(local)) && is_token(plain.substr(at + 1))) return out;
    }
    if (is_token(plain)) return out;
    std::string quoted = "\"";
    for (const char c : out) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

std::string comment_text(std::string_view text) {
    std::string out(text.substr(0, kLongestValue));
    for (char& c : out)
        if (c < ' ' || c == 0x7f || c == '(' || c == ')' || c == '\\') c = '?';
    return out;
}

/// Without white space and comments at its beginning.
std::string_view skip(std::string_view text) {
    for (;;) {
        while (!text.empty() && (ascii::is_wsp(text.front()) || text.front() == '\r' || text.front() == '\n'))
            text.remove_prefix(1);
        if (!text.starts_with('(')) return text;
        std::size_t depth = 0, i = 0;
        for (; i < text.size(); ++i) {
            if (text[i] == '\\')
                ++i;
            else if (text[i] == '(')
                ++depth;
            else if (text[i] == ')' && --depth == 0)
                break;
        }
        text.remove_prefix(std::min(i + 1, text.size()));
    }
}

}  // namespace

std::string format_results(std::string_view host, const std::vector<MethodResult>& results) {
    std::string out(host);
    if (results.empty()) out += "; none";
    for (const auto& result : results) {
        out += fmt::format(";\r\n\t{}={}", result.method, name_of(result.outcome));
        if (!result.comment.empty()) out += fmt::format(" ({})", comment_text(result.comment));
        if (!result.reason.empty()) out += fmt::format(" reason={}", value_text(result.reason, false));
        for (const auto& [name, value] : result.properties)
            if (!value.empty()) out += fmt::format("\r\n\t {}={}", name, value_text(value, true));
    }
    return out;
}

std::string authserv_id(std::string_view value) {
    value = skip(value);
    if (value.empty()) return {};
    std::string id;
    if (value.front() == '"') {
        for (std::size_t i = 1; i < value.size() && value[i] != '"'; ++i) {
            if (value[i] == '\\' && i + 1 < value.size()) ++i;
            id += value[i];
        }
    } else {
        id = value.substr(0, std::min(value.find_first_of(" \t\r\n;(/"), value.size()));
    }
    while (id.ends_with('.')) id.pop_back();
    return ascii::to_lower(id);
}

/// The field that was held back is over.
void ForgedResultsFilter::end_field() {
    if (!held_) return;
    held_ = false;
    const auto colon = std::min(field_.find(':'), field_.size() - 1);
    if (authserv_id(std::string_view(field_).substr(colon + 1)) == host_)
        removed_ += field_.size();
    else
        out_ += field_;
    field_.clear();
}

void ForgedResultsFilter::begin_line() {
    if (ascii::is_wsp(line_.front())) return;  // the field goes on
    end_field();
    in_body_ = line_ == "\r\n" || line_ == "\n";
    held_ = ascii::same(ascii::trim(std::string_view(line_).substr(0, std::min(line_.find(':'), line_.size()))), kName);
}

// A line's field is known by its colon, its end or kLongestFieldName octets.
std::string_view ForgedResultsFilter::pass(std::string_view wire) {
    if (in_body_) return wire;
    out_.clear();
    while (!wire.empty() && !in_body_) {
        const auto end = wire.find('\n');
        auto part = wire.substr(0, end == wire.npos ? wire.size() : end + 1);
        wire.remove_prefix(part.size());
        const bool whole = end != std::string_view::npos;
        if (!in_line_) {
            line_ += part;
            if (!whole && line_.find(':') == line_.npos && line_.size() <= mail::kLongestFieldName &&
                !ascii::is_wsp(line_.front()))
                break;
            begin_line();
            part = line_;
        }
        (held_ ? field_ : out_) += part;
        line_.clear();
        in_line_ = !whole;
    }
    out_ += wire;
    return out_;
}

std::string_view ForgedResultsFilter::finish() {
    out_.clear();
    if (!line_.empty()) begin_line();
    (held_ ? field_ : out_) += line_;
    line_.clear();
    end_field();
    return out_;
}

}  // namespace poplar::screening
