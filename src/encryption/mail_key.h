#pragma once
// A message's own key, sealed with its account's public key (X25519). Each hour the sealer makes a key pair of its own,
// whose secret half is never stored, and agrees by it on a key with the account: so a message costs no calculation with
// a public key, neither when it is sealed nor when several of an hour are opened.
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/steady.h"
#include "encryption/secret.h"

namespace poplar::encryption {

using PublicKey = std::array<unsigned char, 32>;

struct KeyPair {
    PublicKey public_key{};
    Secret secret;
    static KeyPair make();
};
PublicKey public_key_of(const Secret& secret);
std::string_view view(const PublicKey& key);
Result<PublicKey> public_key(std::string_view octets);  ///< Errors: invalid (not 32 octets)

/// Whether a message's key in its record is one that a Sealer made.
bool is_sealed_key(std::string_view sealed);

/// Seals keys of one account's messages. May be used from any thread.
class Sealer {
public:
    explicit Sealer(const PublicKey& account) : account_(account) {}
    struct MessageKey {
        Secret key;
        std::string sealed;  ///< for the message's record; 105 octets
    };
    MessageKey make();
    const PublicKey& account() const { return account_; }

private:
    const PublicKey account_;
    std::mutex mutex_;
    SteadyTime renew_ = SteadyTime::min();
    PublicKey own_{};
    Secret agreed_;
};

/// The secret half of an account's key, as a session has it. May be used from any thread.
class MailKey {
public:
    explicit MailKey(Secret secret);
    const PublicKey& public_key() const { return public_key_; }
    const Secret& secret() const { return secret_; }
    /// The message's key. Errors: corrupt (damaged, or sealed for another account).
    Result<Secret> open(std::string_view sealed) const;
    /// What was sealed with the public key by seal_to(). Errors: corrupt.
    Result<std::string> open_box(std::string_view box) const;

private:
    const Secret secret_;
    const PublicKey public_key_;
    mutable std::mutex mutex_;
    mutable PublicKey last_{};  // of the sealer's; no such key is all zeros
    mutable Secret agreed_;     // with it
};

/// Few octets that only the secret half opens (libsodium's sealed box).
std::string seal_to(const PublicKey& to, std::string_view octets);

}  // namespace poplar::encryption
