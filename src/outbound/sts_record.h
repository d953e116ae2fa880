#pragma once
// How MTA-STS policies are kept on the disk (docs/reference/storage-format.md).
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "outbound/sts_policy.h"

namespace poplar::outbound {

struct KeptPolicy {
    StsPolicy policy;
    std::string id;  ///< of the TXT record that it was fetched for
    Timestamp fetched{};

    bool holds_at(Timestamp now) const { return now < fetched + policy.max_age; }
    bool operator==(const KeptPolicy&) const = default;
};

using KeptPolicies = std::map<std::string, KeptPolicy, std::less<>>;  ///< by domain

/// Those that still hold; at most `limit` octets, of those that were fetched last. One of more than 4 KiB is left out.
std::string encode(const KeptPolicies& policies, Timestamp now, std::size_t limit);
/// "" has none. Errors: corrupt.
Result<KeptPolicies> decode_policies(std::string_view value);

}  // namespace poplar::outbound
