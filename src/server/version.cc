#include "server/version.h"

namespace poplar::server {

std::string_view version() { return POPLAR_VERSION; }

}  // namespace poplar::server
