#pragma once
// A queued message for a host that takes 7-bit text only (RFC 6152 s3).
#include <memory>
#include <string>

#include "base/asio.h"
#include "base/error.h"
#include "mail/seven_bit.h"
#include "queue/queue.h"
#include "smtp/client/session.h"

namespace poplar::screening {
class KeyRing;
}

namespace poplar::outbound {

/// What is known of the message as it will be sent.
struct Conversion {
    mail::SevenBitPlan plan;  ///< with an obstacle: it can't be converted
    std::string signatures;   ///< in place of those that this server made of the message as it was
    std::uint64_t octets = 0;
};

/// Reads the message two times. `keys`: sign it, where this server had signed it before; null: there are none. Errors:
/// those of the queue.
Task<Result<Conversion>> convert(queue::Queue& queue, queue::Message message, const screening::KeyRing* keys,
                                 Timestamp now);

/// Its octets.
std::unique_ptr<smtp::client::Body> converted_body(std::unique_ptr<engine::BodyReader> reader,
                                                   std::shared_ptr<const Conversion> conversion);

}  // namespace poplar::outbound
