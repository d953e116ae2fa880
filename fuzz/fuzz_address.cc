// Addresses, and lists of them, of any octets: what is accepted prints and parses back, and has one canonical spelling.
#include "fuzz/check.h"
#include "mail/address.h"
#include "mail/address_list.h"
#include "mail/release_address.h"

namespace poplar::mail {
namespace {

void check_address(const Address& address, Grammar grammar) {
    CHECK(!address.local.empty() && address.local.size() <= 255);
    CHECK(!address.domain.empty() && address.domain.size() <= 255);
    const std::string text = to_string(address);
    for (char c : text) CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    const auto back = parse_address(text, grammar);
    CHECK(back && *back == address);
    for (auto local_case : {LocalPartCase::fold, LocalPartCase::keep}) {
        const auto one = canonical(address, local_case);
        if (!one) continue;  // letters that IDNA does not allow
        CHECK(!needs_smtputf8({"a", one->domain}));
        const auto again = canonical(*one, local_case);
        CHECK(again && *again == *one);
    }
    const auto [user, detail] = split_detail(address.local);
    CHECK(user.size() + detail.size() + (user.size() < address.local.size()) == address.local.size());
    CHECK(!user.empty());
}

void check(std::string_view in) {
    const auto strict = parse_address(in), tolerant = parse_address(in, Grammar::tolerant);
    if (strict) {
        check_address(*strict, Grammar::strict);
        CHECK(tolerant && *tolerant == *strict);
    } else {
        CHECK(strict.error().code() == Errc::invalid);
    }
    if (tolerant) check_address(*tolerant, Grammar::tolerant);
    if (const auto domain = canonical_domain(in)) {
        const auto again = canonical_domain(*domain);
        CHECK(again && *again == *domain);
        CHECK(parse_address("a@" + *domain).has_value());
    }
    if (const auto release = parse_release_address(in)) {
        CHECK(release->token.size() == kReleaseTokenLength && release->number <= 999);
        CHECK(parse_release_address(release_address("a@b.example", '+', release->token, release->number)) == release);
    }
    const auto list = parse_address_list(in, 5);
    CHECK(list.size() <= 5);
    for (const auto& one : list)
        if (const auto address = to_address(one)) check_address(*address, Grammar::tolerant);
}

}  // namespace
}  // namespace poplar::mail

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::mail::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
