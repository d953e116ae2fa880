#pragma once
#include <utility>

#include "auth/second_factor.h"
#include "base/error.h"

namespace poplar::session {

/// Why an attempt to log in came to nothing. Each protocol has its own reply for each; none of them ends the session.
struct Refusal {
    enum class Why {
        wrong,                ///< name, password, token or account: the client can't tell which, and must not
        unavailable,          ///< it can't be judged now; the error's code says whether later is better
        bad_response,         ///< against the mechanism's rules
        needs_second_factor,  ///< the proof was right; `missing` says what the client is to be told
        needs_mail_key,       ///< the proof was right, but can't open the account's encrypted mail
        // The exchange ended without a verdict, ...
        not_base64,
        cancelled,
        too_long,
        // ... or did not begin.
        unknown_mechanism,
        needs_tls,          ///< the mechanism, or a password
        needs_certificate,  ///< of the client, with a mail address
    };
    Why why;
    Error error{Errc::denied, ""};  ///< of the first three: for the log
    auth::MissingFactor missing{};
};

/// The refusal for an error of auth/.
inline Refusal refusal_of(Error error) {
    switch (error.code()) {
        case Errc::denied: return {Refusal::Why::wrong, std::move(error)};
        case Errc::invalid: return {Refusal::Why::bad_response, std::move(error)};
        default: return {Refusal::Why::unavailable, std::move(error)};
    }
}

}  // namespace poplar::session
