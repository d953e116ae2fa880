#pragma once
// The MTA-STS policies of domains (RFC 8461): asked for, fetched, and kept over restarts.
#include <array>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/steady.h"
#include "directory/server_records.h"
#include "dns/resolver.h"
#include "http/client.h"
#include "outbound/options.h"
#include "outbound/sts_record.h"

namespace poplar::outbound {

/// To be used on one executor's thread. What it is given outlives it.
class StsPolicies {
public:
    StsPolicies(Executor executor, dns::Lookup& dns, directory::ServerRecords& records, const Clock& clock,
                const Options& options)
        : executor_(executor), dns_(dns), records_(records), clock_(clock), options_(options) {}

    /// The policy that holds for the domain now, in ASCII; mode none if there is none, or none can be had. The DNS is
    /// asked at most once a minute for each domain, and a fetch that failed is tried again after five.
    Task<StsPolicy> policy_of(std::string domain);
    /// Cuts fetches under way, and begins no more.
    void stop();

private:
    using Shelf = std::optional<KeptPolicies>;  ///< nothing: not read yet
    Task<KeptPolicies*> shelf_of(std::string domain);
    StsPolicy kept_of(const KeptPolicies* shelf, const std::string& domain) const;
    Task<Result<StsPolicy>> fetch(std::string domain);
    Task<> keep(std::string domain, KeptPolicy policy);
    bool asked_lately(const std::string& domain);
    void note_asked(const std::string& domain, SteadyClock::duration quiet);

    const Executor executor_;
    dns::Lookup& dns_;
    directory::ServerRecords& records_;
    const Clock& clock_;
    const Options& options_;
    std::set<http::Client*> fetching_;
    bool stopped_ = false;
    std::array<Shelf, 64> shelves_;            ///< domains are spread over them by their names
    std::map<std::string, SteadyTime> asked_;  ///< until when nothing is asked for a domain
};

}  // namespace poplar::outbound
