#pragma once
// XCLIENT, by which a front server says who its client is (Postfix' XCLIENT_README). Used by command.cc only.
#include <expected>
#include <string_view>

#include "smtp/command.h"

namespace poplar::smtp {

/// Reads the attributes, what follows the verb. The error is the reply.
std::expected<Xclient, Reply> parse_xclient(std::string_view text);

}  // namespace poplar::smtp
