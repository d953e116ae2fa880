#pragma once
// What must happen now and then without anybody asking: retained mail whose days are over goes, and so does the mail
// of removed accounts.
#include <atomic>
#include <chrono>
#include <cstdint>

#include "base/asio.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"
#include "server/removed_accounts.h"

namespace poplar::server {

struct HousekeepingPace {
    std::size_t accounts = 100;  ///< then a pause, so that mail goes first
    std::chrono::milliseconds pause{100};
};

struct HousekeepingTotals {
    std::uint64_t accounts = 0;  ///< looked at
    std::uint64_t expired = 0;   ///< retained messages that went
    std::uint64_t purged = 0;    ///< removed accounts whose mail went
    std::uint64_t failures = 0;  ///< accounts that could not be done; each is logged and tried again next time
};

class Housekeeping {
public:
    Housekeeping(directory::Directory& directory, mailstore::MailStore& store, RemovedAccounts& removed,
                 const Clock& clock, HousekeepingPace pace = {})
        : directory_(directory), store_(store), removed_(removed), clock_(clock), pace_(pace) {}

    /// One round over all accounts. Errors: those of the directory; cancelled after stop().
    Task<Result<HousekeepingTotals>> round();
    void stop() { stopping_ = true; }

private:
    Task<Result<>> expire_retained(HousekeepingTotals& totals);
    Task<Result<>> purge_removed(HousekeepingTotals& totals);
    Task<Result<>> rest();

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    RemovedAccounts& removed_;
    const Clock& clock_;
    HousekeepingPace pace_;
    std::atomic<bool> stopping_ = false;
};

}  // namespace poplar::server
