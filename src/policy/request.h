#pragma once
// One request of Postfix's policy delegation protocol (SMTPD_POLICY_README): lines of "name=value", then an empty line.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::policy {

inline constexpr std::size_t kLineLimit = 8192;      ///< octets with the line's end; Postfix cuts values at 2,048
inline constexpr std::size_t kAttributeLimit = 100;  ///< of a request; Postfix 3.7 sends 33
inline constexpr std::size_t kNameLimit = 100;       ///< octets

/// The attributes that an answer needs; others are read and passed over.
struct Request {
    std::string type;                   ///< "request": "smtpd_access_policy"
    std::string state;                  ///< "protocol_state": "RCPT", ...
    std::string recipient;              ///< "": none, or several (after DATA)
    std::optional<std::uint64_t> size;  ///< of the message; nothing: Postfix does not know it yet (0)
};

/// Takes a request line by line.
class RequestReader {
public:
    /// `line`: without its end, at most kLineLimit octets. True: the request is whole. Of an attribute that comes twice
    /// the last value counts. Errors: invalid (no attribute, too many, a size that is no number).
    Result<bool> take(std::string_view line);
    /// The whole request; the reader begins anew.
    Request finish();

private:
    Request request_;
    std::size_t attributes_ = 0;
};

/// "action=TEXT" and the empty line. `action` has no line end.
std::string answer(std::string_view action);

}  // namespace poplar::policy
