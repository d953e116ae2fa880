#pragma once
#include "imap/client.h"

namespace poplar::imap {

/// A search under way.
struct Client::Searching {
    SearchProgram program;
    std::vector<std::uint32_t> found;  ///< indexes, ascending
    Timestamp now{};
    bool unread = false;  ///< damage, or a disk that fails
    MessageText text;     ///< of one message after the other
};

}  // namespace poplar::imap
