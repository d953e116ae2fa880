#pragma once
#include <cstdint>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/fair_queue.h"
#include "base/steady.h"

namespace poplar::auth {

/// Bounds how many logins of one account wait for a hash. Each standing has places of its own, so that strangers take
/// none from the owner. May be called from any thread.
class HashPlaces {
    struct Line {
        std::size_t taken = 0;
        SteadyTime busy_until{};
    };

public:
    explicit HashPlaces(std::size_t limit) : limit_(limit) {}

    /// Given back on destruction.
    class Place {
    public:
        Place(Place&& other) noexcept : places_(std::exchange(other.places_, nullptr)), key_(other.key_) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (places_ != nullptr) places_->leave(key_);
        }
        /// The time at which `work` would be over if a thread did it behind all other `work` of the account and
        /// standing. A login that needs no hash waits until then, so that its time does not tell.
        SteadyTime busy(SteadyClock::duration work) {
            std::lock_guard hold(places_->mutex_);
            auto& line = places_->lines_.at(key_);
            return line.busy_until = std::max(line.busy_until, SteadyClock::now()) + work;
        }

    private:
        friend class HashPlaces;
        Place(HashPlaces& places, std::uint64_t key) : places_(&places), key_(key) {}
        HashPlaces* places_;
        std::uint64_t key_;
    };

    /// Nothing: there are too many already.
    std::optional<Place> take(std::uint64_t account, Standing standing) {
        auto key = account * 3 + static_cast<std::uint64_t>(standing);
        std::lock_guard hold(mutex_);
        auto& line = lines_[key];
        if (line.taken >= limit_) return std::nullopt;
        ++line.taken;
        return Place(*this, key);
    }

private:
    void leave(std::uint64_t key) {
        std::lock_guard hold(mutex_);
        auto line = lines_.find(key);
        if (--line->second.taken == 0) lines_.erase(line);
    }

    const std::size_t limit_;
    std::mutex mutex_;
    std::unordered_map<std::uint64_t, Line> lines_;
};

}  // namespace poplar::auth
