#include "mail/downgrade.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "mail/address.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"

namespace poplar::mail {
namespace {

constexpr std::string_view kContentType = "content-type";

using ascii::is_wsp;
bool is_empty_line(std::string_view line) { return line == "\r\n" || line == "\n"; }

}  // namespace

void Downgrader::feed(std::string_view wire) {
    while (!wire.empty()) {
        switch (in_) {
            case In::header: wire = header(wire); break;
            case In::body: wire = body(wire); break;
            case In::rest: pass(wire); return;
        }
    }
}

void Downgrader::finish() {
    if (!carry_.empty()) field_name(carry_).empty() ? pass(carry_) : finish_field(carry_);
    carry_.clear();
}

/// Takes what belongs to a header. Returns the rest.
std::string_view Downgrader::header(std::string_view in) {
    if (long_field_) {
        in.remove_prefix(long_field(in));
        if (in.empty()) return in;
    }
    const std::size_t before = carry_.size();
    if (before > 0) carry_ += in;
    const Lines taken = lines(before > 0 ? std::string_view(carry_) : in, carry_line_, before);
    carry_line_ = taken.line - taken.field;
    if (taken.header_ended) {
        const std::string carried = std::exchange(carry_, {});
        if (taken.line < before) {
            feed(std::string_view(carried).substr(taken.line));
            return {};
        }
        return in.substr(taken.line - before);
    }
    if (before > 0)
        carry_.erase(0, taken.field);
    else
        carry_ = in.substr(taken.field);
    if (carry_.size() <= kFieldLimit) return {};
    const std::string carried = std::exchange(carry_, {});
    const std::size_t line = std::exchange(carry_line_, 0);
    if (field_name(carried).empty()) {
        end_header();
        feed(carried);
    } else {
        pass_long(carried);
        long_field_ = true;
        line_start_ = line == carried.size();
    }
    return {};
}

/// Finishes the fields in `in` whose end is known; its first one has a line that begins at `line`, with no line end
/// before `searched`.
Downgrader::Lines Downgrader::lines(std::string_view in, std::size_t line, std::size_t searched) {
    std::size_t field = 0;
    for (;; searched = line) {
        if (line > field && line < in.size() && !is_wsp(in[line])) {
            finish_field(in.substr(field, line - field));
            field = line;
        }
        const auto newline = in.find('\n', searched);
        if (newline == in.npos) return {field, line, false};
        const auto text = in.substr(line, newline + 1 - line);
        const bool continues = line > field;
        line = newline + 1;
        if (continues) continue;
        const bool empty = is_empty_line(text);
        if (!empty && !delimiter(text)) {
            if (!field_name(text).empty()) continue;
            end_header();  // what this line begins comes behind it
            return {field, field, true};
        }
        pass(text);
        field = line;
        if (empty && !fields_) end_header();
        if (in_ != In::header) return {line, line, true};
    }
}

/// Passes what there is up to the end of the field. Returns how much that was.
std::size_t Downgrader::long_field(std::string_view in) {
    std::size_t at = 0;
    while (at < in.size()) {
        if (line_start_ && !is_wsp(in[at])) {
            long_field_ = false;
            break;
        }
        at = std::min(in.find('\n', at), in.size() - 1) + 1;
        line_start_ = in[at - 1] == '\n';
    }
    pass_long(in.substr(0, at));
    return at;
}

void Downgrader::pass_long(std::string_view text) {
    needed_ |= has_8bit(text);
    pass(text);
}

void Downgrader::finish_field(std::string_view field) {
    if (field.size() > kFieldLimit) return pass_long(field);
    if (!type_seen_ && field.size() > kContentType.size() && ascii::same(field_name(field), kContentType)) {
        type_ = parse_content_type(field.substr(field.find(':') + 1));
        type_seen_ = true;
    }
    if (!has_8bit(field) || !is_utf8(field)) return pass(field);
    needed_ = true;
    const std::string ascii = downgrade_field(field);
    growth_ += static_cast<std::int64_t>(ascii.size()) - static_cast<std::int64_t>(field.size());
    pass(ascii);
}

void Downgrader::begin_header(ContentType::Kind kind) {
    in_ = In::header;
    type_.kind = kind;
    type_seen_ = false;
    fields_ = false;
}

void Downgrader::end_header() {
    using Kind = ContentType::Kind;
    const auto kind = std::exchange(fields_, false) ? Kind::leaf : type_.kind;
    in_ = around();
    line_start_ = true;
    if (kind == Kind::message) {
        begin_header(Kind::leaf);
    } else if (kind == Kind::fields) {
        begin_header(Kind::leaf);
        fields_ = true;
    } else if (kind != Kind::leaf && boundaries_.size() < kDepth) {
        boundaries_.push_back({type_.boundary_octets, type_.boundary_size, kind == Kind::digest});
        in_ = In::body;
    }
}

/// Whether a line, with its line end, is a delimiter of a part at any level (RFC 2046 s5.1.1), and what follows it
/// then.
bool Downgrader::delimiter(std::string_view line) {
    if (!line.starts_with("--") || line.size() > kLongestDelimiter) return false;
    while (!line.empty() && (is_wsp(line.back()) || line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.size() < 2) return false;
    line.remove_prefix(2);
    for (auto level = boundaries_.size(); level-- > 0;) {
        const auto& boundary = boundaries_[level];
        const std::string_view text(boundary.octets.data(), boundary.size);
        if (!line.starts_with(text)) continue;
        if (line.size() == text.size()) {
            begin_header(boundary.digest ? ContentType::Kind::message : ContentType::Kind::leaf);
            leave_parts_below(level + 1);
            return true;
        }
        if (line.substr(text.size()) == "--") {
            leave_parts_below(level);
            fields_ = false;
            in_ = around();
            line_start_ = true;
            return true;
        }
    }
    return false;
}

/// Takes what is body, up to a delimiter with it. Returns the rest. Lines that are none are found by their hyphens:
/// encoded attachments have none.
std::string_view Downgrader::body(std::string_view in) {
    const auto keep = [this](std::string_view part) {
        for (char c : part.substr(0, partial_.size() + 1 - partial_size_)) {
            if (partial_size_ < partial_.size()) partial_[partial_size_] = c;
            ++partial_size_;
        }
    };
    std::size_t at = 0;
    if (partial_size_ > 0) {
        at = std::min(in.find('\n'), in.size() - 1) + 1;
        keep(in.substr(0, at));
        line_start_ = in[at - 1] == '\n';
        if (line_start_) {
            const bool fits = partial_size_ <= partial_.size();
            const std::string_view line(partial_.data(), std::min<std::size_t>(partial_size_, partial_.size()));
            partial_size_ = 0;
            if (fits && delimiter(line)) {
                pass(in.substr(0, at));
                return in.substr(at);
            }
        }
    }
    while (at < in.size()) {
        const auto hyphen = in.find('-', at);
        if (hyphen == in.npos) {
            line_start_ = in.back() == '\n';
            break;
        }
        const bool begins_line = hyphen == 0 ? line_start_ : in[hyphen - 1] == '\n';
        const auto newline = in.find('\n', hyphen);
        if (newline == in.npos) {
            if (begins_line) keep(in.substr(hyphen));
            line_start_ = false;
            break;
        }
        at = newline + 1;
        line_start_ = true;
        if (begins_line && delimiter(in.substr(hyphen, at - hyphen))) {
            pass(in.substr(0, at));
            return in.substr(at);
        }
    }
    pass(in);
    return {};
}

}  // namespace poplar::mail
