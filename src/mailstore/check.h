#pragma once
#include "engine/engine.h"
#include "mailstore/mail_store.h"

namespace poplar::mailstore {

/// MailStore::check.
Task<Result<>> check_account(engine::Engine& engine, AccountId account);

}  // namespace poplar::mailstore
