#pragma once
// The deadline of a connection's waits.
#include <memory>

#include "base/asio.h"
#include "base/steady.h"

namespace poplar::net {

/// Cuts a wait on a socket short when its deadline passes. There is one timer: while a later deadline replaces an
/// earlier one (every command of a session does that) it stays as it is, and looks again when it fires. To be used on
/// the socket's thread; what waits on the timer keeps it alive.
class Watchdog : public std::enable_shared_from_this<Watchdog> {
public:
    using Socket = asio::basic_stream_socket<asio::generic::stream_protocol, Executor>;
    static constexpr SteadyTime kNever = SteadyTime::max();

    Watchdog(const Executor& executor, Socket& socket) : timer_(executor), socket_(&socket) {}

    /// A wait begins that is cancelled at `deadline`.
    void watch(SteadyTime deadline) {
        deadline_ = deadline;
        expired_ = false;
        if (deadline < armed_for_) arm(deadline);
    }
    /// It is over.
    void disarm() { deadline_ = kNever; }
    /// Whether the last wait was cancelled for its deadline.
    bool expired() const { return expired_; }

    /// The socket is going away.
    void retire();

private:
    void arm(SteadyTime when);
    void fired();

    SteadyTimer timer_;
    Socket* socket_;
    SteadyTime deadline_ = kNever, armed_for_ = kNever;
    bool expired_ = false;
};

}  // namespace poplar::net
