#pragma once
// Bounds how much of the log each peer may fill, because strangers choose how many lines they cause.
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/log.h"
#include "base/peer_network.h"
#include "base/steady.h"

namespace poplar::log {

/// May be called from any thread.
class Shares {
public:
    void set_limits(ShareLimits limits);

    /// Whether a line of `line_octets` about `peer`, which has sent `octets_sent` since it was last asked about, may be
    /// written at `now`.
    bool take(PeerKey peer, std::uint64_t octets_sent, std::size_t line_octets, SteadyTime now);
    std::size_t size() const;  ///< peers that are remembered

private:
    struct Purse {
        std::uint64_t left = 0;   ///< of what was earned
        std::uint64_t taken = 0;  ///< in the present second
        SteadyTime filled{};
        std::uint64_t second = 0;
    };
    Purse& purse_of(PeerKey peer, SteadyTime now);
    void forget_full_ones(SteadyTime now);

    mutable std::mutex mutex_;  // for what follows
    ShareLimits limits_;
    std::unordered_map<PeerKey, Purse> purses_;
    Purse others_;                 ///< of all peers that find no room among so many
    std::size_t sweep_at_ = 1024;  ///< with so many purses, those that are full again are forgotten
    SteadyTime sweep_after_{};     ///< and not before this, as a look at all of them takes milliseconds
    std::uint64_t second_ = 0, taken_ = 0;
};

}  // namespace poplar::log
