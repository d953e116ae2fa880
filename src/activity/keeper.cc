#include "activity/keeper.h"

#include "base/log.h"

namespace poplar::activity {

namespace {
constexpr std::chrono::milliseconds kPause{100};  // between two pieces, so that clients are served first
}

Task<Result<>> Keeper::round(jobs::Control& control) {
    co_await ledger_.flush();
    for (;;) {
        const auto now = now_();
        if (!now) co_return Result<>();
        auto more = co_await ledger_.forget_some(*now);
        if (!more) {
            log::warning("activity.not_forgotten", {{"reason", more.error().detail()}});
            co_return pass_on(more);
        }
        if (!*more) co_return Result<>();
        if (auto paused = co_await control.pause(kPause); !paused) co_return paused;
    }
}

}  // namespace poplar::activity
