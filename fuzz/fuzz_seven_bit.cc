// Messages of any octets as 7-bit text: what comes out does not depend on how the octets come, has no octet over 0x7f
// and is not changed again; what is 7-bit already stays as it is.
#include "fuzz/check.h"
#include "mail/field_writer.h"
#include "mail/seven_bit.h"
#include "mail/wire_form.h"

namespace poplar::mail {
namespace {

SevenBitPlan plan_of(const std::vector<std::string_view>& pieces) {
    SevenBitPlanner planner;
    for (const auto piece : pieces) planner.feed(piece);
    return planner.finish();
}

std::string written(const SevenBitPlan& plan, const std::vector<std::string_view>& pieces) {
    std::string block, out;
    SevenBitWriter writer(plan, block);
    for (const auto piece : pieces) {
        block.clear();
        writer.feed(piece);
        out += block;
    }
    block.clear();
    writer.finish();
    return out + block;
}

void check(std::string_view in, std::uint32_t seed) {
    // As the queue has it: every line ends in CRLF.
    std::string wire, plain;
    WireEncoder encoder(BareNewlines::normalize);
    encoder.encode(in, wire);
    encoder.finish(wire);
    WireDecoder().decode(wire, plain);
    const auto plan = plan_of({plain}), cut = plan_of(fuzz::cut(plain, seed));
    CHECK(plan.parts == cut.parts && plan.obstacle == cut.obstacle && plan.needed == cut.needed);
    CHECK(plan.needed || !plan.obstacle.empty() || !has_8bit(plain));
    if (!plan.obstacle.empty()) return;
    const auto out = written(plan, {plain});
    CHECK(out == written(plan, fuzz::cut(plain, seed)));
    CHECK(!has_8bit(out));
    CHECK(out.size() <= 8 * plain.size() + 200 * plan.parts.size() + 100);
    const auto again = plan_of({out});
    CHECK(!again.needed && again.obstacle.empty());
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::mail::check(input.rest(), seed);
    return 0;
}
