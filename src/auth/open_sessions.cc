#include "auth/open_sessions.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace poplar::auth {

namespace {

/// Whether an ending of `ended` ends the sessions of `whose`, too.
bool concerns(const OpenSessions::Whose& ended, const OpenSessions::Whose& whose) {
    return ended.account == whose.account && (!ended.device || ended.device == whose.device);
}

}  // namespace

struct OpenSessions::Session {
    Whose whose;
    Executor executor;
    std::function<void()> end;  // touched on the executor's thread only; empty: used up
};

OpenSessions::Entry& OpenSessions::Entry::operator=(Entry&& other) noexcept {
    if (this != &other) {
        leave();
        list_ = other.list_;
        session_ = std::move(other.session_);
    }
    return *this;
}

void OpenSessions::Entry::leave() {
    auto session = std::move(session_);
    if (!session) return;
    session->end = nullptr;
    std::lock_guard guard(list_->mutex_);
    auto [begin, end] = list_->sessions_.equal_range(session->whose.account);
    auto mine = std::find_if(begin, end, [&](const auto& entry) { return entry.second == session; });
    list_->sessions_.erase(mine);
}

OpenSessions::Mark OpenSessions::mark() const {
    std::lock_guard guard(mutex_);
    return endings_;
}

OpenSessions::Entry OpenSessions::enter(Whose whose, Executor executor, Mark seen, std::function<void()> end) {
    auto session = std::make_shared<Session>(whose, std::move(executor), std::move(end));
    std::lock_guard guard(mutex_);
    auto missed = endings_ - seen;
    if (missed > recent_.size()) return {};
    auto refuses = [&](const Whose& ended) { return concerns(ended, whose); };
    if (std::any_of(recent_.end() - static_cast<std::ptrdiff_t>(missed), recent_.end(), refuses)) return {};
    sessions_.emplace(whose.account, session);
    return {*this, std::move(session)};
}

std::size_t OpenSessions::end(Whose whose) {
    std::vector<std::shared_ptr<Session>> ended;
    {
        std::lock_guard guard(mutex_);
        ++endings_;
        recent_.push_back(whose);
        if (recent_.size() > kRemembered) recent_.pop_front();
        auto [begin, last] = sessions_.equal_range(whose.account);
        for (auto at = begin; at != last; ++at)
            if (concerns(whose, at->second->whose)) ended.push_back(at->second);
    }
    for (auto& session : ended) {
        auto tell = [session] {
            if (auto end = std::exchange(session->end, nullptr)) end();
        };
        asio::post(session->executor, std::move(tell));
    }
    return ended.size();
}

std::size_t OpenSessions::count() const {
    std::lock_guard guard(mutex_);
    return sessions_.size();
}

}  // namespace poplar::auth
