#pragma once
// What an account submits is stored among its sent mail, for accounts whose programs do not do that by themselves.
#include <string>
#include <vector>

#include "base/asio.h"
#include "delivery/sender_rights.h"
#include "mailstore/mail_store.h"
#include "quota/quotas.h"

namespace poplar::delivery {

/// All functions may be called from any thread.
class SentCopies {
public:
    /// `accounts`: addresses, "@domain" for all of a domain's, "*" for all.
    SentCopies(mailstore::MailStore& store, directory::Directory& directory, quota::Quotas& quotas,
               std::vector<std::string> accounts)
        : store_(store), directory_(directory), quotas_(quotas), accounts_(std::move(accounts)) {}

    bool wants(const Submitter& submitter) const;
    /// Stores it, read already, in the mailbox for sent mail; that is made if there is none. What was sent is sent: a
    /// failure is logged, and the sender does not hear of it.
    Task<> keep(Submitter submitter, mailstore::NewMessage message);

private:
    Task<Result<>> store(const Submitter& submitter, mailstore::NewMessage message);

    mailstore::MailStore& store_;
    directory::Directory& directory_;
    quota::Quotas& quotas_;
    const std::vector<std::string> accounts_;
};

}  // namespace poplar::delivery
