#include "net/watchdog.h"

namespace poplar::net {

void Watchdog::retire() {
    socket_ = nullptr;
    timer_.cancel();
}

void Watchdog::arm(SteadyTime when) {
    armed_for_ = when;
    timer_.expires_at(when);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->fired();
    });
}

void Watchdog::fired() {
    auto now = SteadyClock::now();
    if (!socket_ || now < armed_for_) return;  // late news of a timer that was set anew since
    armed_for_ = kNever;
    if (now >= deadline_) {
        expired_ = true;
        boost::system::error_code ignored;
        socket_->cancel(ignored);
    } else if (deadline_ != kNever) {
        arm(deadline_);
    }
}

}  // namespace poplar::net
