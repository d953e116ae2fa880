#pragma once
#include <string>
#include <string_view>

namespace poplar::moving {

/// Whether servers keep in a field of this name what they know of a message; it is no part of the message.
bool is_server_field(std::string_view name);

/// By it a message is known however a server hands it out: of the header that `text` begins with, without fields of the
/// server's, white space at the ends of lines, and how lines end.
std::string header_digest(std::string_view text);

}  // namespace poplar::moving
