#pragma once
// Room in an account for messages that an operation puts there.
#include "admin/api.h"
#include "quota/quotas.h"

namespace poplar::admin {

/// Keeps it until it is released; as long as there is some, the account's limits are watched. Empty if nothing limits
/// the account. Errors: no_space (the account, or its domain, is full).
Task<Result<quota::Reservation>> room_in(Context& context, directory::AccountId account, quota::Need need,
                                         quota::Binding binding = quota::Binding::limits);

}  // namespace poplar::admin
