#pragma once
// The addresses of From and Sender in a message that a user submits, held against those that the user may send as.
#include <cstddef>
#include <expected>

#include "base/asio.h"
#include "delivery/sender_rights.h"
#include "delivery/verdict.h"
#include "directory/directory.h"
#include "mail/submission_filter.h"

namespace poplar::delivery {

/// RFC 6409 s6.1: the reader believes that From names the author, and Sender the one who sent it for him. Returns how
/// many addresses From has; the submitter may send as each. `header`: after its finish(). An error: the message is
/// refused, or the directory failed.
Task<std::expected<std::size_t, Verdict>> check_originators(directory::Directory& directory, const Submitter& submitter,
                                                            const mail::SubmissionFilter& header);

}  // namespace poplar::delivery
