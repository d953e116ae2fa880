// Headers of any octets: the walk doesn't depend on how they come and counts the fields that parse_header finds; what
// is shown to people is clean UTF-8.
#include <unistr.h>

#include "fuzz/check.h"
#include "mail/header_walk.h"

namespace poplar::mail {
namespace {

HeaderWalk walk(const std::vector<std::string_view>& pieces) {
    HeaderWalk walk;
    for (auto piece : pieces) walk.feed(piece);
    return walk;
}

void check_display(std::string_view value) {
    const std::string shown = decode_for_display(value);
    CHECK(u8_check(reinterpret_cast<const std::uint8_t*>(shown.data()), shown.size()) == nullptr);
    CHECK(std::ranges::none_of(shown, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
    CHECK(shown.size() <= 12 * value.size());  // a guard against output that runs away
}

void check(std::string_view in, std::uint32_t seed) {
    const HeaderWalk whole = walk({in}), pieces = walk(fuzz::cut(in, seed));
    CHECK(whole.in_body() == pieces.in_body());
    CHECK(whole.header_octets() == pieces.header_octets());
    CHECK(whole.field_count() == pieces.field_count());
    CHECK(whole.received_count() == pieces.received_count());
    CHECK(whole.has_8bit() == pieces.has_8bit());
    CHECK(whole.lacks_blank_line() == pieces.lacks_blank_line());
    CHECK(whole.undecided() == pieces.undecided() && whole.undecided() <= kLongestFieldName);
    CHECK(whole.in_body() ? whole.header_octets() <= in.size() : whole.header_octets() == in.size());
    CHECK(whole.received_count() <= whole.field_count());

    const auto fields = parse_header(in.substr(0, whole.header_octets()), in.size());
    CHECK(fields.size() == whole.field_count());
    CHECK(parse_header(in, 2).size() == std::min<std::size_t>(2, fields.size()));
    for (const auto& field : fields) {
        CHECK(!field.name.empty() && field.value.find('\n') == std::string::npos);
        check_display(field.value);
    }
    check_display(in);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::mail::check(input.rest(), seed);
    return 0;
}
