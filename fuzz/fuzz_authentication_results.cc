// A message of any octets: forged results are taken out and nothing else is, however it is cut; and what strangers put
// into our own results stays within them.
#include "fuzz/check.h"
#include "screening/authentication_results.h"

namespace poplar::screening {
namespace {

std::string pass(std::string_view text, std::uint32_t seed, std::uint64_t& removed) {
    ForgedResultsFilter filter("mx.example.test");
    std::string out;
    for (const auto piece : fuzz::cut(text, seed)) out += filter.pass(piece);
    out += filter.finish();
    removed = filter.removed();
    return out;
}

void check(std::string_view text, std::uint32_t seed) {
    std::uint64_t removed = 0, again = 0;
    const auto kept = pass(text, seed, removed);
    CHECK(kept == pass(text, 0, again) && removed == again);
    CHECK(kept.size() + removed == text.size());
    CHECK(pass(kept, seed, removed) == kept && removed == 0);
    const std::string value(text);
    const auto results = format_results("mx.example.test", {{"spf", Outcome::pass, value, value, {{"a.b", value}}}});
    CHECK(authserv_id(results) == "mx.example.test");
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = results.find('\n', at)) != results.npos; ++at, ++lines)
        CHECK(results[at - 1] == '\r' && results[at + 1] == '\t');
    CHECK(lines <= 2);
    for (const char c : results) CHECK(static_cast<unsigned char>(c) < 0x80);
}

}  // namespace
}  // namespace poplar::screening

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::screening::check(input.rest(), seed);
    return 0;
}
