// Messages of any octets: what a client without UTF-8 gets has an ASCII header that ends where it did and sizes as they
// were counted, doesn't depend on how the octets come, and isn't changed again; ASCII headers are left alone.
#include "fuzz/check.h"
#include "mail/downgrade.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"
#include "mail/header_walk.h"
#include "mail/wire_form.h"

namespace poplar::mail {
namespace {

struct Result {
    std::string out;
    bool needed;
};

Result downgrade(const std::vector<std::string_view>& pieces) {
    Result result;
    std::string block;
    std::int64_t size = 0;
    Downgrader downgrader(&block), measure;
    for (auto piece : pieces) {
        block.clear();
        downgrader.feed(piece);
        measure.feed(piece);
        result.out += block;
        size += static_cast<std::int64_t>(piece.size());
    }
    block.clear();
    downgrader.finish();
    measure.finish();
    result.out += block;
    result.needed = measure.needed();
    CHECK(downgrader.growth() == measure.growth() && downgrader.needed() == measure.needed());
    CHECK(static_cast<std::int64_t>(result.out.size()) == size + measure.growth());
    return result;
}

std::size_t stuffed_lines(std::string_view wire) {
    std::size_t count = wire.starts_with('.') ? 1 : 0;
    for (std::size_t at = 0; (at = wire.find("\n.", at)) != wire.npos; ++at) ++count;
    return count;
}

void check(std::string_view in, std::uint32_t seed) {
    std::string wire;
    WireEncoder encoder(BareNewlines::normalize);
    encoder.encode(in, wire);
    encoder.finish(wire);
    const auto whole = downgrade({wire}), pieces = downgrade(fuzz::cut(wire, seed));
    CHECK(whole.out == pieces.out && whole.needed == pieces.needed);
    CHECK(whole.needed || whole.out == wire);
    CHECK(stuffed_lines(whole.out) == stuffed_lines(wire));
    CHECK(downgrade({whole.out}).out == whole.out);
    CHECK(whole.out.size() <= 20 * wire.size() + 100);  // a guard against output that runs away
    HeaderWalk before, after;
    before.feed(wire);
    after.feed(whole.out);
    CHECK(!after.has_8bit());
    CHECK(before.in_body() == after.in_body());
    CHECK(before.field_count() <= after.field_count());  // a line that was none may look like a field now
    CHECK(whole.needed || !before.has_8bit());

    const auto field = downgrade_field(in);  // whatever it is
    CHECK(!has_8bit(field));
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::mail::check(input.rest(), seed);
    return 0;
}
