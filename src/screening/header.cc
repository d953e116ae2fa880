#include "screening/header.h"

#include <algorithm>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::screening {

std::string_view Header::Field::value() const {
    const auto colon = raw.find(':');
    return colon == raw.npos ? std::string_view() : raw.substr(colon + 1);
}

Header::Header(std::string text) : text_(std::move(text)) {
    std::string_view rest = text_;
    while (!rest.empty()) {
        std::size_t end = 0;
        do {  // a line that begins with white space goes on with the field
            const auto line_end = rest.find('\n', end);
            end = line_end == rest.npos ? rest.size() : line_end + 1;
        } while (end < rest.size() && ascii::is_wsp(rest[end]));
        const auto raw = rest.substr(0, end);
        rest.remove_prefix(end);
        const auto name = mail::field_name(raw);
        if (name.empty()) break;  // the blank line
        fields_.push_back({raw, ascii::to_lower(ascii::trim(name))});
        by_name_[fields_.back().name].push_back(fields_.size() - 1);
    }
}

const std::vector<std::size_t>& Header::named(const std::string& name) const {
    static const std::vector<std::size_t> none;
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? none : found->second;
}

const Header::Field* Header::only(const std::string& name) const {
    const auto& all = named(name);
    return all.size() == 1 ? &fields_[all.front()] : nullptr;
}

void MessageReader::feed(std::string_view wire) {
    plain_.clear();
    decoder_.decode(wire, plain_);
    take(plain_);
}

void MessageReader::take(std::string_view plain) {
    if (in_body_) {
        if (!plain.empty()) on_body(plain);
        return;
    }
    header_ += plain;
    std::size_t end = header_.npos;
    if (header_.starts_with("\r\n")) {
        end = 2;
    } else {
        const auto blank = header_.find("\r\n\r\n", searched_ > 3 ? searched_ - 3 : 0);
        if (blank != header_.npos) end = blank + 4;
    }
    searched_ = header_.size();
    if (end == header_.npos) return;
    in_body_ = true;
    const auto body = header_.substr(end);
    header_.resize(end);
    on_header(std::move(header_));
    if (!body.empty()) on_body(body);
}

void MessageReader::finish() {
    if (!in_body_) on_header(std::move(header_));
    in_body_ = true;
}

}  // namespace poplar::screening
