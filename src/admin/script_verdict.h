#pragma once
#include "api/scripts.h"
#include "sieve/script.h"

namespace poplar::admin {

api::ScriptVerdict verdict_of(const sieve::Compiled& compiled);

}  // namespace poplar::admin
