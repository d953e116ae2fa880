#pragma once
// Second factors: when an account needs one beside its password, and what it has for that: an authenticator, recovery
// codes, and the sites that it was logged in from. auth/second_factor.h judges by it.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace poplar::directory {

enum class Service : std::uint8_t;  // directory.h

enum class SecondFactor : std::uint8_t {
    none,      ///< nobody needs one
    optional,  ///< an account that has an authenticator needs one
    required,  ///< everybody needs one
};

/// A thing that counts as a second factor.
enum class FactorWay : std::uint8_t {
    totp = 1,      ///< a code of an authenticator (RFC 6238), or a recovery code
    approval = 2,  ///< the user has accepted the site that the login comes from
    device = 4,    ///< a device's password
    certificate = 8,
};

struct FactorPolicy {
    SecondFactor need = SecondFactor::none;
    std::uint8_t ways = static_cast<std::uint8_t>(FactorWay::totp) | static_cast<std::uint8_t>(FactorWay::device) |
                        static_cast<std::uint8_t>(FactorWay::certificate);  ///< a bit for each
    bool takes(FactorWay way) const { return (ways & static_cast<std::uint8_t>(way)) != 0; }
    bool operator==(const FactorPolicy&) const = default;
};

/// An authenticator: a program that makes codes of a secret and the time.
struct Totp {
    std::string secret = {};                 ///< in clear: codes can't be checked with less
    bool confirmed = false;                  ///< a first code was right; before that it counts for nothing
    std::vector<std::uint64_t> taken = {};   ///< the time steps of the last codes, as they came; none is taken again
    std::vector<std::string> recovery = {};  ///< hashes of the recovery codes that were not used yet
    bool operator==(const Totp&) const = default;
};

/// The network that an account was logged in from: the /24 of an IPv4 address, the /64 of an IPv6 address.
struct Site {
    enum class Kind : std::uint8_t {
        window = 1,  ///< a code was typed there; until then the password alone is enough
        accepted,    ///< by the user; `until` moves with its use
        denied,      ///< by the user
        pending,     ///< waits to be accepted or denied
    };
    Kind kind = Kind::pending;
    std::uint32_t id = 0;      ///< within the account
    std::string network = {};  ///< "192.0.2.0/24"
    std::string peer = {};     ///< the address in it that came first
    Service service{};
    Timestamp since{}, until{};
    bool operator==(const Site&) const = default;
};

/// All that an account has for second factors: one record, so that a code that is taken and the window that it opens
/// are one commit.
struct Factors {
    std::optional<Totp> totp = {};
    std::uint32_t wrong_codes = 0;  ///< with the right password, less those forgiven until `wrong_counted`
    Timestamp wrong_counted{};
    std::vector<Site> sites = {};
    std::uint32_t next_site = 1;
    std::string mailed_code = {};  ///< hash of the code in the last mail about a new site; empty: none, or used
    Timestamp mailed{};
    bool operator==(const Factors&) const = default;
};

}  // namespace poplar::directory
