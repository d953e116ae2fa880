#include "policy/request.h"

#include <charconv>
#include <utility>

namespace poplar::policy {

namespace {

// SMTPD_POLICY_README: a name may have any octets but "=", NUL and a newline, a value any but the last two.
bool is_attribute(std::string_view line) {
    const auto name = line.find('=');
    return name != line.npos && name != 0 && name <= kNameLimit && !line.contains('\0');
}

}  // namespace

Result<bool> RequestReader::take(std::string_view line) {
    if (line.empty()) {
        if (attributes_ == 0) return fail(Errc::invalid, "a request without attributes");
        return true;
    }
    if (!is_attribute(line)) return fail(Errc::invalid, "a line that is no attribute");
    if (attributes_++ == kAttributeLimit) return fail(Errc::invalid, "too many attributes");
    const auto equals = line.find('=');
    const auto name = line.substr(0, equals), value = line.substr(equals + 1);
    if (name == "request") request_.type = value;
    if (name == "protocol_state") request_.state = value;
    if (name == "recipient") request_.recipient = value;
    if (name == "size") request_.size.reset();
    if (name == "size" && !value.empty()) {
        std::uint64_t size = 0;
        const char* last = value.data() + value.size();
        auto [end, error] = std::from_chars(value.data(), last, size);
        if (error != std::errc{} || end != last) return fail(Errc::invalid, "a size that is no number");
        if (size != 0) request_.size = size;
    }
    return false;
}

Request RequestReader::finish() {
    attributes_ = 0;
    return std::exchange(request_, {});
}

std::string answer(std::string_view action) { return std::string("action=").append(action).append("\n\n"); }

}  // namespace poplar::policy
