#pragma once
// Views and the devices that have them: makes them fit, and lets mail leave its mailbox that nobody wants any more.
#include "base/asio.h"
#include "directory/directory.h"
#include "mailstore/mail_store.h"

namespace poplar::upkeep {

/// For one account; `now` is a time that is not in doubt. What every view of a mailbox has deleted leaves it, unless
/// the account keeps that; the views of devices that expired, only read, or do not fetch by POP3 have no say. A view
/// that no device has (a crash came between) goes after a day, and a device that lost its view gets one that shows all.
/// Two reads for an account without devices. Returns how many messages left.
Task<Result<std::uint64_t>> tend_views(directory::Directory& directory, mailstore::MailStore& store,
                                       directory::Account account, Timestamp now);

}  // namespace poplar::upkeep
