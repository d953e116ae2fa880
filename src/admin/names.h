#pragma once
// Finds accounts by the names that operators use; times as text.
#include <string>

#include "admin/api.h"
#include "base/clock.h"
#include "directory/directory.h"

namespace poplar::admin {

/// Errors: not_found, with a message for the caller; and the directory's.
Task<Result<directory::Account>> find_account(Context& context, std::string address);

/// The partition of an address, of "id:NUMBER" or of "postmaster". Errors: as above; invalid.
Task<Result<directory::AccountId>> mailbox(Context& context, std::string name);

/// "2026-11-22T03:05:09Z".
std::string time_text(Timestamp time);

/// The failure; with `message` for the caller, if it has this code.
std::unexpected<Error> explain(const Error& failed, Errc code, std::string message);

}  // namespace poplar::admin
