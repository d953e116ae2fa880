#pragma once
// The AUTH command's exchange as POP3 frames it (RFC 5034 s4): base64 in lines, "+ " before what the server says, "*"
// to cancel. What is said is the mechanism's affair (auth/exchange.h).
#include <optional>
#include <string>

#include "auth/exchange.h"
#include "pop3/conversation.h"

namespace poplar::pop3 {

/// `initial_response` as it stood in the command: not decoded, "=" for an empty one. Nothing: the exchange ended
/// without a verdict, which has been answered, or the session is over. Errors: as auth::Exchange; they are for the
/// caller to answer.
Task<std::optional<Result<directory::Account>>> exchange(Conversation& conversation, auth::Exchange& mechanism,
                                                         std::optional<std::string> initial_response,
                                                         SteadyTime deadline);

}  // namespace poplar::pop3
