#pragma once
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "net/attempt.h"
#include "net/connection.h"

struct ssl_st;

namespace poplar::net {

class TlsContext;

/// The server's side of TLS over a socket that does not block. Nothing here waits: the caller waits for the socket,
/// receives the peer's octets meanwhile (room, received), and tries again.
class TlsStream {
public:
    /// Errors: closed (out of memory).
    static Result<std::unique_ptr<TlsStream>> make(const TlsContext& context, int socket);
    ~TlsStream();
    TlsStream(const TlsStream&) = delete;
    TlsStream& operator=(const TlsStream&) = delete;

    Attempt accept();
    Attempt read(std::span<char> into);
    /// Sends from the beginning of `bytes`, then of what follows. After want_read or want_write the caller goes on with
    /// the same octets.
    Attempt write(std::string_view bytes, std::span<const std::string_view> more);
    /// Whether write() has to go on with a record that was sent in part, or waits to be.
    bool half_sent() const { return !unsent_.empty(); }
    /// The next write is the last: the goodbye goes with its last record.
    void part() { parting_ = true; }
    /// Says goodbye, if that was not said yet: the peer's own says nothing we need. Nothing if TLS has failed.
    void shutdown();

    /// Where to receive what the peer sends next; `received` tells how much it was. All of it is read before the
    /// socket is asked again, and that only if there may be more.
    std::span<char> room(std::size_t octets);
    void received(std::size_t octets);
    void give_back_buffer();
    /// As far as is known, the peer has sent nothing that was not read.
    bool nothing_unread() const;

    TlsInfo info() const;
    std::string channel_binding(std::string_view type) const;  ///< as Connection's

private:
    struct Wire;  // OpenSSL's way to the socket
    TlsStream() = default;
    Attempt outcome(int result);
    Attempt encrypt(std::string_view bytes, std::span<const std::string_view> more);
    bool send_gathered(std::string_view last);

    struct SslFree {
        void operator()(ssl_st* ssl) const;
    };
    int socket_ = -1;
    std::string ahead_;           // received, not read; room() at its end
    std::size_t begin_ = 0;       // of it that OpenSSL has
    std::size_t room_ = 0;        // asked for last
    bool drained_ = true;         // the last receive took all there was
    bool shaken_ = false;         // the handshake is over
    bool gathers_ = false;        // what OpenSSL sends is kept for encrypt()
    bool last_ = false;           // what it sends next is the last for now
    std::string unsent_;          // records the socket did not take yet
    std::size_t in_records_ = 0;  // octets of the caller's that they hold
    bool parting_ = false;        // the goodbye goes with the end of what is written
    bool failed_ = false;         // no goodbye is possible
    std::unique_ptr<ssl_st, SslFree> ssl_;
};

}  // namespace poplar::net
