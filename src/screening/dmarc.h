#pragma once
// The domain in From says what to do with mail that is not its own (RFC 7489, with the tree walk of its successor in
// place of a list of public suffixes).
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "dns/resolver.h"
#include "screening/outcome.h"

namespace poplar::screening {

enum class DmarcPolicy : std::uint8_t { none, quarantine, reject };
std::string_view name_of(DmarcPolicy policy);

struct DmarcRecord {
    enum class PublicSuffix : std::uint8_t { unknown, yes, no };
    DmarcPolicy policy = DmarcPolicy::none;
    DmarcPolicy subdomains = DmarcPolicy::none;   ///< policy, if it has no sp=
    DmarcPolicy nonexistent = DmarcPolicy::none;  ///< `subdomains`, if it has no np=
    bool strict_dkim = false, strict_spf = false;
    bool testing = false;  ///< t=y: one step less than the policy
    PublicSuffix public_suffix = PublicSuffix::unknown;

    /// Any octets are allowed. Nothing: it is no record, or one without a policy that can be read.
    static std::optional<DmarcRecord> parse(std::string_view text);
};

struct DmarcAsked {
    std::string author;                     ///< the domain in From, in its one spelling
    std::string spf_domain;                 ///< that SPF passed for; "": for none
    std::vector<std::string> dkim_domains;  ///< that DKIM passed for
    // Those that could not be checked for now: where one would count, nothing is decided.
    std::string undecided_spf = {};  ///< "": none
    std::vector<std::string> undecided_dkim = {};
};

struct DmarcAnswer {
    Outcome outcome = Outcome::none;         ///< none: there is no policy
    DmarcPolicy policy = DmarcPolicy::none;  ///< what the domain publishes for this From
    DmarcPolicy wanted = DmarcPolicy::none;  ///< what is to be done: `none` unless it failed
    std::string reason;                      ///< of an error; else ""
};

Task<DmarcAnswer> check_dmarc(dns::Lookup& dns, DmarcAsked asked);

}  // namespace poplar::screening
