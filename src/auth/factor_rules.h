#pragma once
// Rules over what an account has for second factors, for the parts of SecondFactors. Pure functions.
#include <chrono>
#include <cstdint>

#include "base/clock.h"
#include "directory/factors.h"

namespace poplar::auth {

inline constexpr auto kDay = std::chrono::days(1);

inline bool has_authenticator(const directory::Factors& factors) { return factors.totp && factors.totp->confirmed; }

inline bool is_over(const directory::Site& site, Timestamp now) { return now >= site.until; }

/// The time that forgives one wrong code, so that `limit` of them are forgiven in a day.
inline Timestamp::duration forgiveness(std::uint32_t limit) {
    return std::chrono::duration_cast<Timestamp::duration>(kDay) / limit;
}

/// Forgives wrong codes, one after the other.
inline void forgive(directory::Factors& factors, std::uint32_t limit, Timestamp now) {
    const auto each = forgiveness(limit);
    const auto passed = (now - factors.wrong_counted) / each;
    if (passed >= factors.wrong_codes) {
        factors.wrong_codes = 0;
        factors.wrong_counted = {};
    } else {
        factors.wrong_codes -= static_cast<std::uint32_t>(passed);
        factors.wrong_counted += passed * each;
    }
}

}  // namespace poplar::auth
