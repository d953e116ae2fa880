#pragma once
// Deletions that took more than half of a mailbox within an hour, from one device or network: counted in memory while
// sessions end, and judged later (upkeep/unusual_deletions).
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "activity/entry.h"
#include "base/peer_network.h"

namespace poplar::activity {

/// The ledger's detail of a deletion that took more than half of its mailbox: by it later ones are known as usual.
inline constexpr std::string_view kMostOfIt = "more than half of the mailbox";

struct Deletion {
    AccountId account;
    std::string address;  ///< the account's
    Origin origin;
    std::uint32_t mailbox = 0;   ///< the mail store's number; 0: several as one maildrop
    std::uint64_t messages = 0;  ///< that went
    std::uint64_t before = 0;    ///< that were there before
    Timestamp begun{}, ended{};
};

/// Functions may be called from any thread.
class MassDeletions {
public:
    static constexpr auto kWithin = std::chrono::hours(1);
    static constexpr std::uint64_t kLeast = 100;     ///< messages that a mailbox had, to be judged
    static constexpr std::size_t kCounted = 50'000;  ///< devices and networks; no more are counted
    static constexpr std::size_t kWaiting = 10'000;  ///< deletions that wait for their judge; no more do

    /// Counts a deletion that is durable. True: with the others of the hour it is more than half of the mailbox. One
    /// from a mailbox of at least kLeast messages waits to be judged, then. Costs a look in memory.
    bool note(Deletion deletion);

    /// Those that wait, with all of the hour in `messages`, `before` and `begun`; takes them.
    struct Waiting {
        Deletion sum;
        bool first = true;  ///< of its hour: the others only add to it
    };
    std::vector<Waiting> take(Timestamp now);

private:
    struct Key {
        AccountId account;
        std::uint32_t mailbox = 0;
        std::uint64_t device = 0;  ///< its id and 1; 0: none
        PeerKey network = 0;       ///< without a device
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const noexcept;
    };
    struct Sum {
        Timestamp begun{};
        std::uint64_t messages = 0, before = 0;
        bool told = false;
    };

    std::mutex mutex_;
    std::unordered_map<Key, Sum, Hash> sums_;
    std::vector<Waiting> waiting_;
};

}  // namespace poplar::activity
