#include "directory/outside/kept.h"

#include <sodium.h>

#include <algorithm>
#include <new>

#include "base/encoding.h"
#include "base/random.h"

namespace poplar::directory::outside {

namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kLatest = 1'000ULL * 366 * 24 * 3600 * 1000;  // milliseconds, so that they can be counted with

std::uint64_t to_number(Timestamp time) { return static_cast<std::uint64_t>(time.time_since_epoch().count()); }
Timestamp to_time(std::uint64_t millis) {
    return Timestamp(std::chrono::milliseconds(static_cast<std::int64_t>(std::min(millis, kLatest))));
}

template <std::size_t Size>
std::string_view octets(const std::array<unsigned char, Size>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), Size};
}

std::array<unsigned char, 32> slow_hash(const std::array<unsigned char, 16>& salt, std::string_view password,
                                        std::string_view secret) {
    std::array<unsigned char, 32> made{}, keyed{};
    static_assert(crypto_pwhash_argon2id_SALTBYTES == 16);
    if (crypto_pwhash(made.data(), made.size(), password.data(), password.size(), salt.data(),
                      crypto_pwhash_argon2id_OPSLIMIT_INTERACTIVE, crypto_pwhash_argon2id_MEMLIMIT_INTERACTIVE,
                      crypto_pwhash_ALG_ARGON2ID13) != 0)
        throw std::bad_alloc();
    crypto_generichash(keyed.data(), keyed.size(), made.data(), made.size(),
                       reinterpret_cast<const unsigned char*>(secret.data()), secret.size());
    return keyed;
}

}  // namespace

std::string encode(const Kept& kept) {
    Encoder out;
    out.u8(kVersion).varint(to_number(kept.there));
    if (const auto& password = kept.password)
        out.varint(to_number(password->right)).raw(octets(password->salt)).raw(octets(password->hash));
    return std::move(out).bytes();
}

Result<Kept> decode_kept(std::string_view record) {
    Decoder in(record);
    Kept kept;
    const auto version = in.u8();
    kept.there = to_time(in.varint());
    if (in.ok() && !in.at_end()) {
        auto& password = kept.password.emplace();
        password.right = to_time(in.varint());
        for (auto* part : {password.salt.data(), password.hash.data()}) {
            const auto size = part == password.salt.data() ? password.salt.size() : password.hash.size();
            const auto bytes = in.raw(size);
            std::copy(bytes.begin(), bytes.end(), part);
        }
    }
    if (!in.ok() || !in.at_end() || version != kVersion)
        return fail(Errc::corrupt, "directory: a damaged or newer record of another directory's account");
    return kept;
}

KeptPassword keep_password(std::string_view password, std::string_view secret) {
    KeptPassword kept;
    random_bytes(kept.salt.data(), kept.salt.size());
    kept.hash = slow_hash(kept.salt, password, secret);
    return kept;
}

bool matches(const KeptPassword& kept, std::string_view password, std::string_view secret) {
    const auto hash = slow_hash(kept.salt, password, secret);
    return sodium_memcmp(hash.data(), kept.hash.data(), hash.size()) == 0;
}

}  // namespace poplar::directory::outside
