#pragma once
// Second factors between api/ and the directory, for accounts and domains alike.
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "api/second_factor.h"
#include "directory/directory.h"

namespace poplar::admin {

/// In the order of api::FactorWay.
inline constexpr std::array kFactorWays{directory::FactorWay::totp, directory::FactorWay::approval,
                                        directory::FactorWay::device, directory::FactorWay::certificate};

/// Writes a policy into an api::Account or an api::Domain.
void describe(const std::optional<directory::FactorPolicy>& policy, auto& out) {
    if (!policy) return;
    out.second_factor.emplace(static_cast<api::SecondFactor>(policy->need));
    for (std::size_t at = 0; at < kFactorWays.size(); ++at)
        if (policy->takes(kFactorWays[at])) out.second_factor_ways.push_back(static_cast<api::FactorWay>(at));
}

/// The policy as the caller wants it. What they don't say stays as it is in `policy` or, where there is none, in
/// `instead`: for an account, its domain's. Errors: invalid.
Result<std::optional<directory::FactorPolicy>> wanted_policy(
    const auto& wanted, std::optional<directory::FactorPolicy> policy,
    const std::optional<directory::FactorPolicy>& instead = std::nullopt) {
    if (wanted.second_factor && !*wanted.second_factor) {
        if (wanted.second_factor_ways) return fail(Errc::invalid, "ways of a second factor, and no setting of its own");
        return std::nullopt;
    }
    if (!policy && (wanted.second_factor || wanted.second_factor_ways)) policy = instead;
    if (wanted.second_factor) {
        if (!policy) policy.emplace();
        policy->need = static_cast<directory::SecondFactor>(**wanted.second_factor);
    }
    if (const auto& ways = wanted.second_factor_ways) {
        if (!policy) return fail(Errc::invalid, "say when a second factor is needed (second_factor), too");
        if (ways->empty()) return fail(Errc::invalid, "at least one way of a second factor has to count");
        policy->ways = 0;
        for (auto way : *ways) policy->ways |= static_cast<std::uint8_t>(kFactorWays[static_cast<std::size_t>(way)]);
    }
    return policy;
}

}  // namespace poplar::admin
