#include "encryption/key_text.h"

#include <sodium.h>

#include <algorithm>

namespace poplar::encryption {

namespace {

constexpr std::string_view kSpaces = " \t\r\n";

bool read(std::string_view text, unsigned char* octets, std::size_t count) {
    std::size_t read = 0;
    return sodium_base642bin(octets, count, text.data(), text.size(), kSpaces.data(), &read, nullptr,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           read == count;
}

}  // namespace

std::string key_text(std::string_view octets) {
    std::string text(sodium_base64_ENCODED_LEN(octets.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
    sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(octets.data()), octets.size(),
                      sodium_base64_VARIANT_ORIGINAL);
    text.pop_back();  // a NUL
    return text;
}

std::optional<PublicKey> read_public_key(std::string_view text) {
    PublicKey key{};
    return read(text, key.data(), key.size()) ? std::optional(key) : std::nullopt;
}

std::optional<Secret> read_secret(std::string_view text) {
    Secret secret;
    if (!read(text, secret.data(), Secret::kSize)) return std::nullopt;
    return secret;
}

}  // namespace poplar::encryption
