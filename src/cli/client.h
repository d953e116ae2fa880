#pragma once
// Asks the running server: the operations of api/ over the admin socket, one after another.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/json.h"
#include "api/operation.h"
#include "base/error.h"
#include "cli/exit_codes.h"

namespace poplar::cli {

/// Why a call failed, in words for the operator.
struct CallError {
    int exit_code = 1;
    std::string message;
    std::string code;  ///< the API's: "not_found", ...; empty if there was no reply
};
template <class T = void>
using CallResult = std::expected<T, CallError>;

class Client {
public:
    explicit Client(std::string socket_path);
    ~Client();

    template <class Request>
    CallResult<typename Request::Reply> call(const Request& request) {
        typename Request::Reply reply;
        auto done = ask(Request::operation(), &request, nullptr, &reply);
        if (!done) return std::unexpected(std::move(done.error()));
        return reply;
    }

    /// Fills `buffer` with up to `size` octets; 0 at the end, negative if they can't be read.
    using Source = std::function<std::ptrdiff_t(char* buffer, std::size_t size)>;
    template <class Request>
    CallResult<typename Request::Reply> upload(const Request& request, const Source& source) {
        typename Request::Reply reply;
        auto done = ask(Request::operation(), &request, source, &reply);
        if (!done) return std::unexpected(std::move(done.error()));
        return reply;
    }

    /// Hands the reply's octets to `sink` as they come. A reply that breaks off is an error.
    using Sink = std::function<void(std::string_view)>;
    template <class Request>
    CallResult<> download(const Request& request, const Sink& sink) {
        return fetch(Request::operation(), &request, sink);
    }

private:
    CallResult<> ask(const api::Operation& operation, const void* request, const Source& source, void* reply);
    CallResult<> fetch(const api::Operation& operation, const void* request, const Sink& sink);

    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::cli
