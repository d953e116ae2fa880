#pragma once
// An account's public key, and its secret half wrapped for every credential that may open it.
//
// A credential that comes while nobody has the secret half in hand (a device that the operator adds, say) leaves its
// wrapping key, sealed with the public key. The next login that opens the secret half makes the wrap of it.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "encryption/mail_key.h"

namespace poplar::encryption {

/// The values stand in the records.
enum class WrapKind : std::uint8_t {
    password = 1,  ///< the account's own, by Argon2id
    device = 2,    ///< the secret of a device's password
    scram = 3,     ///< the ClientKey of a password, which only a SCRAM client's proof gives out (RFC 5802 s3)
    recovery = 4,  ///< the recovery code
    escrow = 5,    ///< a key pair of the operator, whose public half the server is given
};

inline constexpr std::uint32_t kNoDevice = 0xffff'ffff;

struct Wrap {
    WrapKind kind = WrapKind::password;
    std::uint32_t device = kNoDevice;  ///< whose it is
    /// password: Argon2id's salt; scram: which SCRAM keys it belongs to; escrow: the operator's public key; else empty.
    std::string tag;
    std::uint32_t passes = 0, memory = 0;  ///< Argon2id's, the memory in KiB
    bool pending = false;                  ///< `box` is the wrapping key, sealed with the public key
                                           ///  (an escrow's is the secret half, sealed with the operator's)
    std::string box;
    bool operator==(const Wrap&) const = default;
};

struct Keychain {
    PublicKey public_key{};
    std::vector<Wrap> wraps;
    bool operator==(const Keychain&) const = default;
};

inline constexpr std::size_t kMostWraps = 2048;  ///< of a keychain

/// Errors: too_large (more than kMostWraps).
Result<> check(const Keychain& keychain);
std::string encode(const Keychain& keychain);
/// Any bytes are allowed. Errors: corrupt.
Result<Keychain> decode_keychain(std::string_view value);

/// Wraps the secret half for a credential's wrapping key, which nobody can guess.
Wrap wrap(const MailKey& key, WrapKind kind, const Secret& wrapping, std::uint32_t device = kNoDevice,
          std::string tag = {});
/// For a password that people choose: takes 64 MB and tens of milliseconds. Errors: busy (no memory).
Result<Wrap> wrap_password(const MailKey& key, std::string_view password);
/// A wrap to come.
Wrap pending_wrap(const PublicKey& to, WrapKind kind, const Secret& wrapping, std::uint32_t device = kNoDevice,
                  std::string tag = {});

using MailKeyPtr = std::shared_ptr<const MailKey>;
/// The secret half by a wrap of that kind; null if none opens.
MailKeyPtr open(const Keychain& keychain, WrapKind kind, const Secret& wrapping);
/// By the account's own password, at the price of wrap_password(). Errors: busy.
Result<MailKeyPtr> open_by_password(const Keychain& keychain, std::string_view password);

Wrap wrap_for_operator(const MailKey& key, const PublicKey& escrow);
bool has_wrap_for(const Keychain& keychain, const PublicKey& escrow);
/// By the operator's secret half; null if none opens.
MailKeyPtr open_by_operator(const Keychain& keychain, const Secret& escrow);

/// Makes the wraps that wait for the secret half; those that can't be opened go. False: there were none.
bool complete(Keychain& keychain, const MailKey& key);
bool has_pending(const Keychain& keychain);

}  // namespace poplar::encryption
