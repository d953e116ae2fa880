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

}  // namespace poplar::mail
