#pragma once
#include <vector>

#include "engine/local/local_engine.h"
#include "engine/local/store_directory.h"

namespace poplar::engine::local {

/// LocalEngine::rebuild, but for the repair: the old index is still there, so that what is left is made up for.
Result<std::vector<Damage>> rebuild_index(StoreDirectory& directory, const Options& options);

}  // namespace poplar::engine::local
