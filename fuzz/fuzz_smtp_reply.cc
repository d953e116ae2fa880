// A server's replies of any octets: a reply that keeps its promises, or an error; and its extensions.
#include "fuzz/check.h"
#include "smtp/client/reply.h"

namespace poplar::smtp::client {
namespace {

void check_replies(std::string_view octets) {
    ReplyParser parser;
    while (!octets.empty()) {
        const auto line = octets.substr(0, octets.find('\n'));
        octets.remove_prefix(std::min(line.size() + 1, octets.size()));
        const auto last = parser.add(line);
        if (!last) return;
        const auto& reply = parser.reply();
        CHECK(reply.code >= 200 && reply.code < 600);
        CHECK(reply.lines.size() <= kReplyLines && reply.text.size() <= kReplyText + 1);
        CHECK(reply.status.empty() || reply.status[0] == static_cast<char>('0' + reply.code / 100));
        CHECK(reply.shown().starts_with(std::to_string(reply.code)));
        if (!*last) continue;
        const auto found = parse_extensions(reply.lines);
        CHECK(!found.size || *found.size > 0);
        CHECK(!found.recipients || *found.recipients > 0);
        parser = ReplyParser();
    }
}

}  // namespace
}  // namespace poplar::smtp::client

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::smtp::client::check_replies(poplar::fuzz::Input(data, size).rest());
    return 0;
}
