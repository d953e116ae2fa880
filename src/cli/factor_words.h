#pragma once
#include <array>
#include <string>
#include <vector>

#include "api/second_factor.h"

namespace poplar::cli {

/// "required (totp, device)".
inline std::string shown_policy(const api::Nullable<api::SecondFactor>& when, const std::vector<api::FactorWay>& ways) {
    constexpr std::array kWhen{"none", "optional", "required"};
    constexpr std::array kWays{"totp", "approval", "device", "certificate"};
    if (!when) return "default";
    std::string text = kWhen[static_cast<std::size_t>(*when)];
    for (std::size_t at = 0; at < ways.size(); ++at)
        text.append(at == 0 ? " (" : ", ").append(kWays[static_cast<std::size_t>(ways[at])]);
    return ways.empty() ? text : text + ")";
}

}  // namespace poplar::cli
