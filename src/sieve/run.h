#pragma once
#include "sieve/options.h"
#include "sieve/outcome.h"
#include "sieve/world.h"

namespace poplar::sieve {

struct Job {
    std::shared_ptr<const Script> script;
    std::string_view message;          ///< plain octets, lines end in CRLF
    std::uint64_t message_octets = 0;  ///< what `size` counts: `message` may be a header alone
    Envelope envelope;
    Environment environment;
    std::vector<std::string> flags;  ///< that the message has already (RFC 6785 s3.4)
    bool explain = false;
};

/// Runs a script. Pure: the same job with the same answers has the same outcome, but for message ids in what it
/// composes, which are made of a hash of the job.
Outcome run(const Job& job, World& world, const Options& options);

}  // namespace poplar::sieve
