#pragma once

namespace poplar {

/// For a thread that has time: from now on threads that serve somebody come before it. `name`: as tools show it, at
/// most 15 octets. Where that is forbidden the thread goes on as it was, and the log says so once.
void become_background_thread(const char* name);

}  // namespace poplar
