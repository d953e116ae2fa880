#pragma once
// The addresses that an account may send as.
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "directory/directory.h"
#include "mail/address.h"

namespace poplar::delivery {

/// Somebody who submits mail.
struct Submitter {
    directory::AccountId account;
    std::string address;                   ///< the account's
    std::vector<std::string> may_send_as;  ///< directory::AccountSettings::may_send_as
};

/// Whether an address is among these: by itself, as one of "@domain", or because there is "*".
bool names_include(const std::vector<std::string>& names, const mail::Address& address);

/// Whether mail to `address` would reach the account, or the account's settings name it: an address, "@domain" for any
/// of a domain's, "*" for any at all. Errors: those of the directory.
Task<Result<bool>> may_send_as(directory::Directory& directory, const Submitter& submitter, mail::Address address);

}  // namespace poplar::delivery
