#pragma once
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::http {

/// `http://host[:port]/path` or `https://...`. A fragment and a user in it are refused.
struct Url {
    bool tls = false;
    std::string host, port, target;  ///< host without the brackets of an IPv6 address
    std::string host_header;
};
/// Errors: invalid.
Result<Url> parse_url(std::string_view text);

}  // namespace poplar::http
