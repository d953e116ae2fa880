#pragma once
// A connection that we make to somebody: plain or TLS, upgraded in place. Each call has a deadline.
#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"

namespace poplar::net {

/// The client's side of TLS: whom to trust, and what to offer. Immutable; may be used from any thread.
class ClientTls {
public:
    /// `ca_file`: PEM; "": the system's authorities. Errors: invalid; the detail begins with the file's name.
    static Result<std::shared_ptr<const ClientTls>> load(const std::string& ca_file);
    virtual ~ClientTls() = default;
};

/// A record by which the other end's certificate is known (RFC 6698 s2.1), in the DNS' numbers.
struct TlsaRecord {
    std::uint8_t usage = 0, selector = 0, matching = 0;
    std::string data;
};

/// Whom the other end has to be.
struct ExpectedPeer {
    std::string name;                           ///< for SNI (RFC 6066 s3) and for the certificate
    std::vector<std::string> other_names = {};  ///< that the certificate may have in place of it
    /// If there are any: it has to fit one of these, and no authority is asked (DANE, RFC 7672 s3.1).
    std::vector<TlsaRecord> tlsa = {};
};

struct OutgoingTls {
    std::string version, cipher;
    /// The certificate is of that name, and an authority that we trust vouches for it; or it fits a TLSA record.
    bool verified = false;
    std::string why_not = {};  ///< if it is not verified
    bool usable_tlsa = false;  ///< OpenSSL can do something with one of the TLSA records
};

class Outgoing;

/// The connections that somebody may want to cut together. On one thread.
class OutgoingSet {
public:
    void cut();

private:
    friend class Outgoing;
    std::set<Outgoing*> all_;
};

/// Used by one coroutine at a time, on its executor's thread; cut() may come in between. Errors of all calls:
/// timed_out, closed (the other end has closed, or TLS failed).
class Outgoing {
public:
    using Time = std::chrono::milliseconds;
    /// `among`: it is in this set while it lives; null: in none.
    explicit Outgoing(Executor executor, OutgoingSet* among = nullptr);
    ~Outgoing();
    Outgoing(const Outgoing&) = delete;

    /// `address`, `source`: IPv4 or IPv6; source "": the kernel's choice. Errors: invalid (no address); io (nobody can
    /// be reached there: refused, no route).
    Task<Result<>> connect(std::string address, std::uint16_t port, std::string source, Time within);
    /// The next line without its end, which is LF or CRLF. Errors: too_large (longer than `limit` octets: nothing more
    /// can be read).
    Task<Result<std::string>> read_line(std::size_t limit, Time within);
    /// What came, as octets: at least one and at most `limit`.
    Task<Result<std::string>> read_some(std::size_t limit, Time within);
    Task<Result<>> write(std::string_view bytes, Time within);  // the caller keeps `bytes` alive until it returns
    /// Octets that came before are discarded (RFC 3207 s4.2). A certificate that is not verified is no failure.
    Task<Result<OutgoingTls>> start_tls(std::shared_ptr<const ClientTls> context, ExpectedPeer peer, Time within);
    bool encrypted() const;
    /// Cuts the connection: whatever waits, and every later call, answers closed.
    void cut();

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
    OutgoingSet* const among_;
};

}  // namespace poplar::net
