#pragma once
#include <cstdint>
#include <optional>
#include <string>

#include "base/asio.h"
#include "base/error.h"
#include "mailstore/mail_store.h"

namespace poplar::delivery {

/// Brings back to INBOX what somebody wants who writes to an address of mail/release_address.h: how many messages.
/// Nothing: it is no such address, or its token is not the account's any more. Errors: as MailStore's.
Task<Result<std::optional<std::uint64_t>>> release_junk(mailstore::MailStore& store, mailstore::AccountId account,
                                                        std::string address);

}  // namespace poplar::delivery
