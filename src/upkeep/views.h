#pragma once
// Lets mail leave INBOX that nobody wants any more: what every device with a view of its own, and whoever logs in with
// the account's password, has deleted.
#include <functional>
#include <optional>

#include "base/asio.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "jobs/job.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

class Views final : public jobs::Job {
public:
    /// As Retention::Now: while the clock is doubted, no device is taken for one that did not come for long.
    using Now = std::function<std::optional<Timestamp>()>;

    Views(directory::Directory& directory, mailstore::MailStore& store, Now now)
        : directory_(directory), store_(store), now_(std::move(now)) {}

    std::string_view name() const override { return "views"; }
    /// One round over the accounts that have devices: others cost nothing. Errors: those of the directory; cancelled.
    Task<Result<>> round(jobs::Control& control) override;

private:
    Task<Result<std::uint64_t>> let_go(directory::AccountId account);

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    const Now now_;
};

}  // namespace poplar::upkeep
