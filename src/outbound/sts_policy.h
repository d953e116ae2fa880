#pragma once
// A domain's policy on TLS with its hosts (MTA-STS, RFC 8461 s3), from the octets it comes in: pure functions.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::outbound {

enum class StsMode : std::uint8_t { none, testing, enforce };
std::string_view to_string(StsMode mode);

struct StsPolicy {
    StsMode mode = StsMode::none;
    std::vector<std::string> hosts;  ///< "mx.x.test" or "*.x.test", in lower case; of mode none there may be none
    std::chrono::seconds max_age{0};

    /// RFC 8461 s4.1: a star stands for one label. `host` in ASCII.
    bool names(std::string_view host) const;
    bool operator==(const StsPolicy&) const = default;
};

inline constexpr std::size_t kStsPolicyOctets = 64u << 10;                  ///< of a policy; RFC 8461 s3.3 says so
inline constexpr std::size_t kStsHosts = 100;                               ///< of a policy; it is invalid with more
inline constexpr std::chrono::seconds kStsOldest = std::chrono::days(366);  ///< RFC 8461 s3.2: 31557600 seconds

/// The id in the TXT records of `_mta-sts.DOMAIN`; "": the domain says nothing, or more than one thing (s3.1).
std::string sts_id(const std::vector<std::string>& texts);

/// The octets of `.well-known/mta-sts.txt`. A longer max_age than kStsOldest counts as that. Errors: invalid.
Result<StsPolicy> parse_sts_policy(std::string_view text);

}  // namespace poplar::outbound
