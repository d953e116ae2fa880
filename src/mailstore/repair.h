#pragma once
#include "engine/engine.h"
#include "mailstore/mail_store.h"

namespace poplar::mailstore {

/// MailStore::repair. Nobody else may change the account meanwhile.
Task<Result<bool>> repair_account(engine::Engine& engine, AccountId account, Timestamp now);

}  // namespace poplar::mailstore
