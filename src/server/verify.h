#pragma once
// `poplar verify`: the engine's own check of its files, then every account's counters; damage gets the names people
// know: address and unique-id.
#include <nlohmann/json_fwd.hpp>

#include "base/asio.h"
#include "base/error.h"
#include "directory/directory.h"
#include "engine/local/local_engine.h"
#include "mailstore/mail_store.h"
#include "server/removed_accounts.h"

namespace poplar::server {

/// Takes the findings as they come, one JSON object each (docs/admin-api.md: POST /v1/verify).
class VerifySink {
public:
    virtual ~VerifySink() = default;
    virtual Task<Result<>> write(const nlohmann::json& event) = 0;  ///< an error ends the run
};

/// One damaged place, with the names people know as far as they can be told.
Task<nlohmann::json> describe(engine::local::Damage damage, directory::Directory& directory,
                              mailstore::MailStore& store);

/// Reads everything there is, on a thread of its own; the caller's executor stays free. Errors: those of `sink`, io.
Task<Result<>> verify_store(engine::local::LocalEngine& engine, directory::Directory& directory,
                            mailstore::MailStore& store, RemovedAccounts& removed, VerifySink& sink);

}  // namespace poplar::server
