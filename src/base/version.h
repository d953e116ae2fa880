#pragma once
#include <string_view>

namespace poplar {

std::string_view version();  ///< "0.1.0", of the project's CMakeLists.txt

}  // namespace poplar
