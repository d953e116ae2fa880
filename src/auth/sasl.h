#pragma once
// The parts of SASL's mechanisms (RFC 4422): base64, and the messages of PLAIN and CRAM-MD5. Exchanges: exchange.h.
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

/// CRAM-MD5's response, `name SP digest` (RFC 2195 s2): 32 hexadecimal digits, the name may hold spaces.
struct CramMessage {
    std::string name, digest;  ///< lower case
};
/// Errors: invalid.
Result<CramMessage> parse_cram(std::string_view message);
/// Whether `digest` proves that its maker has the secret.
bool cram_md5_matches(std::string_view digest, std::string_view challenge, std::string_view secret);

/// RFC 1939 s7: MD5 of the timestamp, brackets included, and the secret. `digest` in hexadecimal, lower case.
bool apop_matches(std::string_view digest, std::string_view timestamp, std::string_view secret);

}  // namespace poplar::auth
