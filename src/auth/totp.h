#pragma once
// Codes of authenticators (RFC 6238): six digits, steps of 30 seconds, HMAC-SHA-1, which every such program knows.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace poplar::auth {

/// 20 random octets (RFC 4226 s4, R6).
std::string make_totp_secret();

/// The secret as a person types it: base 32 (RFC 4648 s6).
std::string totp_secret_text(std::string_view secret);
/// The text that an authenticator reads from a QR code. `issuer` and `account` are what it shows.
std::string totp_uri(std::string_view issuer, std::string_view account, std::string_view secret);

/// Whether it is the code of this time step.
bool is_code_of(std::string_view secret, std::string_view code, std::uint64_t step);

/// The time step whose code this is: that of `now`, the one before or the one behind, for clocks that differ (RFC 6238
/// s5.2). Only one behind those that were `taken`, so that no code is good twice. Of these, steps ahead of `now` only
/// bar themselves: a clock that was set back has left them there. Nothing: a wrong code, or an old one.
std::optional<std::uint64_t> totp_step(std::string_view secret, std::string_view code, Timestamp now,
                                       std::span<const std::uint64_t> taken);

}  // namespace poplar::auth
