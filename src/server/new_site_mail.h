#pragma once
// The mail that tells a user about a login from a network that they have not accepted.
#include <string>

#include "auth/second_factor.h"
#include "delivery/delivery.h"

namespace poplar::server {

/// Puts it into the account's own INBOX. Errors: those of the delivery.
Task<Result<>> deliver_new_site_mail(delivery::Delivery& delivery, std::string hostname, auth::NewSite site);

}  // namespace poplar::server
