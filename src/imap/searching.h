#pragma once
#include "imap/client.h"

namespace poplar::imap {

/// A search under way.
struct Client::Searching {
    SearchProgram program;
    std::vector<std::uint32_t> found;  ///< indexes, ascending
    Timestamp now{};

}  // namespace poplar::imap
