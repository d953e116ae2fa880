#pragma once
// Reports to the sender: what did not arrive, what takes long, and, where it was asked for, what arrived (RFC 3464).
#include <string>
#include <vector>

#include "base/asio.h"
#include "base/clock.h"
#include "base/error.h"
#include "delivery/delivery.h"
#include "queue/record.h"

namespace poplar::outbound {

enum class ReportKind { failed, delayed, relayed };

struct Report {
    ReportKind kind;
    queue::Message message;
    std::vector<queue::Recipient> recipients;  ///< those that it is about
    Timestamp next_attempt_until{};            ///< of `delayed`: when we give up
    std::string content;                       ///< of the message: what is brought back, unstuffed, CRLF line ends
    bool whole = false;                        ///< `content` is all of it, not its header alone
};

/// The report as a message, with CRLF line ends, not stuffed. `id`: of its Message-ID.
std::string compose(const Report& report, const std::string& hostname, const std::string& id, Timestamp now);

/// Brings the report to the sender, wherever that is; where it is refused, once more without the message. Errors: those
/// of the directory, the store and the queue: it can be tried again. A sender that does not exist, or is refused for
/// good, gets none, which is logged; it is no failure.
Task<Result<>> send(delivery::Delivery& delivery, std::string hostname, Report report, Timestamp now);

}  // namespace poplar::outbound
