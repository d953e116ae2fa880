#pragma once
// Judges deletions that took more than half of a mailbox: from a device or network that never did so before they may be
// a thief's, or a program's that was set up wrongly. The user is told, and the messages are kept twice as long.
#include <functional>

#include "activity/ledger.h"
#include "activity/mass_deletions.h"
#include "base/clock.h"
#include "jobs/job.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

class UnusualDeletions final : public jobs::Job {
public:
    /// Tells the user. Errors: those of the delivery.
    using Tell = std::function<Task<Result<>>(activity::Deletion deletion, std::uint64_t kept_twice)>;

    UnusualDeletions(activity::MassDeletions& deletions, activity::Ledger& ledger, mailstore::MailStore& store,
                     const Clock& clock, Tell tell)
        : deletions_(deletions), ledger_(ledger), store_(store), clock_(clock), tell_(std::move(tell)) {}

    std::string_view name() const override { return "unusual-deletions"; }
    /// All that wait. One that can't be judged now, because the ledger or the store fails, is logged and not judged
    /// again: the messages are kept as long as any.
    Task<Result<>> round(jobs::Control& control) override;

private:
    Task<Result<bool>> is_usual(activity::Deletion deletion);
    Task<Result<>> act(activity::Deletion deletion, bool first);

    activity::MassDeletions& deletions_;
    activity::Ledger& ledger_;
    mailstore::MailStore& store_;
    const Clock& clock_;
    const Tell tell_;
};

}  // namespace poplar::upkeep
