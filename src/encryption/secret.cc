#include "encryption/secret.h"

#include <sodium.h>

#include <utility>

#include "base/random.h"

namespace poplar::encryption {

Secret Secret::random() {
    Secret made;
    random_bytes(made.data(), kSize);
    return made;
}

Secret::Secret(Secret&& other) noexcept : octets_(other.octets_) { sodium_memzero(other.data(), kSize); }

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this == &other) return *this;
    octets_ = other.octets_;
    sodium_memzero(other.data(), kSize);
    return *this;
}

Secret::~Secret() { sodium_memzero(data(), kSize); }

Secret Secret::copy() const {
    Secret made;
    made.octets_ = octets_;
    return made;
}

// The purpose stands behind its length, so that no two pairs of purpose and secret are hashed alike.
Secret derive(std::string_view secret, std::string_view purpose) {
    const auto length = static_cast<unsigned char>(purpose.size());
    Secret made;
    crypto_generichash_state state;
    crypto_generichash_init(&state, nullptr, 0, Secret::kSize);
    crypto_generichash_update(&state, &length, 1);
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(purpose.data()), purpose.size());
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
    crypto_generichash_final(&state, made.data(), Secret::kSize);
    sodium_memzero(&state, sizeof state);
    return made;
}

// A short text stands in the string itself, where a move would leave it.
SecretText::SecretText(SecretText&& other) noexcept : text_(other.text_) {
    sodium_memzero(other.text_.data(), other.text_.size());
    other.text_.clear();
}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
    if (this == &other) return *this;
    sodium_memzero(text_.data(), text_.size());
    text_ = other.text_;
    sodium_memzero(other.text_.data(), other.text_.size());
    other.text_.clear();
    return *this;
}

SecretText::~SecretText() { sodium_memzero(text_.data(), text_.size()); }

}  // namespace poplar::encryption
