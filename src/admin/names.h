#pragma once
// Finds accounts by the names that operators use; times as text.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "admin/api.h"
#include "base/clock.h"
#include "directory/directory.h"

namespace poplar::activity {
enum class Kind : std::uint8_t;
}

namespace poplar::admin {

/// Errors: not_found, with a message for the caller; and the directory's.
Task<Result<directory::Account>> find_account(Context& context, std::string address);

/// The partition of an address, of "id:NUMBER" or of "postmaster". Errors: as above; invalid.
Task<Result<directory::AccountId>> mailbox(Context& context, std::string name);

/// Notes in the account's ledger what was done through the admin API.
void note(Context& context, directory::AccountId account, activity::Kind kind, std::string_view what,
          std::uint64_t messages = 0, const directory::Device* device = nullptr,
          std::optional<Timestamp> begun = std::nullopt);

/// "2026-11-22T03:05:09Z".
std::string time_text(Timestamp time);

/// "2026-11-22T03:05:09Z", "2026-11-22", or a duration like "7d" before `now`. Errors: invalid, with a message for the
/// caller.
Result<Timestamp> time_of(std::string_view text, Timestamp now);

/// The failure; with `message` for the caller, if it has this code.
std::unexpected<Error> explain(const Error& failed, Errc code, std::string message);

}  // namespace poplar::admin
