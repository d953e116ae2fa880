#pragma once
#include <atomic>

#include "base/clock.h"

namespace poplar::test {

/// A clock that stands still until it is moved. Begins at 2026-01-01 00:00 UTC.
class ManualClock final : public Clock {
public:
    Timestamp now() const override { return Timestamp(std::chrono::milliseconds(millis_.load())); }
    void advance(std::chrono::milliseconds by) { millis_ += by.count(); }

private:
    std::atomic<std::int64_t> millis_{1'767'225'600'000};
};

}  // namespace poplar::test
