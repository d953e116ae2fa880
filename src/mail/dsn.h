#pragma once
// A sender's wishes for reports on its message (RFC 3461 s4).
#include <cstdint>

namespace poplar::mail {

/// RFC 3461 s4.1; `never` stands alone. Not `given`: of failures, and of delays, too.
struct Notify {
    bool given = false, never = false, success = false, failure = false, delay = false;
    bool of_success() const { return success; }
    bool of_failure() const { return failure || !given; }
    bool of_delay() const { return delay || !given; }
    bool operator==(const Notify&) const = default;
};

/// RFC 3461 s4.3: how much of the message a report of failure brings back.
enum class ReturnContent : std::uint8_t { unspecified, full, headers };

}  // namespace poplar::mail
