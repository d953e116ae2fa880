// Answers of rspamd of any octets: nothing in them can end a header, a line or a reply early.
#include "base/ascii.h"
#include "fuzz/check.h"
#include "inspection/rspamd_reply.h"

namespace poplar::inspection {
namespace {

bool is_one_line(std::string_view text) { return text.find_first_of("\r\n") == text.npos; }

void check_value(std::string_view value) {
    for (auto at = value.find_first_of("\r\n"); at != value.npos; at = value.find_first_of("\r\n", at + 3)) {
        CHECK(value.substr(at, 3) == "\r\n\t");
        CHECK(at + 3 < value.size() && value[at + 3] != '\r' && value[at + 3] != '\n');
    }
}

void check_reply(std::string_view text) {
    check_value(field_value(text));
    CHECK(is_one_line(reply_text(text)));
    auto reply = parse_rspamd_reply(text);
    if (!reply) return;
    CHECK(reply->percent() <= 100 && is_one_line(reply->message));
    CHECK(reply->add_headers.size() <= kReplyFields && reply->remove_headers.size() <= kReplyFields);
    for (const auto& [name, value] : reply->add_headers) {
        CHECK(is_field_name(name));
        check_value(value);
    }
    for (const auto& name : reply->remove_headers) CHECK(is_field_name(name) && name == ascii::to_lower(name));
}

}  // namespace
}  // namespace poplar::inspection

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::inspection::check_reply(poplar::fuzz::Input(data, size).rest());
    return 0;
}
