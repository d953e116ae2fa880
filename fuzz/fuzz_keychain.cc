// A stored keychain, of any octets: what is read comes back when it is written again.
#include "encryption/keychain.h"
#include "fuzz/check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace poplar::encryption;
    const auto keychain = decode_keychain(poplar::fuzz::Input(data, size).rest());
    if (!keychain) {
        CHECK(keychain.error().code() == poplar::Errc::corrupt);
        return 0;
    }
    const auto again = decode_keychain(encode(*keychain));
    CHECK(again && *again == *keychain);
    return 0;
}
