#pragma once
// Listening sockets of the null server.
#include <functional>
#include <string>

#include "bench/load/channel.h"
#include "bench/load/loop.h"

namespace poplar::bench {

/// Opens a listening socket that shares its port with others of its kind. Port 0: the system chooses.
Result<net::FileDescriptor> listen_on(const Endpoint& endpoint);

/// "127.0.0.1:4711": where it listens.
std::string address_of(const net::FileDescriptor& listening);

/// Hands each new connection to `take`.
class Acceptor final : public Watched {
public:
    Acceptor(Loop& loop, net::FileDescriptor listening, std::function<void(int)> take);
    void on_events(std::uint32_t events) override;

private:
    net::FileDescriptor listening_;
    std::function<void(int)> take_;
};

}  // namespace poplar::bench
