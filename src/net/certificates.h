#pragma once
// Reading the server's certificate and key from their files, and what there is to say about them.
#include <expected>
#include <string>
#include <vector>

#include "net/tls.h"

namespace poplar::net {

/// Why OpenSSL failed, from its queue of reasons, which is empty afterwards: the first is the nearest to the cause.
std::string openssl_reason();

/// Puts the certificate with its chain and the key into `context`. Returns what clients will complain of, a sentence
/// each that begins with the file's name: a certificate that has expired or is not valid yet, a chain in the wrong
/// order.
std::expected<std::vector<std::string>, TlsFault> load_certificate(ssl_ctx_st* context, const std::string& certificate,
                                                                   const std::string& private_key);

/// "2026-12-31T23:59:59Z", when the certificate in `context` expires.
std::string expiry_of_certificate(const ssl_ctx_st* context);

}  // namespace poplar::net
