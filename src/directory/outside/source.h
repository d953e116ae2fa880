#pragma once
// A directory outside, as the part above all of them sees it: is there this address, and is this its password?
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "base/fair_queue.h"
#include "base/steady.h"
#include "mail/address.h"

namespace poplar::directory::outside {

struct Question {
    mail::Address address = {};                ///< canonical
    std::optional<std::string> password = {};  ///< not empty; nothing: only whether the address is there
    std::string peer = {}, protocol = {};      ///< of somebody who logs in; mail: "", "delivery"
    SteadyTime deadline = SteadyTime::max();   ///< for the whole of the answer
    Share share = {};                          ///< under which it waits for a connection
};

struct Answer {
    bool exists = false;
    std::optional<bool> right = {};  ///< of a source that judges the password itself, if there was one
    std::string credential = {};     ///< `{SCHEME}data` of a source that hands it out; "": none, or nobody gets in
    std::vector<std::string> networks = {};  ///< from where the password may be used (base/networks.h); none: anywhere
};

/// May be used from any thread with an executor.
class Source {
public:
    virtual ~Source() = default;
    /// Errors: timed_out, busy (too many wait), io (it can't be asked; the detail says why), invalid (it answers, but
    /// for this address nothing that can be used: others may well be asked about).
    virtual Task<Result<Answer>> ask(Question question) = 0;
};

/// One connection to a directory whose library blocks. Used by one thread at a time.
class Connection {
public:
    virtual ~Connection() = default;
    /// Ends by the deadline where the library allows it. Errors: timed_out, io, invalid: as Source::ask.
    virtual Result<Answer> ask(const Question& question) = 0;
};

}  // namespace poplar::directory::outside
