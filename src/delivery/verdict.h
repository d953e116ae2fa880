#pragma once
#include <cstdint>
#include <expected>
#include <string>

#include "base/error.h"

namespace poplar::quota {
struct Full;
}

namespace poplar::delivery {

/// Tells what became of a message, or of it for one recipient. Each protocol has its own reply for each.
struct Verdict {
    enum class Kind : std::uint8_t {
        stored,      ///< durable in every account
        gone,        ///< nobody is there any more, though the recipient was known
        too_large,   ///< Limits::message_octets
        bad_header,  ///< Limits::header_octets, Limits::header_fields
        loop,        ///< Limits::hops
        over_quota,  ///< the account, or its domain, may not hold so much; the sender is told so
        full,        ///< the same, and the sender is told to come again
        rejected,    ///< by a filter or a policy; `text` is what the sender is told
        later,       ///< unknown senders have to come again (greylisting)
        deferred,    ///< it can't be done now: `cause`. The sender comes again
    };
    Kind kind = Kind::stored;
    Errc cause = Errc::io;  ///< of `deferred` alone
    std::string text = {};  ///< for the log, but see `rejected`

    bool stored() const { return kind == Kind::stored; }
};

/// The verdict for a failure of the directory or the store.
Verdict verdict_of(const Error& error);
Verdict verdict_of(const quota::Full& full);
/// The same where an error is returned.
std::unexpected<Verdict> refuse(Verdict::Kind kind, std::string text);
std::unexpected<Verdict> failed(const Error& error);
/// For callers that know no verdicts, but errors.
Error error_of(const Verdict& verdict);

}  // namespace poplar::delivery
