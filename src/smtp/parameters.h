#pragma once
// ESMTP parameters of MAIL and RCPT (RFC 5321 s4.1.1.11). Used by command.cc only.
#include <expected>
#include <string>
#include <string_view>

#include "smtp/command.h"

namespace poplar::smtp {

/// Reads `text`, what follows the path, into the command. The error is the reply.
std::expected<void, Reply> parse_parameters(std::string_view text, Mail& mail);
std::expected<void, Reply> parse_parameters(std::string_view text, Rcpt& rcpt);

/// RFC 3461 s4: xtext. None if it is malformed.
std::optional<std::string> decode_xtext(std::string_view text);

/// Decimal digits only, the whole text, no overflow.
std::optional<std::uint64_t> parse_number(std::string_view text);

}  // namespace poplar::smtp
