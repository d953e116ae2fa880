#pragma once
// PostgreSQL by libpq, whose calls that wait are made by hand, so that each ends by the deadline.
#include <memory>

#include "directory/outside/settings.h"
#include "directory/outside/source.h"

namespace poplar::directory::outside {

std::unique_ptr<Connection> make_postgresql(const Settings& settings);

}  // namespace poplar::directory::outside
