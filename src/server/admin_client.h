#pragma once
// The CLI's side of the admin socket: HTTP over a local socket, one request after another.
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace poplar::server {

/// Why a call failed, ready for the operator.
struct CallError {
    int exit_code = 1;
    std::string message;
    std::string code;  ///< the API's: "not_found", ...; empty if there was no reply
};
template <class T = void>
using CallResult = std::expected<T, CallError>;

class AdminClient {
public:
    explicit AdminClient(std::string socket_path);
    ~AdminClient();

    /// Sends a request with a JSON body (none if null) and returns the reply's.
    CallResult<nlohmann::json> call(std::string_view method, std::string_view target,
                                    const nlohmann::json& body = nullptr);

    /// Fills `buffer` with up to `size` octets; 0 at the end, negative if they can't be read.
    using Source = std::function<std::ptrdiff_t(char* buffer, std::size_t size)>;
    CallResult<nlohmann::json> upload(std::string_view method, std::string_view target, const Source& source);

    /// Hands the reply's body to `sink` as it comes. A reply that breaks off is an error.
    using Sink = std::function<void(std::string_view)>;
    CallResult<> download(std::string_view method, std::string_view target, const Sink& sink);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace poplar::server
