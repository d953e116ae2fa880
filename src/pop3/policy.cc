#include "pop3/policy.h"

#include <algorithm>

#include <fmt/format.h>

namespace poplar::pop3 {

namespace {

std::string expire_line(std::uint64_t days, bool differs) {
    auto user = differs ? " USER" : "";
    if (days == directory::kNeverExpires) return fmt::format("EXPIRE NEVER{}\r\n", user);
    return fmt::format("EXPIRE {}{}\r\n", days, user);
}

}  // namespace

Policy policy_of(Policy server, const directory::AccountSettings& own) {
    if (own.expire_days) server.expire_days = *own.expire_days;
    if (own.login_delay) server.login_delay = std::chrono::seconds(*own.login_delay);
    return server;
}

void Announced::set(const directory::AccountSettings& strictest) {
    expire_days_ = strictest.expire_days ? *strictest.expire_days : kNone;
    login_delay_ = strictest.login_delay ? *strictest.login_delay : kNone;
}

// RFC 2449 s6.5: the largest delay that somebody has; s6.7: the shortest time; USER where the login may change it.
std::string Announced::lines() const {
    std::uint64_t expire = expire_days_, delay = login_delay_;
    auto lines = expire_line(std::min<std::uint64_t>(expire, server_.expire_days), expire != kNone);
    std::uint64_t server = static_cast<std::uint64_t>(server_.login_delay.count());
    if (delay != kNone)
        lines += fmt::format("LOGIN-DELAY {} USER\r\n", std::max(delay, server));
    else if (server != 0)
        lines += fmt::format("LOGIN-DELAY {}\r\n", server);
    return lines;
}

std::string Announced::lines(Policy own) const {
    auto lines = expire_line(own.expire_days, false);
    bool announced = login_delay_ != kNone || server_.login_delay.count() != 0;
    if (announced || own.login_delay.count() != 0) lines += fmt::format("LOGIN-DELAY {}\r\n", own.login_delay.count());
    return lines;
}

bool LoginDelays::waits(mailstore::ViewOf of, std::chrono::seconds delay) const {
    auto at = last_.find(of);
    return at != last_.end() && SteadyClock::now() - at->second < delay;
}

bool LoginDelays::is_over(mailstore::ViewOf of, std::chrono::seconds delay) const {
    if (delay.count() == 0) return true;
    std::lock_guard guard(mutex_);
    return !waits(of, delay);
}

bool LoginDelays::note(mailstore::ViewOf of, std::chrono::seconds delay) {
    if (delay.count() == 0) return true;
    std::lock_guard guard(mutex_);
    if (waits(of, delay)) return false;
    auto now = SteadyClock::now();
    longest_ = std::max(longest_, delay);
    last_[of] = now;
    order_.emplace_back(now, of);
    while (order_.front().first + longest_ <= now || order_.size() > kRemembered) {
        auto [time, old] = order_.front();
        order_.pop_front();
        if (auto at = last_.find(old); at != last_.end() && at->second == time) last_.erase(at);
    }
    return true;
}

}  // namespace poplar::pop3
