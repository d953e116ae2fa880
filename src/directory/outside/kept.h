#pragma once
// The record of an account that is kept over a restart: that the source said it was there, and its last good password
// as a slow hash under a key. Not as the fast one that memory has, because who steals the store would try passwords on
// it.
#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"

namespace poplar::directory::outside {

struct KeptPassword {
    Timestamp right{};                     ///< when the source last took it
    std::array<unsigned char, 16> salt{};  ///< of Argon2id
    std::array<unsigned char, 32> hash{};  ///< of its result, under the server's secret (BLAKE2b)
    bool operator==(const KeptPassword&) const = default;
};

struct Kept {
    Timestamp there{};  ///< when the source last said that the account is there
    std::optional<KeptPassword> password = {};
    bool operator==(const Kept&) const = default;
};

std::string encode(const Kept& kept);
/// Errors: corrupt.
Result<Kept> decode_kept(std::string_view record);

// Both take as long as an Argon2id hash and 64 MiB; call them on a pool. They throw std::bad_alloc.
KeptPassword keep_password(std::string_view password, std::string_view secret);
bool matches(const KeptPassword& kept, std::string_view password, std::string_view secret);

}  // namespace poplar::directory::outside
