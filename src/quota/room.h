#pragma once
#include "quota/quotas.h"

namespace poplar::quota {

/// Keeps room in an account for messages that somebody puts there, until it is released; as long as there is some, the
/// account's limits are watched. Empty if nothing limits the account. Errors: no_space (the account, or its domain, is
/// full).
Task<Result<Reservation>> room_in(directory::Directory& directory, Quotas& quotas, AccountId account, Need need,
                                  Binding binding = Binding::limits);

}  // namespace poplar::quota
