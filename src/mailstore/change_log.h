#pragma once
#include <memory>

#include "mailstore/change_row.h"
#include "mailstore/mail_store.h"

namespace poplar::mailstore {

/// MailStore::changes_since, as of the snapshot.
Task<Result<ChangeList>> read_changes(engine::Engine& engine, AccountId account, ModSequence since, std::size_t limit,
                                      std::shared_ptr<const engine::Snapshot> snapshot);

}  // namespace poplar::mailstore
