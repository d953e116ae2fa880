// Records of the queue of any octets: they decode to what encodes to the same, or not at all.
#include "fuzz/check.h"
#include "queue/record.h"

namespace poplar::queue {
namespace {

void check_records(std::string_view value) {
    const std::string id(kIdLength, 'x');
    if (auto message = decode_message(id, value)) {
        auto again = decode_message(id, encode(*message));
        CHECK(again && encode(*again) == encode(*message));
    }
    const auto key = part_key(id, 7);
    if (auto part = decode_part(key, value)) {
        auto again = decode_part(key, encode(*part));
        CHECK(again && encode(*again) == encode(*part) && again->recipients == part->recipients);
    }
    if (auto place = parse_due_key(value)) CHECK(place->message.size() == kIdLength);
    const auto kept = kept_reply(value);
    CHECK(kept.size() <= kReplyLimit && kept.find_first_of("\r\n") == kept.npos);
}

}  // namespace
}  // namespace poplar::queue

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::queue::check_records(poplar::fuzz::Input(data, size).rest());
    return 0;
}
