// A milter sends any octets, cut anyhow. A header that it has changed is a header still, with the same body
// behind it.
#include "fuzz/check.h"
#include "inspection/milter_protocol.h"
#include "mail/header_walk.h"

namespace poplar::inspection::milter {
namespace {

void check_changes(Changes& changes) {
    const auto header = changes.header();
    mail::HeaderWalk walk;
    walk.feed(header);
    CHECK(walk.in_body());
    CHECK(!changes.header_changed() || walk.header_octets() <= kMostHeader + 2);
    CHECK(changes.fields().size() <= kMostFields);
    if (changes.body()) CHECK(changes.body()->size() <= kMostBody);
}

void check(std::string_view in, std::uint32_t seed) {
    Terms terms;
    if ((seed & 1) != 0) terms.steps = leading_space;
    Changes changes("Subject: x\r\nX-A: 1\r\nX-A: 2\r\n\t3\r\n\r\n", terms);
    std::string input, whole(in);
    std::vector<Packet> packets;
    for (const auto piece : fuzz::cut(in, seed)) {
        input += piece;
        bool more = true;
        while (more) {
            auto packet = take_packet(input);
            if (!packet) return;
            more = packet->has_value();
            if (more) packets.push_back(std::move(**packet));
        }
    }
    for (const auto& expected : packets) {  // the same packets, if they come at once
        auto packet = take_packet(whole);
        CHECK(packet && *packet && **packet == expected);
    }
    for (const auto& packet : packets) {
        (void)parse_terms(packet);
        auto answer = parse_answer(packet);
        if (!answer) continue;
        for (const char c : answer->text) CHECK(c >= ' ' && c < 0x7f);
        if (answer->kind == Answer::Kind::change) (void)changes.apply(packet);
    }
    check_changes(changes);
    for (const auto& field : changes.fields()) CHECK(header_data(field, terms).size() <= field.size() + 2);
}

}  // namespace
}  // namespace poplar::inspection::milter

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::inspection::milter::check(input.rest(), seed);
    return 0;
}
