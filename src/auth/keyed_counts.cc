#include "auth/keyed_counts.h"

namespace poplar::auth {

bool KeyedCounts::is_past(Timestamp begin) const {
    auto now = clock_.now();
    return now >= begin + window_ || now < begin;  // a clock that was set back must not lock anybody out
}

bool KeyedCounts::is_over(std::string_view key) {
    if (limit_ == 0) return false;
    std::lock_guard hold(mutex_);
    if (windows_.empty()) return false;
    auto found = windows_.find(std::string(key));
    return found != windows_.end() && !is_past(found->second.begin) && found->second.failures >= limit_;
}

void KeyedCounts::record(std::string_view key) {
    if (limit_ == 0 || entries_ == 0) return;
    std::lock_guard hold(mutex_);
    auto now = clock_.now();
    if (!order_.empty() && now < order_.back().at) {  // set back: windows that begin in the future mean nothing
        windows_.clear();
        order_.clear();
    }
    while (!order_.empty() && is_past(order_.front().at)) drop_oldest();
    std::string name(key);
    auto found = windows_.find(name);
    if (found == windows_.end()) {
        if (windows_.size() >= entries_) drop_oldest();
        order_.push_back({name, now});
        found = windows_.emplace(std::move(name), Window{0, now}).first;
    }
    if (found->second.failures < limit_) ++found->second.failures;
}

void KeyedCounts::drop_oldest() {
    windows_.erase(order_.front().key);
    order_.pop_front();
}

std::size_t KeyedCounts::size() const {
    std::lock_guard hold(mutex_);
    return windows_.size();
}

}  // namespace poplar::auth
