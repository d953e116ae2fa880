#pragma once
#include "net/connection.h"

namespace poplar::net {

/// A connection whose session waits for its peer and for something else at the same time: for mail that comes while the
/// peer is silent, say. To be used on the session's thread.
class Wakeable {
public:
    /// Sends what is gathered, then waits until the peer has sent something, or somebody calls wake(). One wake() ends
    /// one wait, this one or the next. False: woken. Failures are those of a read.
    virtual Task<Result<bool>> await_octets(Connection::Seconds idle) = 0;
    virtual void wake() = 0;

protected:
    ~Wakeable() = default;
};

}  // namespace poplar::net
