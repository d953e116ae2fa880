#pragma once
// TLS of both sides: what every connection shares.
#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace poplar::bench {

template <auto Free>
struct FreeBy {
    void operator()(auto* thing) const { Free(thing); }
};
using SslContext = std::unique_ptr<SSL_CTX, FreeBy<SSL_CTX_free>>;
using Ssl = std::unique_ptr<SSL, FreeBy<SSL_free>>;
using SslSession = std::unique_ptr<SSL_SESSION, FreeBy<SSL_SESSION_free>>;

enum class TlsSessions { fresh, resumed };

/// A client that takes any certificate. With TlsSessions::resumed it can keep the tickets servers give (Channel does).
SslContext client_tls(TlsSessions sessions);

/// A server with the certificate and key of these PEM files; with empty names, a P-256 certificate made now.
SslContext server_tls(const std::string& certificate_file, const std::string& key_file);

/// The reasons OpenSSL has queued, as one text; empties the queue.
std::string tls_error();

}  // namespace poplar::bench
