#pragma once
// Encrypts what accounts had before their mail was to be encrypted; and has new mail sealed where a crash, or damage,
// came between the account's keychain and its mailbox.
#include <map>
#include <vector>

#include "base/steady.h"
#include "directory/directory.h"
#include "engine/inspection.h"
#include "jobs/job.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

class EncryptMail final : public jobs::Job {
public:
    EncryptMail(directory::Directory& directory, mailstore::MailStore& store, engine::Inspection& engine)
        : directory_(directory), store_(store), engine_(engine) {}
    std::string_view name() const override { return "encryption"; }
    /// Each account that is being encrypted, to its end: its messages are sealed, then what the disk still has of them
    /// in clear goes, for all accounts of the round together. What can't be read stays as it is, and keeps the account
    /// from being called encrypted; it is tried again after an hour.
    Task<Result<>> round(jobs::Control& control) override;

private:
    /// True: all its messages are sealed, and only what they were before is left to go.
    Task<Result<bool>> see_to(directory::AccountId account, const encryption::Keychain& keychain,
                              jobs::Control& control);
    Task<Result<bool>> encrypt(directory::AccountId account, jobs::Control& control);
    Task<Result<>> finish(std::vector<directory::AccountId> accounts, jobs::Control& control);
    /// The keychain of an account that is gone goes when its mail is gone.
    Task<Result<bool>> is_gone(directory::AccountId account);

    directory::Directory& directory_;
    mailstore::MailStore& store_;
    engine::Inspection& engine_;
    struct Settled {
        encryption::PublicKey key;
        SteadyTime until;
    };
    std::map<directory::AccountId, Settled> settled_;   ///< accounts that are encrypted: they are looked at again then
    std::map<directory::AccountId, SteadyTime> later_;  ///< accounts that wait before they are tried again
};

}  // namespace poplar::upkeep
