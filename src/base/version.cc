#include "base/version.h"

namespace poplar {

std::string_view version() { return POPLAR_VERSION; }

}  // namespace poplar
