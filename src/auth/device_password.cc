#include "auth/device_password.h"

#include <sodium.h>

#include <array>

#include "auth/symbols.h"
#include "base/random.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kIdSymbols = 4, kSecretSymbols = 24, kGroup = 7;
constexpr std::size_t kLength = kIdSymbols + kSecretSymbols;
constexpr std::size_t kLongest = 100;  // octets typed: spaces and hyphens are no reason to look at more
constexpr std::size_t kSalt = 16, kHash = 32;

std::array<unsigned char, kHash> hash(std::string_view salt, std::string_view secret) {
    auto octets = [](std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); };
    std::array<unsigned char, kHash> out;
    crypto_generichash(out.data(), out.size(), octets(secret), secret.size(), octets(salt), salt.size());
    return out;
}

}  // namespace

std::string to_text(DeviceId device) {
    std::string out(kIdSymbols, '0');
    for (auto symbol = out.rbegin(); symbol != out.rend(); ++symbol, device >>= 5) *symbol = kSymbols[device & 31];
    return out;
}

std::optional<DeviceId> device_of_text(std::string_view text) {
    if (text.size() != kIdSymbols) return std::nullopt;
    DeviceId device = 0;
    for (char c : text) {
        const auto value = symbol_of(c);
        if (!value) return std::nullopt;
        device = device << 5 | *value;
    }
    return device;
}

DevicePassword make_device_password(DeviceId device) {
    std::array<unsigned char, kSecretSymbols> octets;
    random_bytes(octets.data(), octets.size());
    DevicePassword made{device, {}};
    for (auto octet : octets) made.secret.push_back(kSymbols[octet & 31]);
    sodium_memzero(octets.data(), octets.size());
    return made;
}

std::string plain(const DevicePassword& password) { return to_text(password.device) + password.secret; }

std::string grouped(const DevicePassword& password) {
    const auto symbols = plain(password);
    std::string out;
    for (std::size_t at = 0; at < symbols.size(); at += kGroup) {
        if (at != 0) out.push_back('-');
        out.append(symbols, at, kGroup);
    }
    return out;
}

std::optional<DevicePassword> parse_device_password(std::string_view typed) {
    if (typed.size() < kLength || typed.size() > kLongest) return std::nullopt;
    DevicePassword out;
    std::size_t symbols = 0;
    for (char c : typed) {
        if (c == '-' || c == ' ') continue;
        auto value = symbol_of(c);
        if (!value || ++symbols > kLength) return std::nullopt;
        if (symbols <= kIdSymbols)
            out.device = out.device << 5 | *value;
        else
            out.secret.push_back(kSymbols[*value]);
    }
    if (symbols != kLength) return std::nullopt;
    return out;
}

std::string hash_device_secret(std::string_view secret) {
    std::string out(kSalt, '\0');
    random_bytes(out.data(), out.size());
    auto made = hash(out, secret);
    return out.append(reinterpret_cast<const char*>(made.data()), made.size());
}

bool matches_device_secret(std::string_view stored, std::string_view secret) {
    if (stored.size() != kSalt + kHash) return false;
    auto made = hash(stored.substr(0, kSalt), secret);
    return sodium_memcmp(made.data(), stored.data() + kSalt, made.size()) == 0;
}

}  // namespace poplar::auth
