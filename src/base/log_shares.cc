#include "base/log_shares.h"

#include <algorithm>

namespace poplar::log {

namespace {

constexpr std::uint64_t kFirst = 1024;      // octets of lines that a peer has without having sent anything
constexpr std::uint64_t kPerSecond = 50;    // and gets back
constexpr std::uint64_t kMost = 64 * 1024;  // that it can save
constexpr std::uint64_t kInAnyCase = 2048;  // octets a second of the common rate, whatever the others take
constexpr std::size_t kMostPeers = 64 * 1024;

std::uint64_t second_of(SteadyTime time) {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count());
}

}  // namespace

void Shares::set_limits(ShareLimits limits) {
    std::lock_guard guard(mutex_);
    limits_ = limits;
}

bool Shares::take(PeerKey peer, std::uint64_t octets_sent, std::size_t line_octets, SteadyTime now) {
    std::lock_guard guard(mutex_);
    auto& purse = purse_of(peer, now);
    if (limits_.per_octet != 0) {
        const auto earned = std::min(octets_sent, kMost) * limits_.per_octet;
        purse.left = std::min(purse.left + earned, std::max(kMost, purse.left));
        if (line_octets > purse.left) return false;
    }
    if (limits_.rate != 0) {
        if (const auto second = second_of(now); second != second_) second_ = second, taken_ = 0;
        if (purse.second != second_) purse.second = second_, purse.taken = 0;
        const auto all = taken_ + line_octets, own = purse.taken + line_octets;
        if (all > limits_.rate || (own > kInAnyCase && own > limits_.rate - all)) return false;
        taken_ = all;
        purse.taken = own;
    }
    if (limits_.per_octet != 0) purse.left -= line_octets;
    return true;
}

Shares::Purse& Shares::purse_of(PeerKey peer, SteadyTime now) {
    auto found = purses_.find(peer);
    if (found == purses_.end()) {
        if (purses_.size() >= sweep_at_ && now >= sweep_after_) forget_full_ones(now);
        if (purses_.size() < kMostPeers) found = purses_.try_emplace(peer, Purse{kFirst, 0, now, 0}).first;
    }
    auto& purse = found != purses_.end() ? found->second : others_;
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now - purse.filled);
    if (seconds.count() > 0) {
        purse.filled += seconds;
        const auto filled = std::min(purse.left + kPerSecond * static_cast<std::uint64_t>(seconds.count()), kFirst);
        purse.left = std::max(purse.left, filled);
    }
    return purse;
}

/// Forgets the purses that would begin anew with as much as they have.
void Shares::forget_full_ones(SteadyTime now) {
    static constexpr auto kToFill = std::chrono::seconds(kFirst / kPerSecond + 1);
    std::erase_if(purses_, [now](const auto& one) { return now - one.second.filled > kToFill; });
    sweep_at_ = std::clamp<std::size_t>(2 * purses_.size(), 1024, kMostPeers);
    sweep_after_ = now + std::chrono::seconds(1);
}

std::size_t Shares::size() const {
    std::lock_guard guard(mutex_);
    return purses_.size();
}

}  // namespace poplar::log
