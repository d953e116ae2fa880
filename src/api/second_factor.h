#pragma once
// Second factors: when accounts need one, authenticators, and the sites that accounts are logged in from.
#include "api/operation.h"

namespace poplar::api {

enum class SecondFactor { none, optional, required };
enum class FactorWay { totp, approval, device, certificate };
inline constexpr std::string_view kFactorWays =
    "The ways that count as a second factor: totp, approval, device, certificate; if it was never said, what the "
    "account's "
    "domain "
    "has, else totp, device, certificate";

/// Of accounts and domains alike.
inline constexpr std::string_view kRetention =
    "How long deleted mail is kept (storage.retention), as in 60d; 0s: not at all; default. What was deleted before is "
    "kept so long, too";
inline constexpr std::uint64_t kMostRetention = 36'500ull * 24 * 3600;

// For the files that describe structs with these.
template <>
const Type& type_of<SecondFactor>();
template <>
const Type& type_of<FactorWay>();

struct Enrollment {
    std::string address, secret, uri;
    std::vector<std::string> recovery_codes;
    static const Shape& shape();
};

struct EnrollTotp {
    std::string address;
    using Reply = Enrollment;
    static const Operation& operation();
};

struct TotpConfirmation {
    std::string address;
    SecondFactor second_factor = SecondFactor::none;
    static const Shape& shape();
};

struct ConfirmTotp {
    std::string address, code;
    using Reply = TotpConfirmation;
    static const Operation& operation();
};

struct TotpRemoval {
    std::string address;
    std::uint64_t sessions_ended = 0;
    static const Shape& shape();
};

struct RemoveTotp {
    std::string address;
    using Reply = TotpRemoval;
    static const Operation& operation();
};

struct RecoveryCodes {
    std::string address;
    std::vector<std::string> recovery_codes;
    static const Shape& shape();
};

struct MakeRecoveryCodes {
    std::string address;
    using Reply = RecoveryCodes;
    static const Operation& operation();
};

enum class SiteKind { window, accepted, denied, pending };

struct Site {
    std::uint64_t id = 0;
    SiteKind kind = SiteKind::pending;
    std::string network, peer, protocol, since, until;
    static const Shape& shape();
};

struct SiteList {
    std::vector<Site> sites;
    static const Shape& shape();
};

struct ListSites {
    std::string address;
    using Reply = SiteList;
    static const Operation& operation();
};

struct LearnedSites {
    std::uint64_t accounts = 0, sites = 0;
    std::string next;
    static const Shape& shape();
};

struct LearnSites {
    std::optional<std::string> address, domain, after;
    using Reply = LearnedSites;
    static const Operation& operation();
};

struct AcceptSite {
    std::string address;
    std::uint64_t id = 0;
    using Reply = Site;
    static const Operation& operation();
};

struct SiteDenial {
    std::uint64_t id = 0;
    std::string network, until;
    std::uint64_t sessions_ended = 0;
    static const Shape& shape();
};

struct DenySite {
    std::string address;
    std::uint64_t id = 0;
    using Reply = SiteDenial;
    static const Operation& operation();
};

}  // namespace poplar::api
