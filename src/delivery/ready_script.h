#pragma once
// A script of somebody's, compiled with what this server can do.
#include <memory>
#include <string>
#include <string_view>

#include "sieve/script.h"

namespace poplar::delivery {

struct FilterOptions {
    sieve::Options sieve;
    bool create_mailboxes = false;         ///< `fileinto` makes the mailbox that is not there, without :create
    std::size_t body_octets = 4u << 20;    ///< of a message that tests of its body and its parts see
    std::size_t scripts = 50;              ///< of an account; and of the administrator's library
    std::size_t script_cache = 16u << 20;  ///< octets of compiled scripts that are kept
};

/// Null without trouble: there is none.
struct ReadyScript {
    std::shared_ptr<const sieve::Script> script;
    std::string trouble;    ///< it does not compile any more: why
    std::string name = {};  ///< of one of the administrator's, for the log
};

/// Where nothing is sent, a script that would send something does not compile.
sieve::Compiled compile_script(std::string_view text, const sieve::Options& options, bool sends);
/// The first error of a script that does not compile, with its place.
std::string first_problem(const sieve::Compiled& compiled);
ReadyScript ready_script(std::string_view text, const sieve::Options& options, bool sends);

}  // namespace poplar::delivery
