#pragma once
// COMPRESS=DEFLATE (RFC 4978): a connection whose octets go through DEFLATE, in front of the real one.
#include <memory>
#include <string>
#include <string_view>

#include "net/connection.h"
#include "net/wakeable.h"

namespace poplar::imap {

/// Compresses what is written and inflates what is read, both a little at a time, so that no octets of a peer's can
/// make it hold more than a read wants and kInflated. It needs about 110 KB for its windows, once it has read and
/// written. What is written goes out in whole when the peer is waited for. One more failure of reading: closed (the
/// octets are not what DEFLATE makes).
///
/// What knows the session or its log belongs to the real connection: session() and log() are not to be used here.
class CompressedConnection final : public net::Connection, public net::Wakeable {
public:
    /// Octets that are inflated without somebody who wants them.
    static constexpr std::size_t kInflated = 16 * 1024;

    /// `inner` must outlive it. `wakeable`: the same one, if it can be woken.
    CompressedConnection(net::Connection& inner, net::Wakeable* wakeable);
    ~CompressedConnection() override;

    Task<Result<std::string_view>> read_line(std::size_t limit, Seconds idle, net::LineEnd end) override;
    Task<Result<std::string_view>> read_some(Seconds idle, std::span<char> into) override;
    void consume(std::size_t octets) override { begin_ += octets; }
    std::string_view at_hand() const override;
    Task<Result<>> write(std::string_view bytes) override;
    Task<Result<>> flush() override;
    bool sending() const override { return inner_.sending(); }
    Task<Result<>> pause(SteadyClock::duration time) override;
    /// TLS is not begun inside of compression. Errors: invalid.
    Task<Result<>> start_tls(const net::TlsContext& context, Seconds limit) override;
    const net::TlsInfo* tls() const override { return inner_.tls(); }
    std::string channel_binding(std::string_view type) const override { return inner_.channel_binding(type); }
    const net::Peer& peer() const override { return inner_.peer(); }
    void set_peer(net::Peer peer) override { inner_.set_peer(std::move(peer)); }
    std::string local_address() const override { return inner_.local_address(); }
    Task<> close(net::Parting parting) override;
    void stop_reading() override { inner_.stop_reading(); }
    void abort() override { inner_.abort(); }

    Task<Result<bool>> await_octets(Seconds idle) override;
    void wake() override;

    /// Ends the compression both ways (RFC 8437 s3): the peer ends its own behind what was read last. What is read and
    /// written next is read from and written to the real connection.
    Task<Result<>> end(Seconds idle);

private:
    struct Streams;
    std::string_view unconsumed() const { return std::string_view(plain_).substr(begin_); }
    void drop_consumed();
    /// Inflates some of what the real connection has, or waits for it; at least one octet on success.
    Task<Result<>> fill(SteadyTime deadline);
    /// Returns how many of the octets were used.
    std::size_t inflate(std::string_view octets);
    /// Why nothing more can be read.
    Result<> check() const;
    Task<Result<>> deflate(std::string_view octets, int how);
    Task<Result<>> send_pending();

    net::Connection& inner_;
    net::Wakeable* wakeable_;
    std::unique_ptr<Streams> streams_;
    std::string plain_;  // inflated; consumed up to begin_
    std::size_t begin_ = 0;
    bool more_inside_ = false;  // the inflater may have octets that need no further ones
    bool pending_ = false;      // something was written that the peer can't read yet
    bool ended_ = false;        // the peer has ended its compression
    bool broken_ = false;       // it sent something else
};

}  // namespace poplar::imap
