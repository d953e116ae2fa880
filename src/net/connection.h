#pragma once
// One peer, plain or TLS, upgraded in place. All reading and writing of a protocol goes through here, and so do its
// deadlines: a session sees lines, blocks and reasons, never sockets or timers.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/asio.h"
#include "base/error.h"
#include "base/log.h"
#include "base/steady.h"
#include "net/peer.h"

namespace poplar::net {

class TlsContext;  // net/tls.h

struct TlsInfo {
    std::string version, cipher;  ///< "TLSv1.3", "TLS_AES_128_GCM_SHA256"
    bool resumed = false;
    /// The mail addresses (rfc822Name) of the client's certificate; none if it showed no certificate, or one that
    /// TlsOptions::client_ca does not vouch for.
    std::vector<std::string> certificate_addresses = {};
};

/// The octets that end a line. Where a bare LF ends none, it is a part of the line like any other octet.
enum class LineEnd { crlf, crlf_or_lf };

/// The first line of `received`, if all of it is there: where its end begins, and where the next line does.
struct LineBounds {
    std::size_t text = 0, whole = 0;
};
/// `from`: octets that are known to hold no end of a line.
inline std::optional<LineBounds> find_line(std::string_view received, LineEnd end, std::size_t from = 0) {
    if (end == LineEnd::crlf) {
        const auto at = received.find("\r\n", from == 0 ? 0 : from - 1);  // the CR may have come before
        if (at == received.npos) return std::nullopt;
        return LineBounds{at, at + 2};
    }
    const auto at = received.find('\n', from);
    if (at == received.npos) return std::nullopt;
    return LineBounds{at > 0 && received[at - 1] == '\r' ? at - 1 : at, at + 1};
}

/// The session on a connection as a list of the open ones shows it.
struct SessionFacts {
    std::string_view service;     ///< "pop3s"; "": none
    std::string id;               ///< as the log has it; "": none has begun
    std::string account, device;  ///< of a login; "": nobody has logged in, or no device
    SteadyTime since = SteadyClock::now();
    SteadyTime heard = since;   ///< when the peer last sent something
    std::function<void()> end;  ///< ends it at once; null: nothing has begun that could end
};

/// agreed: the peer has said that it sends nothing more (QUIT).
enum class Parting { abrupt, agreed };

/// Used by one session on one thread. Failures of every waiting call: timed_out, closed (peer gone, or a TLS failure:
/// the detail says which), cancelled (the server is stopping: stop_reading() was called).
///
/// Output is gathered: write() appends and only sends when 128 KB have come together; whatever is gathered is sent
/// before a read has to wait, and by flush(). Pipelined commands are thus answered in as few writes as possible
/// (RFC 2920 s3.1 and RFC 2449 s6.6 want it so).
class Connection {
public:
    using Seconds = std::chrono::seconds;
    virtual ~Connection() = default;

    /// The next line without its end, valid until the next read. A line longer than `limit` octets (line end included)
    /// is swallowed up to its end, then too_large: the session answers once and goes on. `idle` is the whole time the
    /// line may take, however slowly its octets drip in.
    virtual Task<Result<std::string_view>> read_line(std::size_t limit, Seconds idle,
                                                     LineEnd end = LineEnd::crlf_or_lf) = 0;

    /// Some octets, at least one: what has been read and not consumed, else what arrives. Valid until the next read;
    /// call consume() with how many of them were used. `into`: memory of the caller's that arriving octets may be put
    /// into; consume() comes before anything else is done with it then.
    virtual Task<Result<std::string_view>> read_some(Seconds idle, std::span<char> into = {}) = 0;
    virtual void consume(std::size_t octets) = 0;
    /// The octets that were read and not consumed, without a wait, for callers that need no more than those. "" also
    /// when other sessions of the thread have to get their turn first: a read then lets them.
    virtual std::string_view at_hand() const { return {}; }

    virtual Task<Result<>> write(std::string_view bytes) = 0;  // the caller keeps `bytes` alive until it returns
    /// The same of several pieces, one behind the other.
    virtual Task<Result<>> write_all(std::span<const std::string_view> pieces) {
        for (auto piece : pieces)
            if (auto written = co_await write(piece); !written) co_return written;
        co_return Result<>();
    }
    /// write_all, if at most 64 KB can be taken without waiting: sent at once if the peer waits for them, else
    /// gathered. False: nothing was taken. That the peer is gone shows when the next line is read.
    virtual bool try_write_all(std::span<const std::string_view>) { return false; }
    virtual Task<Result<>> flush() = 0;
    /// Whether somebody waits for the peer to take what is sent.
    virtual bool sending() const { return false; }

    /// Sends what is gathered, then waits. Ends early, with the failure, as a read would.
    virtual Task<Result<>> pause(SteadyClock::duration) { co_return Result<>(); }

    /// Sends what is gathered, then becomes the server's side of a TLS handshake (STLS, STARTTLS). All that the peer
    /// sent before the handshake is discarded (RFC 2595 s4, RFC 3207 s4.2).
    virtual Task<Result<>> start_tls(const TlsContext& context, Seconds limit) = 0;
    virtual const TlsInfo* tls() const = 0;  ///< null while plain
    /// The data that bind an authentication to this TLS connection: "tls-exporter" (RFC 9266), "tls-unique" (RFC 5929
    /// s3; TLS 1.2) or "tls-server-end-point" (s4). "": plain, another type, or not defined for this connection.
    virtual std::string channel_binding(std::string_view) const { return {}; }

    virtual const Peer& peer() const = 0;
    /// Called when the other end is a proxy: `peer` is its client, whom it is trusted to name.
    virtual void set_peer(Peer peer) = 0;
    virtual std::string local_address() const = 0;
    /// The user who connected, if the peer is a process of this machine at a local socket.
    virtual std::optional<uid_t> local_user() const { return std::nullopt; }
    SessionFacts& session() { return session_; }
    const SessionFacts& session() const { return session_; }
    /// A line about what the peer does, within its share of the log (log::Cause).
    void log(log::Level level, std::string_view event, std::initializer_list<log::Field> fields);

    /// Sends what is gathered, says goodbye in TLS and closes. Waits a moment for the peer to close too, so that it
    /// reads the last reply whatever it is still sending; not if they have agreed to part.
    virtual Task<> close(Parting parting = Parting::abrupt) = 0;

    /// From now on every read that would wait answers cancelled; one that waits does so at once.
    virtual void stop_reading() = 0;
    /// Cuts the connection: whatever waits, and every later call, answers closed.
    virtual void abort() = 0;

protected:
    virtual std::uint64_t octets_received() const { return 0; }

private:
    SessionFacts session_;
    std::uint64_t logged_up_to_ = 0;  // octets received that lines were written for
};

}  // namespace poplar::net
