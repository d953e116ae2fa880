// The walk as a state machine over lines: in a header, in a body that may hold delimiters, or in one that holds none.
#include "mail/mime_walk.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::mail {
namespace {

constexpr std::string_view kContentType = "content-type";

using ascii::is_wsp;
using Kind = ContentType::Kind;

bool is_empty_line(std::string_view line) { return line == "\r\n" || line == "\n"; }

}  // namespace

void MimeWalk::feed(std::string_view octets) {
    while (!octets.empty()) {
        switch (in_) {
            case In::start: begin(); break;
            case In::header: octets = header(octets); break;
            case In::body: octets = body(octets); break;
            case In::rest: return tell_body(octets);
        }
    }
}

// Ends all that has not ended. A line without its end may be a field, a delimiter, or neither.
void MimeWalk::finish() {
    if (in_ == In::start) begin();
    const std::string_view line(partial_.data(), std::exchange(partial_size_, 0));
    if (const auto* delimiter = find_delimiter(line))
        pass_delimiter(*delimiter, line);
    else if (!line.empty())
        tell_body(line);
    while (!carry_.empty()) {
        const std::string carried = std::exchange(carry_, {});
        carry_line_ = 0;
        if (!field_name(carried).empty()) {
            tell_field(carried);
        } else if (const auto* delimiter = find_delimiter(carried)) {
            pass_delimiter(*delimiter, carried);
        } else {
            end_header();
            if (in_ == In::header)
                carry_ = carried;
            else
                tell_body(carried);
        }
    }
    if (in_ == In::header && !fields_) listener_.header_ends(type_, told_);
    end_parts(0, told_);
    listener_.part_ends(told_);
}

void MimeWalk::begin() { begin_part(Kind::leaf, 0); }

void MimeWalk::begin_part(ContentType::Kind kind, std::size_t level) {
    level_ = level;
    ++parts_;
    listener_.part_begins(told_, level);
    begin_header(kind);
}

/// Takes what belongs to a header. Returns the rest.
std::string_view MimeWalk::header(std::string_view in) {
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
        tell_long_field(carried);
        long_field_ = true;
        line_start_ = line == carried.size();
    }
    return {};
}

/// Tells the fields in `in` whose end is known; its first one has a line that begins at `line`, with no line end before
/// `searched`. RFC 5322 s2.2: a line that begins with white space continues the field before it (s2.2.3); s2.1: an
/// empty line ends the header.
MimeWalk::Lines MimeWalk::lines(std::string_view in, std::size_t line, std::size_t searched) {
    std::size_t field = 0;
    for (;; searched = line) {
        if (line > field && line < in.size() && !is_wsp(in[line])) {
            tell_field(in.substr(field, line - field));
            field = line;
        }
        const auto newline = in.find('\n', searched);
        if (newline == in.npos) return {field, line, false};
        const auto text = in.substr(line, newline + 1 - line);
        const bool continues = line > field;
        line = newline + 1;
        if (continues) continue;
        if (is_empty_line(text)) {
            tell_frame(text);
            if (!fields_) end_header();
        } else if (const auto* delimiter = find_delimiter(text)) {
            pass_delimiter(*delimiter, text);
        } else if (field_name(text).empty()) {
            end_header();  // what this line begins comes behind it
            return {field, field, true};
        } else {
            continue;
        }
        field = line;
        if (in_ != In::header) return {line, line, true};
    }
}

/// Tells what there is up to the end of the field. Returns how much that was.
std::size_t MimeWalk::long_field(std::string_view in) {
    std::size_t at = 0;
    while (at < in.size()) {
        if (line_start_ && !is_wsp(in[at])) {
            long_field_ = false;
            break;
        }
        at = std::min(in.find('\n', at), in.size() - 1) + 1;
        line_start_ = in[at - 1] == '\n';
    }
    tell_long_field(in.substr(0, at));
    return at;
}

// RFC 2045 s5: the first Content-Type of a part counts.
void MimeWalk::tell_field(std::string_view field) {
    if (field.size() > kFieldLimit) return tell_long_field(field);
    if (!type_seen_ && field.size() > kContentType.size() && ascii::lower(field.front()) == kContentType.front() &&
        ascii::same(field_name(field), kContentType)) {
        type_ = parse_content_type(field.substr(field.find(':') + 1));
        type_seen_ = true;
    }
    if (fields_)
        count(field);
    else
        told_ += field.size();  // no line end in it can be a body's last
    listener_.field(field);
}

void MimeWalk::tell_long_field(std::string_view octets) {
    if (octets.empty()) return;
    count(octets);
    listener_.long_field(octets);
}

void MimeWalk::tell_frame(std::string_view octets) {
    count(octets);
    listener_.frame(octets);
}

void MimeWalk::tell_body(std::string_view octets) {
    if (octets.empty()) return;
    count(octets);
    listener_.body(octets);
}

void MimeWalk::count(std::string_view told) {
    const bool cr = told.size() > 1 ? told[told.size() - 2] == '\r' : ends_in_cr_;
    line_end_ = told.back() != '\n' ? 0 : cr ? 2 : 1;
    ends_in_cr_ = told.back() == '\r';
    told_ += told.size();
}

