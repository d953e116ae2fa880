#include "mail/submission_filter.h"

#include <algorithm>
#include <utility>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::mail {

// A line is decided once its colon, its end or its kLongestFieldName octets have come: what comes of it later passes.
std::string_view SubmissionFilter::pass(std::string_view wire) {
    if (in_body_) return wire;
    out_.clear();
    held_ += wire;
    std::string_view rest = held_;
    while (!rest.empty() && !in_body_) {
        const auto end = rest.find('\n');
        auto line = rest.substr(0, end == rest.npos ? rest.size() : end + 1);
        if (!decided_) {
            const bool enough = end != rest.npos || line.find(':') != line.npos || line.size() > kLongestFieldName ||
                                ascii::is_wsp(line.front());
            if (!enough) break;
            begin_line(line);
            decided_ = true;
        }
        take(line);
        decided_ = end == rest.npos;
        rest.remove_prefix(line.size());
    }
    if (in_body_) {
        out_ += rest;
        rest = {};
    }
    held_ = std::string(rest);
    return out_;
}

std::string_view SubmissionFilter::finish() {
    out_ = std::exchange(held_, {});
    return out_;
}

void SubmissionFilter::begin_line(std::string_view line) {
    if (line == "\r\n" || line == "\n") {
        in_body_ = true;
        kind_ = Kind::other;
        return;
    }
    if (ascii::is_wsp(line.front())) return;  // the field goes on
    const auto name = ascii::trim(line.substr(0, std::min(line.find(':'), line.size())));
    auto is = [&](std::string_view wanted) { return ascii::same(name, wanted); };
    kind_ = Kind::other;
    if (is("Bcc") || is("Resent-Bcc")) kind_ = Kind::removed;
    has_date_ |= is("Date");
    has_message_id_ |= is("Message-ID");
    if (is("From") && from_.fields++ == 0) kind_ = Kind::from;
    if (is("Sender") && sender_.fields++ == 0) kind_ = Kind::sender;
}

void SubmissionFilter::take(std::string_view text) {
    if (kind_ == Kind::removed) {
        removed_ += text.size();
        return;
    }
    if (kind_ == Kind::from || kind_ == Kind::sender) {
        auto& field = kind_ == Kind::from ? from_ : sender_;
        const auto fits = text.substr(0, kFromLimit - field.text.size());
        field.text += fits;
        field.too_long |= fits.size() < text.size();
    }
    out_ += text;
}

namespace {

/// Walks over a list, with comments and white space left out between its pieces (RFC 5322 s3.2.2).
class ListReader {
public:
    explicit ListReader(std::string_view text) : text_(text) {}

    bool skip() {  // false: a comment does not end
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '(') {
                std::size_t depth = 0;
                do {
                    if (text_[at_] == '\\')
                        ++at_;
                    else if (text_[at_] == '(')
                        ++depth;
                    else if (text_[at_] == ')')
                        --depth;
                    if (++at_ >= text_.size() && depth > 0) return false;
                } while (depth > 0);
            } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
                ++at_;
            } else {
                break;
            }
        }
        return true;
    }
    bool at_end() const { return at_ >= text_.size(); }
    char peek() const { return text_[at_]; }
    void next() { ++at_; }
    /// A quoted-string with its quotation marks, a domain literal, or a run of other characters; "" at a special one.
    std::string_view word() {
        const auto begin = at_;
        if (peek() == '"' || peek() == '[') {
            const char stop = peek() == '"' ? '"' : ']';
            for (++at_; at_ < text_.size() && text_[at_] != stop; ++at_)
                if (text_[at_] == '\\') ++at_;
            if (at_ >= text_.size()) return {};
            ++at_;
            return text_.substr(begin, at_ - begin);
        }
        constexpr std::string_view kSpecial = " \t\r\n()<>,;:\"[@";
        at_ = std::min(text_.find_first_of(kSpecial, at_), text_.size());
        return text_.substr(begin, at_ - begin);
    }

private:
    std::string_view text_;
    std::size_t at_ = 0;
};

}  // namespace

std::optional<std::vector<std::string>> addresses_in(std::string_view list, std::size_t limit) {
    std::vector<std::string> found;
    std::string address;  // the pieces since the last separator, put together: an address, or a name before "<"
    std::string name;     // that name, if it looks like an address
    bool angle = false, closed = false;
    bool has_at = false;  // `address` has an "@" outside quotation marks
    auto end_of_one = [&] {
        const bool bad = angle || (!address.empty() && !closed && !has_at);
        if (has_at) found.push_back(address);
        address.clear();
        closed = has_at = false;
        return !bad && found.size() <= limit;
    };
    for (ListReader in(list);;) {
        if (!in.skip()) return std::nullopt;
        if (in.at_end()) break;
        const char c = in.peek();
        if (c == ',' || c == ';') {
            if (!end_of_one()) return std::nullopt;
            in.next();
        } else if (c == ':' && !angle) {  // a group's name stood before it
            if (has_at) return std::nullopt;
            address.clear();
            in.next();
        } else if (c == '<') {
            if (angle || closed) return std::nullopt;
            name = has_at ? std::exchange(address, {}) : std::string();
            address.clear();  // the display name
            angle = true;
            has_at = false;
            in.next();
        } else if (c == '>') {
            if (!angle || !has_at) return std::nullopt;
            // A source route (RFC 5322 s4.4) ends at its colon.
            if (address.starts_with('@')) address.erase(0, address.find(':') + 1);
            if (!name.empty() && !ascii::same(name, address)) return std::nullopt;
            angle = false;
            closed = true;
            in.next();
        } else if (c == '@' || (c == ':' && angle)) {
            has_at |= c == '@';
            address += c;
            in.next();
        } else {
            const auto word = in.word();
            if (word.empty()) return std::nullopt;
            if (closed) return std::nullopt;
            address += word;
        }
    }
    if (!end_of_one()) return std::nullopt;
    return found;
}

}  // namespace poplar::mail
