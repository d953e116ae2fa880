#pragma once
// The client's side of HTTP/1.1: over TCP, TLS or a local socket, one request after another.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

/// Finds the addresses of a host, in place of the system's resolver.
using Resolve = std::function<Task<Result<std::vector<std::string>>>(std::string host)>;

struct ClientOptions {
    /// For the whole of a request, looking up its host and connecting included; 0: no limit.
    std::chrono::milliseconds timeout{0};
    std::size_t answer_octets = 0;  ///< of a body that is gathered; 0: no limit
    Resolve resolve = nullptr;      ///< null: the system's; it has a deadline of its own
};

struct ClientRequest {
    std::string method = "GET";
    std::string target;
    Fields fields;  ///< beside Host and those that tell the body's length
    std::string body;
    /// If there is one, the body comes from here, in chunks: fills `buffer` with up to `size` octets; 0 at the end,
    /// negative if they can't be read. It may block where nothing else runs on the executor.
    std::function<std::ptrdiff_t(char* buffer, std::size_t size)> source;
    /// If there is one, the body comes from here, `pieces_octets` in all: the next piece, good until it is asked again.
    /// A failure ends the request with it.
    std::function<Task<Result<std::string_view>>()> pieces = nullptr;
    std::uint64_t pieces_octets = 0;
    /// If there is one, it gets the body of a reply with status 200 as it comes.
    std::function<void(std::string_view)> sink;
};

struct ClientReply {
    unsigned status = 0;
    std::string content_type = {};  ///< as it came; "": the reply says none
    std::string body;               ///< without what went to the sink
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
    /// Cuts the connection: a request under way answers timed_out.
    void cut();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::http
