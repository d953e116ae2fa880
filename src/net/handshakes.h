#pragma once
// How many TLS handshakes a peer and its network may begin. One costs the server some 500 us of work, and the client
// next to nothing: it can send a ClientHello again and again.
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/peer_network.h"
#include "base/steady.h"
#include "net/peer.h"

namespace poplar::net {

struct HandshakeLimits {
    std::uint32_t handshakes_per_peer = 20;      ///< a second, for long; peer_key()
    std::uint32_t handshakes_per_network = 100;  ///< network_key()
};

/// May be called from any thread.
class Handshakes {
public:
    static constexpr std::chrono::seconds kAtOnce{5};   ///< those of so long may begin at once, for a crowd
    static constexpr std::chrono::seconds kLongest{5};  ///< wait; one that would wait longer is refused
    static constexpr std::size_t kRemembered = 20'000;  ///< peers and networks; more are not held back

    explicit Handshakes(const HandshakeLimits& limits) : limits_(limits) {}

    /// How long a handshake with `peer` has to wait before it begins; none: it is refused. This machine never waits.
    std::optional<SteadyClock::duration> begin(const Peer& peer);

private:
    /// When the next may begin, if none may begin at once.
    struct Entry {
        SteadyTime next;
    };

    enum class Kind : std::uint8_t { peer, network };
    struct Key {
        Kind kind;
        PeerKey whose;
        bool operator==(const Key&) const = default;
    };
    struct Hash {
        std::size_t operator()(const Key& key) const {
            return std::hash<PeerKey>{}(key.whose) * 2 + static_cast<std::size_t>(key.kind);
        }
    };

    void make_room(SteadyTime now);
    Entry* entry(Key key);
    static SteadyTime after_one_more(const Entry* entry, std::uint32_t rate, SteadyTime now);

    const HandshakeLimits limits_;
    std::mutex mutex_;
    std::unordered_map<Key, Entry, Hash> entries_;
    SteadyTime swept_;
};

}  // namespace poplar::net
