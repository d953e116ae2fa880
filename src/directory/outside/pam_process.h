#pragma once
// The PAM process itself, and what one question comes to there.
#include <vector>

#include "directory/outside/pam_talk.h"

namespace poplar::directory::outside {

/// Loads modules into the calling process and asks them. Blocks for as long as they like.
PamAnswer ask_pam(const PamQuestion& question);

/// Answers what comes in by `lanes` until all of them are closed; each question in a child of its own. Never returns.
[[noreturn]] void run_pam_process(std::vector<int> lanes);

}  // namespace poplar::directory::outside
