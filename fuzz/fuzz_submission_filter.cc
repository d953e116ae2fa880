// A submitted message of any octets: what passes is the same however it is cut, Bcc is gone, and nothing else is.
#include "fuzz/check.h"
#include "mail/submission_filter.h"

namespace poplar::mail {
namespace {

std::string pass(std::string_view text, std::size_t cut, SubmissionFilter& filter) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += cut) out += filter.pass(text.substr(at, cut));
    out += filter.finish();
    return out;
}

void check_message(std::string_view text) {
    SubmissionFilter whole, parts;
    const auto out = pass(text, text.size() + 1, whole);
    CHECK(out == pass(text, 1, parts));
    CHECK(out.size() + whole.removed() == text.size());
    CHECK(whole.from() == parts.from() && whole.sender() == parts.sender());
    CHECK(whole.has_date() == parts.has_date() && whole.has_message_id() == parts.has_message_id());
    SubmissionFilter again;
    CHECK(pass(out, out.size() + 1, again) == out || whole.removed() > 0);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::mail::check_message(poplar::fuzz::Input(data, size).rest());
    return 0;
}
