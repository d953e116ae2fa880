#include "screening/canonical_form.h"

#include <algorithm>

#include "base/ascii.h"

namespace poplar::screening {

namespace {

constexpr std::size_t kBlock = 16 * 1024;  // canonical octets that are hashed at a time

bool is_space(char c) { return ascii::is_wsp(c) || c == '\r' || c == '\n'; }

std::string_view without_line_end(std::string_view field) {
    if (field.ends_with('\n')) field.remove_suffix(1);
    if (field.ends_with('\r')) field.remove_suffix(1);
    return field;
}

}  // namespace

std::string canonical_field(std::string_view field, Canonical form) {
    field = without_line_end(field);
    if (form == Canonical::simple) return std::string(field) + "\r\n";
    const auto colon = std::min(field.find(':'), field.size());
    std::string out = ascii::to_lower(ascii::trim(field.substr(0, colon)));
    out += ':';
    auto value = field.substr(std::min(colon + 1, field.size()));
    bool space = false;
    const auto begin = out.size();
    for (const char c : value) {
        if (is_space(c)) {
            space = true;
            continue;
        }
        if (space && out.size() > begin) out += ' ';
        space = false;
        out += c;
    }
    return out + "\r\n";
}

void BodyHash::put(std::string_view octets) {
    out_ += octets;
    octets_ += octets.size();
    if (out_.size() < kBlock) return;
    hash_.feed(out_);
    out_.clear();
}

void BodyHash::text(std::string_view run) {
    for (; line_ends_ > 0; --line_ends_) put("\r\n");
    if (space_) put(" ");
    space_ = false;
    any_ = true;
    put(run);
}

void BodyHash::end_line() {
    space_ = false;  // white space at a line's end
    ++line_ends_;
}

void BodyHash::feed(std::string_view plain) {
    const bool relaxed = form_ == Canonical::relaxed;
    std::size_t at = 0;
    while (at < plain.size()) {
        const char c = plain[at];
        if (carriage_return_) {
            carriage_return_ = false;
            if (c == '\n') {
                end_line();
                ++at;
                continue;
            }
            text("\r");
        }
        if (c == '\r') {
            carriage_return_ = true;
            ++at;
        } else if (relaxed && ascii::is_wsp(c)) {
            space_ = true;
            ++at;
        } else {
            auto end = at + 1;
            while (end < plain.size() && plain[end] != '\r' && !(relaxed && ascii::is_wsp(plain[end]))) ++end;
            text(plain.substr(at, end - at));
            at = end;
        }
    }
}

// RFC 6376 s3.4.3: an empty body is one line end; s3.4.4: or nothing.
std::string BodyHash::finish() {
    if (carriage_return_) text("\r");
    if (any_ || form_ == Canonical::simple) put("\r\n");
    hash_.feed(out_);
    out_.clear();
    return hash_.finish();
}

}  // namespace poplar::screening
