#pragma once
// Tells users of POP, who see one mailbox, what went to another: once a day a message in INBOX lists what is new in the
// mailbox for junk, each with an address that brings it back.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "activity/ledger.h"
#include "base/clock.h"
#include "directory/directory.h"
#include "jobs/job.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

/// Accounts that get one: `pop` those that were used by POP lately, and not by IMAP.
enum class DigestFor : std::uint8_t { none, pop, all };

struct DigestOptions {
    DigestFor whom = DigestFor::pop;
    std::string hostname;
    char separator = '+';        ///< between an account's name and a detail
    std::size_t accounts = 100;  ///< then a pause, so that clients are served first
    std::chrono::milliseconds pause{100};
};

/// A digest's facts, and the token that mail/release_address.h has, are remembered for so long.
inline constexpr auto kDigestRemembered = std::chrono::days(30);

class JunkDigest final : public jobs::Job {
public:
    JunkDigest(directory::Directory& directory, mailstore::MailStore& store, activity::Ledger& ledger,
               const Clock& clock, DigestOptions options)
        : directory_(directory), store_(store), ledger_(ledger), clock_(clock), options_(std::move(options)) {}

    std::string_view name() const override { return "junk-digest"; }
    /// All accounts that have not got one for a day and have something new in the mailbox for junk. An account that
    /// fails is logged and tried again in the next round.
    Task<Result<>> round(jobs::Control& control) override;

private:
    struct Listed {
        std::string unique_id, from, subject;
        Timestamp received{};
    };
    Task<Result<bool>> tell(directory::Account account);
    Task<Result<bool>> is_for(mailstore::AccountId account);
    Task<Result<Listed>> look_at(mailstore::AccountId account, mailstore::StoredMessage message);
    Task<Result<>> file(const directory::Account& account, std::string text, std::vector<mailstore::NewFact> facts);
    std::string compose(const directory::Account& account, const std::string& mailbox,
                        const std::vector<Listed>& listed, std::uint64_t unlisted, const std::string& token) const;

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    activity::Ledger& ledger_;
    const Clock& clock_;
    const DigestOptions options_;
};

}  // namespace poplar::upkeep
