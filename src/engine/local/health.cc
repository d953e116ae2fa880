#include "engine/local/health.h"

#include "base/log.h"

namespace poplar::engine::local {

void Health::set(std::string what) {
    std::lock_guard guard(mutex_);
    if (stopped_ || what == what_) return;
    if (what.empty())
        log::info("store.recovered", {{"was", what_}});
    else
        log::error("store.trouble", {{"what", what}});
    what_ = std::move(what);
}

std::unexpected<Error> Health::stop(const Error& error) {
    std::lock_guard guard(mutex_);
    if (!stopped_) {
        what_ = "stopped, a restart is needed: " + error.detail();
        log::error("store.stopped", {{"what", error.detail()}});
        stopped_ = true;
    }
    return fail(Errc::io, error.detail());
}

std::string Health::state() const {
    std::lock_guard guard(mutex_);
    return what_.empty() ? "ok" : what_;
}

Health::Level Health::level() const {
    std::lock_guard guard(mutex_);
    return stopped_ ? Level::stopped : what_.empty() ? Level::ok : Level::degraded;
}

}  // namespace poplar::engine::local
