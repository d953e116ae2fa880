#pragma once
// The target of a request taken apart, and percent-encoding both ways (RFC 3986 s2.1).
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace poplar::http {

struct Target {
    std::vector<std::string> path;  ///< decoded segments: {"v1", "accounts", "a@example.org"}
    std::map<std::string, std::string, std::less<>> query;
};

/// Takes "/v1/accounts/a%40example.org?limit=5" apart. Errors: invalid.
Result<Target> parse_target(std::string_view target);

/// All but the unreserved characters (RFC 3986 s2.3): good for a segment, a query and a form.
std::string percent_encode(std::string_view text);
/// Errors: invalid.
Result<std::string> percent_decode(std::string_view text);

}  // namespace poplar::http
