#pragma once
// HTTP/1.1 on the admin socket: a local socket that only root and the server's own user may use.
#include <memory>
#include <string>

#include "base/asio.h"
#include "net/listener.h"
#include "server/admin_api.h"

namespace poplar::server {

struct AdminLimits {
    std::size_t connections = 64;
    std::chrono::seconds idle = std::chrono::minutes(5);  ///< for a request, or a part of one, to arrive or to leave
    std::size_t header_octets = 16 * 1024;
};

/// Runs on one thread: that of `context`, where all functions are to be called.
class AdminServer {
public:
    AdminServer(asio::io_context& context, AdminApi& api, AdminLimits limits = {});
    ~AdminServer();

    /// Accepts from now on.
    void start(net::Listener listener);
    /// Accepts no more, and lets requests under way finish for as long as `patience`; then cuts them.
    Task<> stop(std::chrono::milliseconds patience);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace poplar::server
