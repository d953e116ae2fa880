#pragma once
// The Authenticated Received Chain: what earlier servers found before they changed or forwarded a message (RFC 8617).
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "screening/dkim.h"
#include "screening/signing.h"

namespace poplar::screening {

struct ArcAnswer {
    Outcome outcome = Outcome::none;  ///< none, pass, fail; temperror: a key could not be asked for
    std::string reason;
    std::uint32_t instances = 0;    ///< how many sets there are
    bool sealed_as_failed = false;  ///< the last one says that it is broken: nobody goes on with it
    std::string sealer;             ///< the domain of the last seal
    std::string results;            ///< what the last server found, without its i= tag
};

/// RFC 8617 s5.2.
Task<ArcAnswer> verify_arc(dns::Lookup& dns, const Header& header, const HashedBodies& bodies, Timestamp now);

/// The three fields of our own link, to be put on top of a message that is forwarded (RFC 8617 s5.1). `results`: as
/// format_results() makes them. `body`: the hash of the body in the relaxed form. "": the chain can't go on.
std::string seal_arc(const Header& header, const ArcAnswer& chain, const Signer& signer, std::string_view results,
                     const std::string& body, Timestamp now);

}  // namespace poplar::screening
