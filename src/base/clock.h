#pragma once
#include <chrono>

namespace poplar {

using Timestamp = std::chrono::sys_time<std::chrono::milliseconds>;  ///< wall time, UTC, as stored and shown

/// Wall time that a test can replace (tests/support/manual_clock.h). May be called from any thread.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Timestamp now() const = 0;
};

/// The machine's clock.
const Clock& system_clock();

}  // namespace poplar