/// A body begins here: what came before is not its own.
void MimeWalk::forget_line_end() {
    line_end_ = 0;
    ends_in_cr_ = false;
}

void MimeWalk::begin_header(ContentType::Kind kind) {
    in_ = In::header;
    type_.kind = kind;
    type_seen_ = false;
    fields_ = false;
}

void MimeWalk::end_header() {
    in_ = around();
    line_start_ = true;
    forget_line_end();
    if (std::exchange(fields_, false)) return;
    const bool enters = listener_.header_ends(type_, told_) && type_.kind != Kind::leaf;
    if (!enters) return;
    if (type_.kind == Kind::fields) {
        begin_header(Kind::leaf);
        fields_ = true;
    } else if (level_ == bounds_.levels || parts_ == bounds_.parts) {
        return;
    } else if (type_.kind == Kind::message) {
        begin_part(Kind::leaf, level_ + 1);
    } else if (boundaries_.size() < kMultiparts) {
        boundaries_.push_back({type_.boundary_octets, type_.boundary_size, type_.kind == Kind::digest, level_});
        in_ = In::body;
    }
}

/// Ends the parts below this level.
void MimeWalk::end_parts(std::size_t level, std::uint64_t offset) {
    for (; level_ > level; --level_) listener_.part_ends(offset);
}

/// The delimiter that a line, with its line end, is of the parts at any level (RFC 2046 s5.1.1); null: none. White
/// space may stand behind it.
const MimeWalk::Delimiter* MimeWalk::find_delimiter(std::string_view line) {
    if (!line.starts_with("--") || line.size() > kLongestDelimiter) return nullptr;
    while (is_wsp(line.back()) || line.back() == '\r' || line.back() == '\n') line.remove_suffix(1);
    line.remove_prefix(2);
    for (auto at = boundaries_.size(); at-- > 0;) {
        const std::string_view text(boundaries_[at].octets.data(), boundaries_[at].size);
        if (!line.starts_with(text)) continue;
        const auto behind = line.substr(text.size());
        if (!behind.empty() && behind != "--") continue;
        found_ = {at, !behind.empty()};
        return &found_;
    }
    return nullptr;
}

void MimeWalk::pass_delimiter(Delimiter delimiter, std::string_view line) {
    const auto level = boundaries_[delimiter.boundary].level;
    const bool digest = boundaries_[delimiter.boundary].digest;
    if (in_ == In::header && !fields_) {
        listener_.header_ends(type_, told_);
        forget_line_end();
    }
    end_parts(level, told_ - line_end_);
    tell_frame(line);
    const bool ends = delimiter.closes || parts_ == bounds_.parts;
    boundaries_.resize(delimiter.boundary + (ends ? 0 : 1));
    if (!ends) return begin_part(digest ? Kind::message : Kind::leaf, level + 1);
    if (!delimiter.closes) boundaries_.clear();
    fields_ = false;
    in_ = around();
    line_start_ = true;
}

/// Takes what is body, up to a delimiter and with it. Returns the rest. Only lines that begin with a hyphen are looked
/// at, because delimiters do and encoded attachments have none.
std::string_view MimeWalk::body(std::string_view in) {
    if (partial_size_ > 0) {
        const auto more = in.substr(0, std::min(in.find('\n'), in.size() - 1) + 1);
        if (partial_size_ + more.size() <= partial_.size()) {
            std::ranges::copy(more, partial_.begin() + partial_size_);
            partial_size_ = static_cast<std::uint8_t>(partial_size_ + more.size());
            if (more.back() != '\n') return {};
            in.remove_prefix(more.size());
        }
        line_start_ = partial_[partial_size_ - 1] == '\n';
        const std::string_view line(partial_.data(), std::exchange(partial_size_, 0));
        if (const auto* delimiter = line_start_ ? find_delimiter(line) : nullptr) {
            pass_delimiter(*delimiter, line);
            return in;
        }
        tell_body(line);
    }
    for (std::size_t at = 0; at < in.size();) {
        const auto hyphen = in.find('-', at);
        if (hyphen == in.npos) {
            line_start_ = in.back() == '\n';
            break;
        }
        const bool begins_line = hyphen == 0 ? line_start_ : in[hyphen - 1] == '\n';
        const auto newline = in.find('\n', hyphen);
        if (newline == in.npos) {
            line_start_ = false;
            const auto line = in.substr(hyphen);
            if (!begins_line || line.size() > partial_.size()) break;
            tell_body(in.substr(0, hyphen));
            std::ranges::copy(line, partial_.begin());
            partial_size_ = static_cast<std::uint8_t>(line.size());
            return {};
        }
        at = newline + 1;
        line_start_ = true;
        const auto line = in.substr(hyphen, at - hyphen);
        if (const auto* delimiter = begins_line ? find_delimiter(line) : nullptr) {
            tell_body(in.substr(0, hyphen));
            pass_delimiter(*delimiter, line);
            return in.substr(at);
        }
    }
    tell_body(in);
    return {};
}

}  // namespace poplar::mail
