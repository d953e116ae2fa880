#include "engine/local/health.h"

#include "base/log.h"

namespace poplar::engine::local {

void Health::set(Part part, std::string what) {
    std::lock_guard guard(mutex_);
    auto& was = what_[static_cast<std::size_t>(part)];
    if (stopped_ || what == was) return;
    if (what.empty())
        log::info("store.recovered", {{"was", was}});
    else
        log::error("store.trouble", {{"what", what}});
    was = std::move(what);
}

std::unexpected<Error> Health::stop(const Error& error) {
    std::lock_guard guard(mutex_);
    if (!stopped_) {
        why_stopped_ = "stopped, a restart is needed: " + error.detail();
        log::error("store.stopped", {{"what", error.detail()}});
        stopped_ = true;
    }
    return fail(Errc::io, error.detail());
}

std::string Health::state() const {
    std::lock_guard guard(mutex_);
    if (stopped_) return why_stopped_;
    std::string state;
    for (const auto& what : what_)
        if (!what.empty()) state += (state.empty() ? "" : "; ") + what;
    return state.empty() ? "ok" : state;
}

Health::Level Health::level() const {
    std::lock_guard guard(mutex_);
    if (stopped_) return Level::stopped;
    return what_ == decltype(what_){} ? Level::ok : Level::degraded;
}

}  // namespace poplar::engine::local
