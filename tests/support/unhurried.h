#pragma once
#include "jobs/job.h"

namespace poplar::test {

/// Runs a round without pauses. `cancel_after`: so many are allowed, the next one says that the round must end.
class Unhurried final : public jobs::Control {
public:
    explicit Unhurried(std::size_t cancel_after = ~std::size_t(0)) : left_(cancel_after) {}
    Task<Result<>> pause(std::chrono::milliseconds) override {
        if (left_-- == 0) co_return fail(Errc::cancelled, "stopping");
        co_return Result<>();
    }
    void tell(std::string progress) override { told = std::move(progress); }
    std::string told;

private:
    std::size_t left_;
};

}  // namespace poplar::test
