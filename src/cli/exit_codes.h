#pragma once

namespace poplar::cli {

inline constexpr int kExitConfig = 78;       ///< EX_CONFIG of sysexits.h: the configuration is wrong
inline constexpr int kExitUnavailable = 69;  ///< EX_UNAVAILABLE: no server answers

}  // namespace poplar::cli
