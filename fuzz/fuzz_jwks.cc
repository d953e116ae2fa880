// An issuer's keys and configuration, of any octets.
#include "auth/jwks.h"
#include "auth/jwt.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::auth;
    const auto text = poplar::fuzz::Input(data, size).rest();
    const auto keys = parse_jwks(text);
    if (keys) {
        CHECK(keys->size() <= 100);
        for (const auto& one : *keys) CHECK(one.key != nullptr);
    }
    const auto usable = JwtKeys::parse_jwks({}, text);
    CHECK(!usable || (keys && usable->size() > 0 && usable->size() <= keys->size()));
    const auto where = parse_discovery(text, "https://id.example.org");
    CHECK(!where || !where->empty());
    return 0;
}
