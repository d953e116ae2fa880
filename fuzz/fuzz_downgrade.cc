// Messages of any octets, mended as delivery does it: what a client without UTF-8 gets says every letter that came, has
// sizes as they were counted, doesn't depend on how the octets come, and isn't changed again; ASCII headers are left
// alone.
#include "fuzz/check.h"
#include "mail/address.h"
#include "mail/downgrade.h"
#include "mail/downgrade_field.h"
#include "mail/field_writer.h"
#include "mail/header_mender.h"
#include "mail/wire_form.h"
#include "tests/mail/letters.h"

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

std::string mended(const std::vector<std::string_view>& pieces) {
    HeaderMender mender;
    std::string out;
    std::size_t size = 0;
    for (const auto piece : pieces) {
        const std::string gone(piece);  // once the next one comes
        out += mender.pass(gone);
        size += piece.size();
    }
    out += mender.finish();
    CHECK(out.size() == size + mender.added());
    return out;
}

/// Only a boundary stays as it is, whatever octets it has.
bool may_have_boundary(std::string_view field) {
    std::string lower(field);
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
    return lower.contains("boundary");
}

void check_field(std::string_view field) {
    const auto out = downgrade_field(field);
    CHECK(test::says_all(out, field));
    CHECK(out.size() <= 20 * field.size() + 100);
    CHECK(!has_8bit(out) || may_have_boundary(field));
    for (std::size_t end = 0; (end = out.find('\n', end)) != out.npos;) {
        ++end;
        CHECK(end == out.size() || out[end] == ' ' || out[end] == '\t');
    }
}

void check(std::string_view in, std::uint32_t seed) {
    std::string encoded;
    WireEncoder encoder(BareNewlines::normalize);
    encoder.encode(in, encoded);
    encoder.finish(encoded);
    const auto wire = mended({encoded});
    CHECK(wire == mended(fuzz::cut(encoded, seed)));
    CHECK(wire == mended({wire}));
    HeaderWalk walk;
    walk.feed(wire);
    CHECK(!walk.lacks_blank_line());
    CHECK(downgrade({encoded}).out == downgrade(fuzz::cut(encoded, seed)).out);  // as a part, or stored unmended
    CHECK(test::says_all(downgrade({encoded}).out, encoded));

    const auto whole = downgrade({wire}), pieces = downgrade(fuzz::cut(wire, seed));
    CHECK(whole.out == pieces.out && whole.needed == pieces.needed);
    CHECK(whole.needed || whole.out == wire);
    CHECK(stuffed_lines(whole.out) == stuffed_lines(wire));
    // A field whose boundary is not ASCII is folded anew.
    CHECK((has_8bit(whole.out) && may_have_boundary(wire)) || downgrade({whole.out}).out == whole.out);
    CHECK(whole.out.size() <= 20 * wire.size() + 100);  // a guard against output that runs away
    CHECK(test::says_all(whole.out, wire));
    HeaderWalk before, after;
    before.feed(wire);
    after.feed(whole.out);
    CHECK(before.in_body() == after.in_body());
    CHECK(before.field_count() == after.field_count());
    CHECK(whole.needed || !before.has_8bit() || !is_utf8(wire.substr(0, before.header_octets())));

    if (!field_name(in).empty() && is_utf8(in) && in.find('\n') == in.npos) check_field(in);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::mail::check(input.rest(), seed);
    return 0;
}
