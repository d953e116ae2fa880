#pragma once
#include "delivery/greylist.h"
#include "jobs/job.h"

namespace poplar::server {

/// Forgets senders of whom nothing came for long, so that the greylist does not grow for ever.
class ForgetGreylist final : public jobs::Job {
public:
    explicit ForgetGreylist(delivery::Greylist& greylist) : greylist_(greylist) {}
    std::string_view name() const override { return "greylist"; }
    Task<Result<>> round(jobs::Control& control) override {
        constexpr std::size_t kAtOnce = 500;
        std::string after;
        do {
            auto next = co_await greylist_.forget_old(std::move(after), kAtOnce);
            if (!next) co_return pass_on(next);
            after = std::move(*next);
            if (auto went = co_await control.pause(std::chrono::milliseconds(20)); !went) co_return went;
        } while (!after.empty());
        co_return Result<>();
    }

private:
    delivery::Greylist& greylist_;
};

}  // namespace poplar::server
