#pragma once
// Short hashes under a secret key: to count by what must not be kept, so that nobody can choose whom to share a count
// with.
#include <sodium.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "base/random.h"

namespace poplar::auth {

/// May be used from any thread; derive() before that.
class KeyedHash {
public:
    /// Under a random key that only this process has.
    KeyedHash() { random_bytes(key_.data(), key_.size()); }

    /// Takes a key that follows from a secret of the store's, so that hashes are the same after a restart.
    void derive(std::string_view secret, std::string_view purpose) {
        crypto_generichash(key_.data(), key_.size(), octets(purpose), purpose.size(), octets(secret), secret.size());
    }
    std::uint64_t operator()(std::string_view text) const {
        std::uint64_t out = 0;
        static_assert(sizeof out == crypto_shorthash_BYTES);
        crypto_shorthash(reinterpret_cast<unsigned char*>(&out), octets(text), text.size(), key_.data());
        return out;
    }
    std::uint64_t operator()(std::uint64_t a, std::uint64_t b) const {
        const std::array<std::uint64_t, 2> both{a, b};
        return (*this)({reinterpret_cast<const char*>(both.data()), sizeof both});
    }

private:
    static const unsigned char* octets(std::string_view text) {
        return reinterpret_cast<const unsigned char*>(text.data());
    }
    std::array<unsigned char, crypto_shorthash_KEYBYTES> key_;
};

}  // namespace poplar::auth
