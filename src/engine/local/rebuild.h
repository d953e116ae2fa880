#pragma once
#include <vector>

#include "engine/local/disk.h"
#include "engine/local/local_engine.h"

namespace poplar::engine::local {

/// LocalEngine::rebuild.
Result<std::vector<Damage>> rebuild_index(Disk& disk, const Options& options);

}  // namespace poplar::engine::local
