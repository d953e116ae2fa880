// Messages of any octets: their structure is the same however they come, fits the octets, and is read back as it was
// written; subjects and message ids of any octets are taken.
#include <string>

#include "fuzz/check.h"
#include "mail/structure.h"
#include "mail/thread.h"

namespace poplar::mail {
namespace {

Structure read(const std::vector<std::string_view>& pieces) {
    StructureReader reader;
    for (auto piece : pieces) reader.feed(std::string(piece));
    return reader.finish();
}

void check(std::string_view wire, std::uint32_t seed) {
    const auto structure = read({wire});
    CHECK(structure == read(fuzz::cut(wire, seed)) || wire.size() > MimeWalk::kFieldLimit);
    const auto& whole = structure.parts.front();
    CHECK(whole.level == 0 && whole.begin == 0 && whole.end == wire.size());
    for (const auto& part : structure.parts) {
        CHECK(part.begin <= part.body && part.body <= part.end && part.end <= wire.size());
        CHECK(part.header_octets <= part.body - part.begin && part.body_octets <= part.end - part.body);
        CHECK(part.body_lines <= part.body_octets);
    }
    const auto decoded = decode_structure(encode(structure));
    CHECK(decoded && *decoded == structure);
    if (const auto any = decode_structure(wire)) CHECK(encode(*any) == wire || !any->parts.empty());

    for (auto id : message_ids(wire, 5)) CHECK(!id.empty() && id.size() <= 998);
    const auto subject = base_subject(wire);
    CHECK(base_subject("Re: " + std::string(wire)) == subject);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::mail::check(input.rest(), seed);
    return 0;
}
