#pragma once
#include <chrono>
#include <memory>

#include <boost/intrusive/list_hook.hpp>

#include "net/connection.h"
#include "net/file_descriptor.h"
#include "net/proxy_header.h"

namespace poplar::net {

class Handshakes;  // net/handshakes.h

struct ConnectionOptions {
    std::chrono::seconds write_stall{300};  ///< a peer that takes nothing for so long is gone
    std::uint64_t write_rate = 500;  ///< octets/s while output waits; a peer that is slower for long is gone; 0: any
    std::chrono::milliseconds linger{1000};  ///< how long close() waits, if it does, for the peer to close too
    Handshakes* handshakes = nullptr;        ///< holds TLS handshakes back; outlives the connection
};

/// Takes a connection out of its list (net/server.cc) on destruction.
using ConnectionListHook = boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;

/// The Connection over a connected stream socket (TCP or local), which it owns. To be used on the executor's thread.
class StreamConnection : public Connection, public ConnectionListHook {
public:
    /// The header with which a proxy begins; to be called before anything is read. Nothing behind it is read. Errors:
    /// those of a read; invalid: no such header.
    virtual Task<Result<ProxyHeader>> read_proxy_header(Seconds limit) = 0;
};

std::unique_ptr<StreamConnection> make_connection(Executor executor, FileDescriptor socket,
                                                  ConnectionOptions options = {});
/// With a peer that is known already.
std::unique_ptr<StreamConnection> make_connection(Executor executor, FileDescriptor socket, Peer peer,
                                                  ConnectionOptions options);

}  // namespace poplar::net
