#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/steady.h"

namespace poplar::auth {

/// A limit that holds somebody up at present.
struct HeldUp {
    std::string_view limit;     ///< "pair", "peer", "network", "account", "password", "device", "token" or "code"
    std::string account, peer;  ///< "": any. The account's address, or a name that nobody has; an address or a network.
    std::uint32_t failures = 0;
    SteadyClock::duration delay{};  ///< until the next attempt is judged
    SteadyClock::duration lasts{};  ///< until the limit holds nobody up, if no more failures come
};

}  // namespace poplar::auth
