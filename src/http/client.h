#pragma once
// The client's side of HTTP/1.1: over TCP, TLS or a local socket, one request after another.
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/asio.h"
#include "base/error.h"
#include "http/message.h"
#include "http/url.h"

namespace poplar::http {

/// The server that is asked, and the authorities whose certificates are believed. Shared by clients on any thread.
class Origin {
public:
    /// `ca_file`: PEM; empty: the system's. Errors: invalid.
    static Result<std::shared_ptr<const Origin>> at_url(const Url& url, const std::string& ca_file);
    static std::shared_ptr<const Origin> at_socket(std::string path);
    virtual ~Origin() = default;
};

struct ClientOptions {
    std::chrono::milliseconds timeout{0};  ///< for the whole of a request, from the connection on; 0: no limit
    std::size_t answer_octets = 0;         ///< of a body that is gathered; 0: no limit
};

struct ClientRequest {
    std::string method = "GET";
    std::string target;
    Fields fields;  ///< beside Host and those that tell the body's length
    std::string body;
    /// If there is one, the body comes from here, in chunks: fills `buffer` with up to `size` octets; 0 at the end,
    /// negative if they can't be read. It may block where nothing else runs on the executor.
    std::function<std::ptrdiff_t(char* buffer, std::size_t size)> source;
    /// If there is one, it gets the body of a reply with status 200 as it comes.
    std::function<void(std::string_view)> sink;
};

struct ClientReply {
    unsigned status = 0;
    std::string body;  ///< without what went to the sink
};

/// Used by one coroutine at a time.
class Client {
public:
    Client(Executor executor, std::shared_ptr<const Origin> origin, ClientOptions options = {});
    ~Client();

    /// Connects if there is no connection. Errors: not_found (nobody listens there), timed_out, too_large (the answer),
    /// invalid (the source can't be read), closed (the connection broke, TLS failed, or what comes is no HTTP), io (no
    /// way there). After a failure, and after a reply that says so, the next request makes a new connection.
    Task<Result<ClientReply>> ask(ClientRequest request);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::http
