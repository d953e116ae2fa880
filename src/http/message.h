#pragma once
// Requests and replies as handlers see them: no sockets, no octets of HTTP.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "http/target.h"

namespace poplar::http {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Request {
    std::string method;
    Target target;
};

/// A request's body as it arrives.
class Body {
public:
    virtual ~Body() = default;
    virtual std::uint64_t size_hint() const = 0;  ///< octets, 0 if unknown
    /// The next octets, "" at the end; valid until the next call. Errors: closed, timed_out, cancelled (the server is
    /// stopping), invalid.
    virtual Task<Result<std::string_view>> next() = 0;
};

/// A reply that is too long to gather. Once begin() was called, the returned Reply only says how it ended.
class Stream {
public:
    virtual ~Stream() = default;
    virtual Task<Result<>> begin(std::string content_type) = 0;
    virtual Task<Result<>> write(std::string_view bytes) = 0;  ///< the caller keeps `bytes` alive until it returns
};

struct Reply {
    unsigned status = 200;
    Fields fields;  ///< beside Content-Length and Connection
    std::string body;
    bool streamed = false;  ///< the stream was used and is complete; with `status` not 200 it broke off
};

/// Answers the requests of one connection.
class Handler {
public:
    virtual ~Handler() = default;
    virtual Task<Reply> answer(Request request, Body& body, Stream& stream) = 0;
    /// For octets that are no request, or a target that is none. The connection is closed behind it.
    virtual Reply refuse(Error why) = 0;
};

}  // namespace poplar::http
