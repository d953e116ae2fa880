#pragma once
#include <vector>

#include "engine/local/local_engine.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// LocalEngine::rebuild without the repair. The old index is kept (StoreDirectory::drop_old_index), so that a rebuild
/// that is interrupted before the repair has ended shows.
Result<std::vector<Damage>> rebuild_index(StoreDirectory& directory, const Options& options);

}  // namespace poplar::engine::local
