#pragma once
// Slows down clients that harvest addresses. A peer that names many unknown recipients has to wait for answers, on all
// its connections together. Nobody is shut out, and a peer that also brings mail is forgiven.
#include <atomic>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/peer_network.h"
#include "base/steady.h"

namespace poplar::smtp {

/// May be used from any thread.
class UnknownRecipients {
public:
    struct Limits {
        std::uint32_t free = 100;     ///< of a peer in an hour, without a wait
        std::size_t peers = 100'000;  ///< that are remembered; then the one heard of longest ago is forgotten
    };
    static constexpr auto kFirstWait = std::chrono::seconds(1);  ///< doubles with each `free` more
    static constexpr auto kLongestWait = std::chrono::seconds(30);

    explicit UnknownRecipients(Limits limits) : limits_(limits) {}

    /// When the peer's next recipient may be looked up; none: it would have to wait longer than kLongestWait. Over the
    /// limit all its recipients stand in one row, known or not, so that the wait tells nothing.
    std::optional<SteadyTime> place(PeerKey peer);
    void count(PeerKey peer);                        ///< it named one that is unknown
    void forgive(PeerKey peer, std::size_t stored);  ///< it brought mail for so many
    bool empty() const { return size_.load(std::memory_order_relaxed) == 0; }
    std::size_t size() const { return size_; }  ///< peers remembered

private:
    struct Peer {
        double level = 0;  ///< recipients that count; an hour takes `free` off
        SteadyTime at{};   ///< of `level`
        SteadyTime next{};
        std::list<PeerKey>::iterator heard;
    };
    double level(const Peer& peer, SteadyTime now) const;

    const Limits limits_;
    std::atomic<std::size_t> size_ = 0;
    std::mutex mutex_;
    std::unordered_map<PeerKey, Peer> peers_;
    std::list<PeerKey> heard_;  ///< keys of peers_, the latest first
};

}  // namespace poplar::smtp
