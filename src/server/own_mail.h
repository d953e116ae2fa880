#pragma once
// Mail that the server writes to its own users: about a login from a network that they have not accepted, about a
// mailbox that fills up, and about a deletion that nobody expects.
#include <string>

#include "activity/mass_deletions.h"
#include "auth/second_factor.h"
#include "delivery/delivery.h"
#include "quota/notice.h"

namespace poplar::server {

// All put it into the account's own INBOX, even if that is full. Errors: those of the delivery.
Task<Result<>> deliver_new_site_mail(delivery::Delivery& delivery, std::string hostname, auth::NewSite site);
/// `notice` lacks the message's id alone.
Task<Result<>> deliver_quota_mail(delivery::Delivery& delivery, quota::Notice notice);
Task<Result<>> deliver_unusual_deletion_mail(delivery::Delivery& delivery, std::string hostname,
                                             activity::Deletion deletion, std::uint64_t kept_twice);

}  // namespace poplar::server
