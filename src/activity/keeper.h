#pragma once
// The job that writes the ledger's notes down and forgets old days.
#include <functional>
#include <optional>

#include "activity/ledger.h"
#include "jobs/job.h"

namespace poplar::activity {

class Keeper final : public jobs::Job {
public:
    /// `now`: the time that decides what is forgotten; nothing while the clock is doubted.
    using Now = std::function<std::optional<Timestamp>()>;
    Keeper(Ledger& ledger, Now now) : ledger_(ledger), now_(std::move(now)) {}

    std::string_view name() const override { return "activity"; }
    Task<Result<>> round(jobs::Control& control) override;

private:
    Ledger& ledger_;
    const Now now_;
};

}  // namespace poplar::activity
