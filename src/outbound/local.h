#pragma once
// Mail in the queue for recipients of ours: what a filter sends to an address here.
#include <string>
#include <vector>

#include "base/asio.h"
#include "delivery/delivery.h"
#include "outbound/runner.h"
#include "queue/queue.h"

namespace poplar::outbound {

/// Brings the message to those of the part that wait, as if it had come by LMTP. One entry for each recipient of the
/// part; those that did not wait have one without meaning.
Task<std::vector<Reached>> deliver_here(delivery::Delivery& delivery, queue::Queue& queue, queue::Message message,
                                        queue::Part part, std::string hostname);

}  // namespace poplar::outbound
