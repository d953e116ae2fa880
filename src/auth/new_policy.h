#pragma once
// A new policy for second factors holds for sessions that are open, too.
#include <string>

#include "auth/open_sessions.h"
#include "auth/second_factor.h"
#include "directory/directory.h"

namespace poplar::auth {

/// Ends the sessions of an account, or of a domain's accounts, that its policy does not let in. Logins under way there
/// have to begin anew. To be called once a policy is durable. Sessions of which that can't be told are ended, too.
/// Returns how many were.
Task<std::size_t> end_unfit_sessions(OpenSessions& sessions, SecondFactors& factors, directory::Directory& directory,
                                     directory::AccountId account);
Task<std::size_t> end_unfit_sessions(OpenSessions& sessions, SecondFactors& factors, directory::Directory& directory,
                                     std::string domain);

}  // namespace poplar::auth
