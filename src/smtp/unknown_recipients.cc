#include "smtp/unknown_recipients.h"

#include <algorithm>
#include <cmath>

namespace poplar::smtp {

namespace {
constexpr std::chrono::duration<double> kWindow = std::chrono::hours(1);
}

double UnknownRecipients::level(const Peer& peer, SteadyTime now) const {
    return std::max(0.0, peer.level - limits_.free * ((now - peer.at) / kWindow));
}

std::optional<SteadyTime> UnknownRecipients::place(PeerKey peer) {
    const auto now = SteadyClock::now();
    if (empty()) return now;
    std::lock_guard guard(mutex_);
    auto found = peers_.find(peer);
    if (found == peers_.end()) return now;
    auto& record = found->second;
    const auto over = level(record, now) - limits_.free;
    if (over < 0) return now;
    const std::chrono::duration<double> step(
        std::min<double>(kFirstWait.count() * std::exp2(over / limits_.free), kLongestWait.count()));
    const auto next = std::max(record.next, now) + std::chrono::duration_cast<SteadyClock::duration>(step);
    if (next - now > kLongestWait) return std::nullopt;
    record.next = next;
    return next;
}

void UnknownRecipients::count(PeerKey peer) {
    const auto now = SteadyClock::now();
    std::lock_guard guard(mutex_);
    auto [at, is_new] = peers_.try_emplace(peer);
    auto& record = at->second;
    if (is_new)
        record.heard = heard_.insert(heard_.begin(), at->first);
    else
        heard_.splice(heard_.begin(), heard_, record.heard);
    record.level = level(record, now) + 1;
    record.at = now;
    if (peers_.size() > limits_.peers) {
        peers_.erase(heard_.back());
        heard_.pop_back();
    }
    size_ = peers_.size();
}

void UnknownRecipients::forgive(PeerKey peer, std::size_t stored) {
    if (empty()) return;
    const auto now = SteadyClock::now();
    std::lock_guard guard(mutex_);
    auto found = peers_.find(peer);
    if (found == peers_.end()) return;
    auto& record = found->second;
    record.level = level(record, now) - static_cast<double>(stored);
    record.at = now;
    if (record.level > 0) return;
    heard_.erase(record.heard);
    peers_.erase(found);
    size_ = peers_.size();
}

}  // namespace poplar::smtp
