#pragma once
// Deletes what is due: mail that has been on the server for the days of EXPIRE (RFC 2449 s6.7), retained mail whose
// days are over, and the mail of removed accounts.
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "activity/ledger.h"
#include "base/asio.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "directory/removed.h"
#include "jobs/job.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

struct RetentionPace {
    std::size_t accounts = 100;  ///< then a pause, so that clients are served first
    std::chrono::milliseconds pause{100};
};

struct RetentionTotals {
    std::uint64_t accounts = 0;  ///< looked at
    std::uint64_t aged = 0;      ///< messages that were moved to the retained area, as EXPIRE announces
    std::uint64_t expired = 0;   ///< retained messages that went
    std::uint64_t crowded = 0;   ///< retained messages that went early, over storage.retained_limit
    std::uint64_t purged = 0;    ///< removed accounts whose mail went
    std::uint64_t unwanted = 0;  ///< messages that left INBOX because every view had deleted them
    std::uint64_t failures = 0;  ///< accounts that could not be done; each is logged and tried again next time
    bool suspended = false;      ///< the clock is doubted: nothing, or not all of it, was done
};

class Retention final : public jobs::Job {
public:
    /// The time that decides what is due; nothing while the clock is doubted.
    using Now = std::function<std::optional<Timestamp>()>;

    Retention(directory::Directory& directory, mailstore::MailStore& store, directory::RemovedAccounts& removed,
              Now now, std::uint32_t expire_days, RetentionPace pace = {}, activity::Ledger* ledger = nullptr)
        : directory_(directory),
          store_(store),
          removed_(removed),
          now_(std::move(now)),
          expire_days_(expire_days),
          pace_(pace),
          ledger_(ledger) {}

    std::string_view name() const override { return "housekeeping"; }
    /// One round over all accounts. Live mail is looked at once a day. That costs one read of the oldest message for an
    /// account that has EXPIRE, and nothing for any other. Errors: those of the directory; cancelled.
    Task<Result<>> round(jobs::Control& control) override;
    /// The totals of the last round that succeeded.
    const std::optional<RetentionTotals>& last() const { return last_; }

private:
    Task<> expire_mail(directory::Account account, RetentionTotals& totals, Timestamp now, bool live);
    Timestamp begun() const { return ledger_ != nullptr ? ledger_->now() : Timestamp(); }
    void note_deleted(directory::AccountId account, std::string_view why, std::uint64_t messages, Timestamp begun);
    Task<Result<>> expire(RetentionTotals& totals, jobs::Control& control);
    Task<Result<>> purge_removed(RetentionTotals& totals, jobs::Control& control);
    /// True if the account was purged, or there was nothing to purge: its record can go.
    Task<Result<bool>> purge(directory::RemovedAccount one, Timestamp now, RetentionTotals& totals);

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    directory::RemovedAccounts& removed_;
    const Now now_;
    const std::uint32_t expire_days_;  ///< of accounts that have none of their own
    RetentionPace pace_;
    activity::Ledger* const ledger_;      ///< where is noted what left a mailbox; null: nowhere
    std::optional<Timestamp> live_done_;  ///< when live mail was last looked at
    std::optional<RetentionTotals> last_;
};

}  // namespace poplar::upkeep
