// Octets that a client sends before it is anybody: base64 and SASL PLAIN.
#include "auth/sasl.h"
#include "fuzz/check.h"

namespace poplar::auth {
namespace {

void check(std::string_view in) {
    const auto back = base64_decode(base64_encode(in));
    CHECK(back && *back == in);
    if (const auto bytes = base64_decode(in)) CHECK(base64_encode(*bytes) == in);  // strict: one spelling only
    const auto plain = parse_plain(in);
    if (!plain) return;
    CHECK(!plain->authentication_id.empty());
    std::string message = plain->authorization_id + '\0';
    message += plain->authentication_id + '\0';
    message += plain->password;
    CHECK(message == in);
}

}  // namespace
}  // namespace poplar::auth

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    poplar::auth::check(poplar::fuzz::Input(data, size).rest());
    return 0;
}
