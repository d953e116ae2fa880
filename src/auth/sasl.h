#pragma once
// SASL (RFC 4422) as POP3 (RFC 5034) and SMTP (RFC 4954) frame it. Mechanism so far: PLAIN (RFC 4616).
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace poplar::auth {

/// Base64 as RFC 4648 s4, strictly: no white space, right padding. Errors: invalid.
Result<std::string> base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

struct PlainMessage {
    std::string authorization_id, authentication_id, password;
};
/// The decoded PLAIN message: [authzid] NUL authcid NUL passwd, UTF-8, each at most 255 octets except the password
/// (RFC 4616 s2; ours: 1,024). Errors: invalid.
Result<PlainMessage> parse_plain(std::string_view message);

}  // namespace poplar::auth
