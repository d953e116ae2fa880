#include "auth/totp.h"

#include <fmt/format.h>
#include <liboath/oath.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <new>

#include "auth/second_code.h"
#include "base/random.h"
#include "http/target.h"

namespace poplar::auth {

namespace {

constexpr std::size_t kSecretOctets = 20;
constexpr std::uint64_t kStep = 30;  // seconds

/// The code of one step; empty if the library fails.
std::string code_of(std::string_view secret, std::uint64_t step) {
    static const bool ready = oath_init() == OATH_OK;
    std::array<char, kTotpDigits + 1> code{};
    const auto seconds = static_cast<std::time_t>(step * kStep);
    if (!ready || oath_totp_generate(secret.data(), secret.size(), seconds, kStep, OATH_TOTP_DEFAULT_START_TIME,
                                     kTotpDigits, code.data()) != OATH_OK)
        return {};
    return code.data();
}

}  // namespace

std::string make_totp_secret() {
    std::string secret(kSecretOctets, '\0');
    random_bytes(secret.data(), secret.size());
    return secret;
}

std::string totp_secret_text(std::string_view secret) {
    char* text = nullptr;
    std::size_t size = 0;
    // It fails for lack of memory alone.
    if (oath_base32_encode(secret.data(), secret.size(), &text, &size) != OATH_OK) throw std::bad_alloc();
    std::string out(text, size);
    OPENSSL_cleanse(text, size);
    std::free(text);
    return out;
}

std::string totp_uri(std::string_view issuer, std::string_view account, std::string_view secret) {
    const auto shown = http::percent_encode(issuer);
    return fmt::format("otpauth://totp/{}:{}?secret={}&issuer={}", shown, http::percent_encode(account),
                       totp_secret_text(secret), shown);
}

bool is_code_of(std::string_view secret, std::string_view code, std::uint64_t step) {
    const auto right = code_of(secret, step);
    return code.size() == kTotpDigits && right.size() == code.size() &&
           CRYPTO_memcmp(right.data(), code.data(), code.size()) == 0;
}

std::optional<std::uint64_t> totp_step(std::string_view secret, std::string_view code, Timestamp now,
                                       std::span<const std::uint64_t> taken) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    if (seconds < 0) return std::nullopt;
    const auto present = static_cast<std::uint64_t>(seconds) / kStep;
    std::uint64_t last = 0;
    for (auto step : taken)
        if (step <= present + 1) last = std::max(last, step);
    std::optional<std::uint64_t> found;
    for (auto step = present > 0 ? present - 1 : 0; step <= present + 1; ++step) {
        const bool same = is_code_of(secret, code, step);  // of each, so that the time does not tell which
        if (same && step > last && !found) found = step;
    }
    return found;
}

}  // namespace poplar::auth
