#pragma once
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace poplar {

/// Says what a caller can do about a failure. The protocols map a code to their own reply; nobody parses the text.
enum class Errc {
    not_found,        ///< no such thing
    exists,           ///< it is there already
    busy,             ///< somebody else holds it; later it may work
    conflict,         ///< it changed since it was read: read again, try again
    denied,           ///< wrong credentials, or not allowed
    invalid,          ///< the input breaks a rule
    too_large,        ///< a documented limit is exceeded
    timed_out,        ///< the deadline passed
    closed,           ///< the peer is gone
    cancelled,        ///< the server is stopping
    no_space,         ///< no room on the disk; works again when there is
    io,               ///< the disk or the network failed
    corrupt,          ///< stored bytes are damaged; they are never served
    outcome_unknown,  ///< a cluster could not tell whether the commit happened: repeat the batch
};

/// The code's name, for logs and JSON: "not_found", "no_space", ...
std::string_view to_string(Errc code);

/// A failure as a value: a code to act on, and a text for the log and for operators, never for a mail client or server.
class [[nodiscard]] Error {
public:
    Error(Errc code, std::string detail) : code_(code), detail_(std::move(detail)) {}
    Errc code() const { return code_; }
    const std::string& detail() const { return detail_; }

private:
    Errc code_;
    std::string detail_;
};

/// The result of a function that can fail for a reason outside the program.
template <class T = void>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(Errc code, std::string detail) {
    return std::unexpected(Error(code, std::move(detail)));
}

/// Passes a failure on as another type's failure: `if (!x) return pass_on(x);`
template <class T>
std::unexpected<Error> pass_on(Result<T>& failed) {
    return std::unexpected(std::move(failed.error()));
}

}  // namespace poplar
