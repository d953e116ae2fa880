#pragma once
// Whether a domain lets this client send in its name (RFC 7208).
#include <string>

#include "base/asio.h"
#include "dns/resolver.h"
#include "screening/outcome.h"
#include "screening/spf_record.h"

namespace poplar::screening {

struct SpfAsked {
    IpAddress address;
    std::string local, domain;  ///< of MAIL FROM; of the null reverse-path: "postmaster" and the HELO name
    std::string helo;
};

struct SpfAnswer {
    Outcome outcome = Outcome::none;
    std::string reason;  ///< of an error; else ""
};

/// check_host(): at most 10 terms that ask the DNS, and 2 of their questions without an answer (RFC 7208 s4.6.4).
/// exp= is not looked up, because nobody is told its text.
Task<SpfAnswer> check_spf(dns::Lookup& dns, SpfAsked asked);

}  // namespace poplar::screening
