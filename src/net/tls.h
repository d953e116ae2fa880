#pragma once
// The server's side of TLS: certificate, key and policy, ready for handshakes. Immutable: a reload makes a new one.
#include <expected>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct ssl_ctx_st;

namespace poplar::net {

/// Ciphers of TLS 1.2, best first, as OpenSSL names them. TLS 1.3 has its own list, all of it good.
/// RFC 9325 s4.2: forward secrecy and authentication of data only.
inline constexpr const char* kStrictCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
/// And those in CBC mode behind them, for servers that have nothing better with an RSA certificate (Windows Server
/// 2012 R2): where TLS is opportunistic, what is refused comes in the clear or not at all (RFC 7435 s3).
inline constexpr const char* kOpportunisticCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:"
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA";

struct TlsOptions {
    std::string certificate;  ///< PEM file: the server's certificate, then its chain
    std::string private_key;  ///< PEM file, not encrypted
    /// PEM file: whom to trust for clients' certificates, and revocation lists, which are then obeyed. Empty: clients
    /// are not asked for a certificate. They are never made to show one, and a bad one counts as none.
    std::string client_ca = {};
    std::string ciphers = kStrictCiphers;
};

/// The option that is no good, and why: "/etc/poplar/key.pem: does not belong to the certificate".
struct TlsFault {
    enum class Option { certificate, private_key, client_ca, ciphers };
    Option option;
    std::string why;  ///< begins with the file's name, or else with the ciphers
};

/// TLS 1.2 and 1.3 (RFC 8996, RFC 9325 s3.1). May be used from any thread; a connection keeps what it needs of the
/// context it shook hands with.
class TlsContext {
public:
    static std::expected<std::shared_ptr<const TlsContext>, TlsFault> load(const TlsOptions& options);

    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    ssl_ctx_st* native() const { return context_; }
    const std::string& not_after() const {
        return not_after_;
    }  ///< when the certificate expires: "2026-12-31T23:59:59Z"
    /// Complaints that clients will have, a sentence each that begins with the file's name.
    const std::vector<std::string>& warnings() const { return warnings_; }

private:
    explicit TlsContext(ssl_ctx_st* context) : context_(context) {}
    ssl_ctx_st* context_;
    std::string not_after_;
    std::vector<std::string> warnings_;
};

/// The context that new handshakes take. May be used from any thread.
class CurrentTls {
public:
    /// Null until the first set(): TLS is not configured.
    std::shared_ptr<const TlsContext> get() const {
        std::lock_guard guard(mutex_);
        return context_;
    }
    void set(std::shared_ptr<const TlsContext> context) {
        std::lock_guard guard(mutex_);
        context_.swap(context);
    }

private:
    mutable std::mutex mutex_;
    std::shared_ptr<const TlsContext> context_;
};

}  // namespace poplar::net
