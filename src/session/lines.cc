#include "session/lines.h"

#include <algorithm>
#include <exception>

#include "base/log.h"

namespace poplar::session {

Task<Result<std::string_view>> Lines::read(std::size_t limit, Seconds idle, net::LineEnd end, SteadyTime deadline) {
    if (deadline != SteadyTime::max()) {
        const auto left = std::chrono::ceil<Seconds>(deadline - SteadyClock::now());
        if (left <= left.zero()) co_return fail(Errc::timed_out, "the deadline has passed");
        idle = std::min(idle, left);
    }
    reading_ = true;
    auto line = co_await connection_->read_line(limit, idle, end);
    reading_ = false;
    if (ousted_) co_return fail(Errc::conflict, "the account has changed");
    co_return line;
}

std::unexpected<Error> Lines::end(std::string_view reason) {
    if (reason_.empty()) reason_ = reason;
    return fail(Errc::closed, "");
}

void Lines::oust() {
    ousted_ = true;
    // A read sends what is gathered before it waits for a command.
    if (reading_ && !connection_->sending())
        connection_->stop_reading();
    else
        connection_->abort();
}

void Lines::cut() {
    cut_ = true;
    connection_->abort();
}

Task<Result<>> Lines::guard(Task<Result<>> run, std::string_view event, std::string_view session_id) {
    try {
        co_return co_await std::move(run);
    } catch (const std::exception& thrown) {
        log::error(event, {{"session", session_id}, {"what", std::string_view(thrown.what())}});
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
        throw;  // so that the fuzzer sees our mistakes
#endif
    }
    reason_ = kFailed;
    co_return fail(Errc::closed, "");
}

std::string_view Lines::reason(const Result<>& ended) const {
    if (cut_) return "ended_by_operator";
    if (ousted_) return "account_changed";
    if (!reason_.empty()) return reason_;
    if (ended) return kQuit;
    switch (ended.error().code()) {
        case Errc::timed_out: return "timed_out";
        case Errc::cancelled: return "stopping";
        default: return "closed";
    }
}

}  // namespace poplar::session
