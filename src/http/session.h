#pragma once
// The server's side of HTTP/1.1 (RFC 9112) over one connection, one request after another.
#include <chrono>
#include <cstddef>
#include <memory>

#include "base/asio.h"

namespace poplar::net {
class Connection;
}

namespace poplar::http {

class Handler;  // http/message.h

struct SessionOptions {
    /// For a request's head to arrive, and for each part of its body.
    std::chrono::seconds idle = std::chrono::minutes(5);
    std::size_t header_octets = 16 * 1024;
};

/// Serves the client until it leaves, is too slow or breaks the rules, or the server stops; then closes the connection.
/// `handler` must outlive the call.
Task<> serve(std::unique_ptr<net::Connection> connection, Handler& handler, SessionOptions options = {});

}  // namespace poplar::http
