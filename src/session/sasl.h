#pragma once
// A SASL exchange over a protocol's lines (RFC 4422 s4): base64, the empty initial response, cancelling. The content of
// the messages is the mechanism's affair (auth/exchange.h).
#include <expected>
#include <optional>
#include <string>

#include "auth/exchange.h"
#include "base/asio.h"
#include "session/refusal.h"

namespace poplar::session {

/// How a protocol shows a challenge and takes the answer: RFC 5034 s4 (POP3), RFC 4954 s4 (SMTP), RFC 9051 s6.2.2
/// (IMAP), RFC 5804 s2.1 (ManageSieve).
class Dialogue {
public:
    /// The client's answer as it came: base64, or "*". `challenge` is base64, too. Errors: too_large (the answer was
    /// too long, and all of it has been read); any other ends the session.
    virtual Task<Result<std::string>> ask(std::string challenge) = 0;

protected:
    ~Dialogue() = default;
};

using Verdict = std::expected<auth::Verified, Refusal>;

/// `initial_response` as it stood in the command: not decoded, "=" for an empty one (RFC 5034 s4, RFC 4954 s4). The
/// failure is the dialogue's.
Task<Result<Verdict>> exchange(auth::Exchange& mechanism, std::optional<std::string> initial_response,
                               Dialogue& dialogue);

}  // namespace poplar::session
