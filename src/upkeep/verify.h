#pragma once
// Checks everything that is stored: first the engine checks its files, then every account's counters are checked.
// Damage is reported with the names people know, address and unique-id.
#include <string>

#include "base/asio.h"
#include "base/error.h"
#include "engine/inspection.h"

namespace poplar::directory {
class Directory;
class RemovedAccounts;
}  // namespace poplar::directory

namespace poplar::mailstore {
class MailStore;
}

namespace poplar::upkeep {

/// One damaged place, with the names people know as far as they can be told.
struct NamedDamage {
    engine::Damage damage;  ///< without a file for what is wrong with an account's counters
    std::string account;    ///< an address or "postmaster"; "": none, or not known
    std::string unique_id;  ///< of the message; "": not known
};

/// Gives one damaged place its names.
Task<NamedDamage> name_damage(engine::Damage damage, directory::Directory& directory, mailstore::MailStore& store);

/// Takes the findings as they come. An error ends the run.
class VerifyListener {
public:
    virtual ~VerifyListener() = default;
    virtual Task<Result<>> damaged(NamedDamage damage) = 0;
    virtual Task<Result<>> progress(engine::VerifyTotals totals) = 0;  ///< about once a second
};

struct VerifyOutcome {
    engine::VerifyTotals totals;  ///< `damaged` counts accounts too
    std::uint64_t accounts = 0;   ///< whose counters were checked
};

/// Reads everything there is, on a thread of its own; the caller's executor stays free. Errors: the listener's, io.
Task<Result<VerifyOutcome>> verify_store(engine::Inspection& engine, directory::Directory& directory,
                                         mailstore::MailStore& store, directory::RemovedAccounts& removed,
                                         VerifyListener& listener);

}  // namespace poplar::upkeep
