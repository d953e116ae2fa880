#pragma once
// Gives connections out in shares to protocols, peers and the networks around them, so that no one of them closes the
// door for the others.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/peer_network.h"
#include "net/peer.h"

namespace poplar::net {

struct PlaceLimits {
    std::size_t connections = 20'000;           ///< in all
    std::size_t connections_reserved = 1'000;   ///< of them, for each protocol; an eighth of `connections` at most
    std::size_t connections_per_peer = 100;     ///< peer_key()
    std::size_t connections_per_network = 500;  ///< network_key()
    bool limit_loopback_peers = false;          ///< whether 127.0.0.0/8, ::1 and local sockets count as one peer each
    /// Of the descriptors the process may have, so many (half at most) are not for connections: the store needs them.
    /// A connection more is one over `connections`.
    std::size_t spare_descriptors = 1024;
};

/// The connections there are, counted. May be called from any thread; must outlive its Places.
class Places {
public:
    enum class Limit { connections, reserved, peer, network };

    /// A connection's, given back on destruction.
    class Place {
    public:
        Place(Place&& other) noexcept;
        Place& operator=(Place&&) = delete;
        ~Place();

        /// Counts the connection as one of `peer` from now on. Says which limit that is over; then it still counts as
        /// before.
        std::optional<Limit> count_for(const Peer& peer);

    private:
        friend class Places;
        Place(Places& places, std::size_t protocol) : places_(&places), protocol_(protocol) {}
        Places* places_;
        std::size_t protocol_;
        std::optional<PeerKey> peer_, network_;  // none: not counted
    };

    explicit Places(const PlaceLimits& limits);

    /// A number for enter(); the same for the same name.
    std::size_t protocol(std::string_view name);

    /// A place for a connection over `socket`, or the limit that is reached. It counts for no peer yet.
    std::expected<Place, Limit> enter(std::size_t protocol, int socket);

    std::size_t taken() const { return taken_; }

private:
    struct Protocol {
        std::string name;
        std::size_t taken = 0;
    };
    using Counts = std::unordered_map<PeerKey, std::size_t>;

    std::size_t kept_for_others(std::size_t protocol) const;
    static std::size_t count_of(const Counts& counts, PeerKey key);
    static void give_back(Counts& counts, PeerKey key);
    void leave(const Place& place);

    const PlaceLimits limits_;
    const std::size_t reserved_;
    const int first_spare_;
    std::atomic<std::size_t> taken_ = 0;  // changed under mutex_
    mutable std::mutex mutex_;            // for what follows
    std::vector<Protocol> protocols_;
    Counts peers_, networks_;
};

std::string_view to_string(Places::Limit limit);

}  // namespace poplar::net
