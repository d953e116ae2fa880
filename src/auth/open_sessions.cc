#include "auth/open_sessions.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace poplar::auth {

struct OpenSessions::Session {
    Newcomer who;
    Executor executor;
    std::function<void()> end;  // touched on the executor's thread only; empty: used up
};

namespace {

/// Whether an ending of `ended` ends the sessions of `whose`, too.
bool covers(const OpenSessions::Whose& ended, const OpenSessions::Whose& whose) {
    return ended.account == whose.account && (!ended.device || ended.device == whose.device);
}

}  // namespace

bool OpenSessions::concerns(const Ending& ending, const Newcomer& newcomer) {
    return ending.domain.empty() ? covers(ending.whose, newcomer.whose) : ending.domain == newcomer.domain;
}

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
    auto [begin, end] = list_->sessions_.equal_range(session->who.whose.account);
    auto mine = std::find_if(begin, end, [&](const auto& entry) { return entry.second == session; });
    list_->sessions_.erase(mine);
}

OpenSessions::Mark OpenSessions::mark() const {
    std::lock_guard guard(mutex_);
    return endings_;
}

OpenSessions::Entry OpenSessions::enter(Newcomer newcomer, Executor executor, Mark seen, std::function<void()> end) {
    const auto account = newcomer.whose.account;
    auto session = std::make_shared<Session>(std::move(newcomer), std::move(executor), std::move(end));
    std::lock_guard guard(mutex_);
    auto missed = endings_ - seen;
    if (missed > recent_.size()) return {};
    auto refuses = [&](const Ending& ending) { return concerns(ending, session->who); };
    if (std::any_of(recent_.end() - static_cast<std::ptrdiff_t>(missed), recent_.end(), refuses)) return {};
    sessions_.emplace(account, session);
    return {*this, std::move(session)};
}

void OpenSessions::remember(Ending ending) {
    ++endings_;
    recent_.push_back(std::move(ending));
    if (recent_.size() > kRemembered) recent_.pop_front();
}

template <class IsMeant>
std::vector<std::shared_ptr<OpenSessions::Session>> OpenSessions::of_account(directory::AccountId account,
                                                                             IsMeant is_meant) const {
    std::vector<std::shared_ptr<Session>> found;
    auto [begin, last] = sessions_.equal_range(account);
    for (auto at = begin; at != last; ++at)
        if (is_meant(at->second->who)) found.push_back(at->second);
    return found;
}

std::size_t OpenSessions::tell(const std::vector<std::shared_ptr<Session>>& ended) {
    for (const auto& session : ended) {
        auto tell = [session] {
            if (auto end = std::exchange(session->end, nullptr)) end();
        };
        asio::post(session->executor, std::move(tell));
    }
    return ended.size();
}

std::size_t OpenSessions::end(Whose whose) {
    std::vector<std::shared_ptr<Session>> ended;
    {
        std::lock_guard guard(mutex_);
        remember({whose});
        ended = of_account(whose.account, [&](const Newcomer& who) { return covers(whose, who.whose); });
    }
    return tell(ended);
}

void OpenSessions::begin_logins_anew(directory::AccountId account) {
    std::lock_guard guard(mutex_);
    remember({account});
}

void OpenSessions::begin_logins_anew(std::string domain) {
    std::lock_guard guard(mutex_);
    remember({directory::AccountId(), std::move(domain)});
}

template <class IsMeant>
std::vector<OpenSessions::Present> OpenSessions::present_if(IsMeant is_meant) const {
    std::vector<Present> all;
    {
        std::lock_guard guard(mutex_);
        for (const auto& [account, session] : sessions_)
            if (is_meant(session->who)) all.push_back({account, session->who.shown});
    }
    auto order = [](const Present& one) { return std::tuple(one.account.value, one.shown.ways, one.shown.vouched); };
    std::ranges::sort(all, {}, order);
    const auto same = std::ranges::unique(all, {}, order);
    all.erase(same.begin(), same.end());
    return all;
}

std::vector<OpenSessions::Present> OpenSessions::present(directory::AccountId account) const {
    return present_if([&](const Newcomer& who) { return who.whose.account == account; });
}

std::vector<OpenSessions::Present> OpenSessions::present(const std::string& domain) const {
    return present_if([&](const Newcomer& who) { return who.domain == domain; });
}

std::size_t OpenSessions::end_those(const Present& such) {
    std::vector<std::shared_ptr<Session>> ended;
    {
        std::lock_guard guard(mutex_);
        ended = of_account(such.account, [&](const Newcomer& who) { return who.shown == such.shown; });
    }
    return tell(ended);
}

std::size_t OpenSessions::count() const {
    std::lock_guard guard(mutex_);
    return sessions_.size();
}

}  // namespace poplar::auth
