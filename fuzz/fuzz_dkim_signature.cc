// A header of any octets: a signature that can be read holds its promises, forms are canonical, and a body has the same
// hash however it is cut.
#include "fuzz/check.h"
#include "screening/dkim.h"

namespace poplar::screening {
namespace {

std::string hash_of(std::string_view body, Canonical form, std::uint32_t seed) {
    BodyHash hash(form);
    for (const auto piece : fuzz::cut(body, seed)) hash.feed(piece);
    return hash.finish();
}

void check(std::string_view text, std::uint32_t seed) {
    const Header header{std::string(text)};
    std::size_t octets = 0;
    for (const auto& field : header.fields()) {
        octets += field.raw.size();
        for (const auto kind : {Signature::Kind::dkim, Signature::Kind::arc}) {
            Signature signature;
            if (!Signature::parse(field.value(), kind, signature)) continue;
            CHECK(!signature.domain.empty() && !signature.selector.empty() && !signature.signature.empty());
            CHECK(signature.body_hash.size() == 32);
            CHECK(kind == Signature::Kind::dkim ? signature.instance == 0 : signature.instance >= 1);
            const auto signed_octets = signed_text(header, signature.fields, signature.header_form, field.raw);
            CHECK(!signed_octets.ends_with("\r\n") || signature.header_form == Canonical::simple);
        }
        const auto relaxed = canonical_field(field.raw, Canonical::relaxed);
        CHECK(canonical_field(relaxed, Canonical::relaxed) == relaxed);
        const auto without = without_signature(field.raw);
        CHECK(without.size() <= field.raw.size() && without_signature(without) == without);
    }
    CHECK(octets <= text.size());
    for (const auto form : {Canonical::simple, Canonical::relaxed})
        CHECK(hash_of(text, form, seed) == hash_of(text, form, 0));
    (void)PublicKey::parse(text);
}

}  // namespace
}  // namespace poplar::screening

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::fuzz::Input input(data, size);
    const auto seed = input.number();
    poplar::screening::check(input.rest(), seed);
    return 0;
}
