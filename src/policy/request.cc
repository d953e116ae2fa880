#include "policy/request.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.h"

namespace poplar::policy {

namespace {

bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= kNameLimit &&
           std::ranges::all_of(text, [](char c) { return ascii::is_alnum(c) || c == '_' || c == '-' || c == '.'; });
}

}  // namespace

Result<bool> RequestReader::take(std::string_view line) {
    if (line.empty()) {
        if (names_.empty()) return fail(Errc::invalid, "a request without attributes");
        return true;
    }
    const auto equals = line.find('=');
    const auto name = line.substr(0, equals);
    if (equals == line.npos || !is_name(name)) return fail(Errc::invalid, "a line that is no attribute");
    if (names_.size() == kAttributeLimit) return fail(Errc::invalid, "too many attributes");
    if (!names_.emplace(name).second) return fail(Errc::invalid, "an attribute that comes twice");
    const auto value = line.substr(equals + 1);
    if (name == "request") request_.type = value;
    if (name == "protocol_state") request_.state = value;
    if (name == "recipient") request_.recipient = value;
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
    names_.clear();
    return std::exchange(request_, {});
}

std::string answer(std::string_view action) { return std::string("action=").append(action).append("\n\n"); }

}  // namespace poplar::policy
