#pragma once
// The limits that somebody has passed, as they are stored so that a restart does not forget them
// (docs/reference/storage-format.md). Pure functions over octets.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "auth/throttle.h"
#include "base/clock.h"
#include "base/error.h"

namespace poplar::auth {

struct KeptLimits {
    Timestamp kept{};  ///< when they were written
    struct One {
        std::string limit;  ///< as HeldUp has it
        Throttle::Kept entry;
    };
    std::vector<One> limits;
};

std::string encode(const KeptLimits& limits);
/// Errors: corrupt.
Result<KeptLimits> decode_limits(std::string_view octets);

}  // namespace poplar::auth
