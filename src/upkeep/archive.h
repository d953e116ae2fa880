#pragma once
// Moves old mail of a mailbox to others, whose names may have the time in them.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

struct ArchiveRule {
    std::string mailbox;  ///< from where
    std::string to;       ///< "Archive/{year}": {year}, {month} and {day} are those of the message's arrival, in UTC
    std::chrono::seconds older{};
};

struct ArchiveTotals {
    std::uint64_t moved = 0;
    std::uint64_t mailboxes = 0;  ///< to which
    bool operator==(const ArchiveTotals&) const = default;
};

class ArchiveWatcher {
public:
    virtual ~ArchiveWatcher() = default;
    /// Called after each commit or so. An error ends the work with it.
    virtual Task<Result<>> on_moved(ArchiveTotals totals) = 0;
};

/// Errors: invalid (it has a word in braces that means nothing, or no mailbox can be called so).
Result<std::string> archive_name(std::string_view to, Timestamp received);

/// Messages keep their unique-ids and flags, and leave the views of their mailbox. A mailbox that is not there is made.
/// What was moved stays so if the work breaks off, and it can begin again. Errors: invalid (the rule), not_found (the
/// mailbox), and as MailStore's.
Task<Result<ArchiveTotals>> archive_mail(mailstore::MailStore& store, mailstore::AccountId account, ArchiveRule rule,
                                         Timestamp now, ArchiveWatcher& watcher);

}  // namespace poplar::upkeep
