#include "base/budget.h"

#include <utility>

namespace poplar {

Budget::Holding::Holding(Holding&& other) noexcept
    : budget_(std::exchange(other.budget_, nullptr)),
      holder_(other.holder_),
      amount_(std::exchange(other.amount_, 0)) {}

Budget::Holding& Budget::Holding::operator=(Holding&& other) noexcept {
    if (this != &other) {
        release();
        budget_ = std::exchange(other.budget_, nullptr);
        holder_ = other.holder_;
        amount_ = std::exchange(other.amount_, 0);
    }
    return *this;
}

bool Budget::Holding::resize(std::uint64_t amount) {
    if (amount == amount_) return true;
    if (budget_ != nullptr && !budget_->change(holder_, amount_, amount)) return false;
    amount_ = amount;
    return true;
}

void Budget::Holding::release() { (void)resize(0); }

bool Budget::change(Holder holder, std::uint64_t before, std::uint64_t after) {
    std::lock_guard guard(mutex_);
    auto found = holders_.find(holder);
    const auto own = (found == holders_.end() ? 0 : found->second) - before + after;
    const auto all = held_ - before + after;
    if (after > before && (all > whole_ || (own > floor_ && own > whole_ - all))) return false;
    held_ = all;
    if (own == 0)
        holders_.erase(holder);
    else if (found != holders_.end())
        found->second = own;
    else
        holders_.emplace(holder, own);
    return true;
}

std::uint64_t Budget::held() const {
    std::lock_guard guard(mutex_);
    return held_;
}

std::uint64_t Budget::held_by(Holder holder) const {
    std::lock_guard guard(mutex_);
    auto found = holders_.find(holder);
    return found == holders_.end() ? 0 : found->second;
}

}  // namespace poplar
