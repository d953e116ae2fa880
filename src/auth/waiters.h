#pragma once
// Counts the attempts to log in that wait for a turn, so that one network can't have all its connections held so.
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/peer_network.h"

namespace poplar::auth {

/// May be used from any thread; outlives what it gives out.
class Waiters {
public:
    explicit Waiters(std::size_t per_network) : per_network_(per_network) {}

    /// Somebody who waits, until this is destroyed.
    class Waiter {
    public:
        Waiter() = default;
        Waiter(Waiters& among, PeerKey network) : among_(&among), network_(network) {}
        Waiter(Waiter&& other) noexcept : among_(std::exchange(other.among_, nullptr)), network_(other.network_) {}
        Waiter& operator=(Waiter&&) = delete;
        ~Waiter() {
            if (among_ != nullptr) among_->leave(network_);
        }

    private:
        Waiters* among_ = nullptr;
        PeerKey network_ = 0;
    };

    /// Nothing: enough of that network wait already.
    std::optional<Waiter> enter(PeerKey network) {
        std::lock_guard hold(mutex_);
        auto& count = counts_[network];
        if (count >= per_network_) return std::nullopt;
        ++count;
        return std::optional<Waiter>(std::in_place, *this, network);
    }
    /// Somebody who is not counted.
    static std::optional<Waiter> enter_any() { return std::optional<Waiter>(std::in_place); }

private:
    void leave(PeerKey network) {
        std::lock_guard hold(mutex_);
        auto found = counts_.find(network);
        if (--found->second == 0) counts_.erase(found);
    }

    const std::size_t per_network_;
    std::mutex mutex_;
    std::unordered_map<PeerKey, std::size_t> counts_;
};

}  // namespace poplar::auth
