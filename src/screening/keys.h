#pragma once
// The keys of DKIM and ARC: RSA and Ed25519, private ones and those that the DNS has (RFC 6376 s3.6.1, RFC 8463).
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"

struct evp_pkey_st;

namespace poplar::screening {

enum class Algorithm : std::uint8_t { rsa_sha256, ed25519_sha256 };
std::string_view name_of(Algorithm algorithm);  ///< "rsa-sha256"

/// RFC 8301 s3.2: shorter keys are not believed. Longer ones cost too much, and fit no DNS answer that is in use.
inline constexpr int kLeastRsaBits = 1024, kMostRsaBits = 4096;

using KeyHandle = std::shared_ptr<evp_pkey_st>;

/// A domain's public key. May be used from any thread.
class PublicKey {
public:
    /// The TXT record of a selector. Errors, with a reason that may be told to the world: invalid (no key record;
    /// a type, a hash or a service that is not ours; a key that can't be read, or of a length that is not believed),
    /// not_found (the key was revoked).
    static Result<PublicKey> parse(std::string_view record);

    Algorithm algorithm() const { return algorithm_; }
    int bits() const;
    bool testing() const { return testing_; }              ///< t=y: the domain only tries
    bool no_subdomains() const { return no_subdomains_; }  ///< t=s: i= has to be the domain itself
    bool verify(std::string_view text, std::string_view signature) const;

private:
    KeyHandle key_;
    Algorithm algorithm_ = Algorithm::rsa_sha256;
    bool testing_ = false, no_subdomains_ = false;
};

/// May be used from any thread.
class PrivateKey {
public:
    /// A new one; RSA with 2048 bits.
    static PrivateKey make(Algorithm algorithm);
    /// PKCS #8 in DER. Errors: corrupt.
    static Result<PrivateKey> load(std::string_view der);
    std::string der() const;
    Algorithm algorithm() const { return algorithm_; }
    /// The value of the TXT record that has its public half: `v=DKIM1; k=rsa; p=...`.
    std::string record() const;
    std::string sign(std::string_view text) const;

private:
    KeyHandle key_;
    Algorithm algorithm_ = Algorithm::rsa_sha256;
};

}  // namespace poplar::screening
