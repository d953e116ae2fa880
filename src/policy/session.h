#pragma once
// One client of the policy listener, as a rule Postfix's smtpd.
#include <memory>
#include <string>

#include "base/asio.h"
#include "net/connection.h"

namespace poplar::delivery {
class Delivery;
}

namespace poplar::policy {

/// The answer to a client that is refused for want of a place.
inline constexpr std::string_view kBusyReply = "action=451 4.3.2 Too many connections, try again later\n\n";

/// Serves the client until it leaves, sends what is no request, idles for ten minutes (Postfix leaves after five), or
/// the server stops; then closes the connection. `delivery` outlives the call; `session` names the connection in the
/// log. Never throws.
Task<> serve(std::unique_ptr<net::Connection> connection, delivery::Delivery& delivery, std::string session);

}  // namespace poplar::policy
