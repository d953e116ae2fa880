#pragma once
#include <array>
#include <atomic>
#include <mutex>
#include <string>

#include "base/error.h"

namespace poplar::engine::local {

/// Knows what is wrong with the store, for `poplar status` and the log. From any thread.
class Health {
public:
    enum class Level { ok, degraded, stopped };
    enum class Part { log, index };

    /// Says in words what is wrong with a part that goes on as well as it can; "" when all is well. Has no effect once
    /// stopped.
    void set(Part part, std::string what);
    /// After a failed sync what the disk holds is unknown, and a second sync that succeeds proves nothing: the kernel
    /// may have dropped the pages that it could not write. So nothing more is promised until a start has looked.
    /// Returns the answer for those who wait: io, whatever the reason, because what was written may come true at that
    /// start.
    std::unexpected<Error> stop(const Error& error);

    bool stopped() const { return stopped_; }
    std::string state() const;  ///< "ok", or in words what is wrong
    Level level() const;

private:
    mutable std::mutex mutex_;
    std::array<std::string, 2> what_;  ///< of each part
    std::string why_stopped_;
    std::atomic<bool> stopped_ = false;
};

}  // namespace poplar::engine::local
