// SPF records of any octets: those that can be read have only domains that can be expanded, to names of a bounded
// length.
#include "dns/record.h"
#include "fuzz/check.h"
#include "screening/spf_record.h"

namespace poplar::screening {
namespace {

void check(std::string_view text) {
    SpfMacros macros;
    macros.local = "strong-bad";
    macros.sender_domain = macros.domain = "email.example.com";
    macros.helo = std::string(text.substr(0, 300));
    macros.address = *IpAddress::parse("2001:db8::cb01");
    const auto expand = [&](const std::string& spec) {
        const auto expanded = expand_macros(spec, macros);
        CHECK(expanded);
        CHECK(expanded->size() <= dns::kNameLimit || expanded->find('.') == std::string::npos);
        (void)needs_validated_name(spec);
    };
    (void)expand_macros(text, macros);
    const auto record = SpfRecord::parse(text);
    if (!record) return;
    CHECK(SpfRecord::is_one(text));
    for (const auto& mechanism : record->mechanisms) {
        CHECK(mechanism.prefix4 <= 32 && mechanism.prefix6 <= 128);
        expand(mechanism.domain);
        (void)macros.address.is_in(mechanism.network, mechanism.prefix6);
    }
    if (record->redirect) expand(*record->redirect);
    if (record->explanation) expand(*record->explanation);
}

}  // namespace
}  // namespace poplar::screening

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::screening::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
