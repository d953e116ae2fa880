#pragma once
// Verifying DKIM signatures (RFC 6376 s6).
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "dns/resolver.h"
#include "screening/canonical_form.h"
#include "screening/header.h"
#include "screening/outcome.h"
#include "screening/signature.h"

namespace poplar::screening {

/// A body's length and hash in one canonical form.
struct HashedBody {
    std::string hash;
    std::uint64_t octets = 0;
};
using HashedBodies = std::map<Canonical, HashedBody>;

struct DkimAnswer {
    Outcome outcome = Outcome::none;
    std::string reason;  ///< of anything but a pass; may be told
    std::string domain, selector, identity, shown;
    std::string algorithm;  ///< "" where it could not be read
    int bits = 0;           ///< of the key
    bool testing = false;   ///< the domain only tries
};

/// One signature: `field` of `header`. `kind`: of ARC it is an ARC-Message-Signature. A signature with l= counts only
/// where nothing follows what it covers, because anybody could have added that.
Task<DkimAnswer> verify_signature(dns::Lookup& dns, const Header& header, const Header::Field& field,
                                  Signature::Kind kind, const HashedBodies& bodies, Timestamp now);

/// The public key at a name. Errors: timed_out, io, cancelled (try again later); not_found (none, or revoked), invalid.
Task<Result<PublicKey>> fetch_key(dns::Lookup& dns, std::string name);

/// The forms in which the signatures of a header cover the body.
std::vector<Canonical> body_forms(const Header& header, std::size_t most_signatures);

}  // namespace poplar::screening
