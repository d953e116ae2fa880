#pragma once
// A SQLite database on this machine, opened for reading alone, anew for each question: so one that was replaced is
// seen.
#include <memory>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

std::unique_ptr<Connection> make_sqlite(const Settings& settings);

}  // namespace poplar::directory::outside
