#include "mail/tls_required.h"

#include <algorithm>

#include "base/ascii.h"
#include "mail/header_walk.h"

namespace poplar::mail {

namespace {

constexpr std::string_view kName = "tls-required";
constexpr std::size_t kLongest = 100;  // octets of such a field: it says no more than one word

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

bool says_tls_not_required(std::string_view field) {
    if (field.size() > kLongest || !ascii::same(ascii::trim(field_name(field)), kName)) return false;
    auto value = field.substr(field.find(':') + 1);
    while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
    while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
    return ascii::same(value, "no");
}

void TlsRequiredFinder::end_field() {
    if (says_tls_not_required(field_)) done_ = says_no_ = true;
    field_.clear();
}

void TlsRequiredFinder::feed(std::string_view octets) {
    while (!octets.empty() && !done_) {
        if (begins_line_ && !ascii::is_wsp(octets.front())) {
            end_field();
            if (octets.front() == '\r' || octets.front() == '\n') done_ = true;  // the empty line
            if (done_) return;
        }
        const auto size = std::min(octets.find('\n'), octets.size() - 1) + 1;
        const auto line = octets.substr(0, size);
        // One octet over the limit shows that it is longer.
        field_ += line.substr(0, kLongest + 1 - std::min(field_.size(), kLongest + 1));
        begins_line_ = line.back() == '\n';
        octets.remove_prefix(size);
    }
}

}  // namespace poplar::mail
