// A Connection over a stream socket: buffers, deadlines, turns, TLS in place.
#include "net/stream_connection.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <optional>

#include "base/steady.h"
#include "base/turn.h"
#include "net/handshakes.h"
#include "net/tls_stream.h"
#include "net/wakeable.h"
#include "net/watchdog.h"

namespace poplar::net {

namespace {

using Socket = Watchdog::Socket;
using Deadline = SteadyTime;

constexpr Deadline kNever = Watchdog::kNever;
constexpr std::size_t kGathered = 128 * 1024;     // output that is sent together
constexpr std::size_t kTakenAtOnce = 64 * 1024;   // of one reply, without a wait
constexpr std::size_t kPiecesSent = 40;           // of output, with one call
constexpr std::size_t kKeptWhileIdle = 1024;      // a larger buffer is given back before a wait for the peer
constexpr std::size_t kLastReply = 512;           // QUIT's
constexpr std::size_t kLingerOctets = 64 * 1024;  // what close() still takes from a peer that goes on sending
constexpr std::size_t kFirstOctets = 512;         // a waiting connection has room for: a command, or a few
constexpr std::size_t kHelloOctets = 2048;        // and in a handshake
constexpr std::size_t kBlockOctets = 8 * 1024;    // and in the middle of a message, for a small one

constexpr const char* kCut = "cut by the server";

// Octets arrive here first, so that a waiting connection holds no buffer of its own.
thread_local std::array<char, 64 * 1024> t_scratch;

/// Output on its way: `bytes`, then `more`.
struct Unsent {
    std::string_view bytes;
    std::span<const std::string_view> more;

    bool any() {
        while (bytes.empty() && !more.empty()) next();
        return !bytes.empty();
    }
    void remove_prefix(std::size_t octets) {
        while (octets > bytes.size()) {
            octets -= bytes.size();
            next();
        }
        bytes.remove_prefix(octets);
    }

private:
    void next() {
        bytes = more.front();
        more = more.subspan(1);
    }
};

class StreamConnectionImpl final : public StreamConnection, public Wakeable {
public:
    StreamConnectionImpl(const Executor& executor, FileDescriptor descriptor, Peer peer, ConnectionOptions options)
        : options_(options), peer_(std::move(peer)), socket_(executor) {
        // asio only remembers the family; whatever it is costs a system call to learn.
        socket_.assign(asio::generic::stream_protocol(AF_UNSPEC, 0), descriptor.get());
        descriptor.release();
        socket_.native_non_blocking(true);
        watchdog_ = std::make_shared<Watchdog>(executor, socket_);
    }
    ~StreamConnectionImpl() override { watchdog_->retire(); }

    Task<Result<std::string_view>> read_line(std::size_t limit, Seconds idle, LineEnd end) override;
    Task<Result<std::string_view>> read_some(Seconds idle, std::span<char> into) override;
    void consume(std::size_t octets) override;
    Task<Result<bool>> await_octets(Seconds idle) override;
    void wake() override;
    std::string_view at_hand() const override;
    Task<Result<>> write(std::string_view bytes) override;
    Task<Result<>> write_all(std::span<const std::string_view> pieces) override;
    bool try_write_all(std::span<const std::string_view> pieces) override;
    Task<Result<>> flush() override;
    bool sending() const override { return waiting_ == Purpose::writing; }
    Task<Result<>> pause(SteadyClock::duration time) override;
    Task<Result<>> start_tls(const TlsContext& context, Seconds limit) override;
    const TlsInfo* tls() const override { return tls_info_ ? &*tls_info_ : nullptr; }
    std::string channel_binding(std::string_view type) const override;
    const Peer& peer() const override { return peer_; }
    void set_peer(Peer peer) override { peer_ = std::move(peer); }
    Task<Result<ProxyHeader>> read_proxy_header(Seconds limit) override;
    std::string local_address() const override;
    std::optional<uid_t> local_user() const override;
    std::uint64_t octets_received() const override { return received_; }
    Task<> close(Parting parting) override;
    void stop_reading() override;
    void abort() override;

private:
    // The purpose of a wait: stop_reading() ends only waits for the peer's next words.
    enum class Purpose { none, reading, writing };

    std::string_view unconsumed() const { return std::string_view(input_).substr(begin_); }
    bool nothing_unread() const { return tls_ ? tls_->nothing_unread() : drained_; }
    void count_received(std::size_t octets) {
        received_ += octets;
        if (octets != 0) session().heard = SteadyClock::now();
    }
    Attempt receive(std::span<char> into);
    Attempt transmit(Unsent& unsent);
    Attempt send_pieces(const Unsent& unsent);
    Task<Result<std::size_t>> fill(std::span<char> into, std::size_t room, Deadline deadline);
    Task<Result<>> send(Unsent unsent);
    void gather(std::span<const std::string_view> pieces, std::size_t octets);
    void send_now(std::span<const std::string_view> pieces = {});
    Result<> begin_wait(Purpose purpose, Deadline deadline);
    Result<> end_wait(boost::system::error_code error);
    Task<Result<>> wait(Attempt::Outcome wanted, Purpose purpose, Deadline deadline);
    Task<Result<std::size_t>> receive_next(std::span<char> into, std::size_t room, Deadline deadline);
    Task<Result<>> wait_for_handshake();
    Task<Result<>> wait_to_send(Attempt::Outcome wanted);
    Task<> linger();
    std::size_t untaken() const;
    std::size_t unreceived() const;
    Task<Result<>> let_others(Deadline deadline);
    void give_back_buffers();
    Deadline in(std::chrono::milliseconds time) const { return SteadyClock::now() + time; }

    ConnectionOptions options_;
    Peer peer_;
    mutable Socket socket_;  // native_handle() is not const
    std::shared_ptr<Watchdog> watchdog_;
    std::unique_ptr<TlsStream> tls_;
    std::optional<TlsInfo> tls_info_;
    std::string input_;  // received; consumed up to begin_
    std::size_t begin_ = 0;
    std::uint64_t received_ = 0;                             // octets in all, behind TLS
    std::string_view lent_;                                  // received into a reader's memory, and not consumed
    std::string output_;                                     // gathered, not sent
    SteadyClock::duration patience_ = options_.write_stall;  // left for a peer that takes too little; see wait_to_send
    Purpose waiting_ = Purpose::none;
    bool drained_ = true;  // without TLS: the last receive took all there was; asio looks before it waits, so the first
                           // one need not
    bool wakeable_ = false;  // await_octets() waits
    bool woken_ = false;
    bool stopping_ = false;
    bool aborted_ = false;
    bool over_ = false;  // the peer closed, or the stream failed: nothing more can be read
    bool mute_ = false;  // something was sent in part, and its rest is lost: nothing may follow it
};

Attempt StreamConnectionImpl::receive(std::span<char> into) {
    if (tls_) return tls_->read(into);
    for (;;) {
        auto got = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
        if (got > 0) return Attempt::moved(static_cast<std::size_t>(got));
        if (got == 0) return Attempt::over("the peer closed");
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Attempt::Outcome::want_read};
        if (errno != EINTR) return Attempt::over(system_message(errno));
    }
}

// Sends some of it, and takes off what it sent.
Attempt StreamConnectionImpl::transmit(Unsent& unsent) {
    auto attempt = tls_ ? tls_->write(unsent.bytes, unsent.more) : send_pieces(unsent);
    if (attempt.outcome == Attempt::Outcome::moved) unsent.remove_prefix(attempt.octets);
    return attempt;
}

Attempt StreamConnectionImpl::send_pieces(const Unsent& unsent) {
    std::array<iovec, kPiecesSent> parts;
    std::size_t count = 0;
    parts[count++] = {const_cast<char*>(unsent.bytes.data()), unsent.bytes.size()};
    for (auto piece : unsent.more.first(std::min(unsent.more.size(), kPiecesSent - 1)))
        parts[count++] = {const_cast<char*>(piece.data()), piece.size()};
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = count;
    for (;;) {
        auto sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
        if (sent >= 0) return Attempt::moved(static_cast<std::size_t>(sent));
        if (errno == EAGAIN || errno == EWOULDBLOCK) return {Attempt::Outcome::want_write};
        if (errno != EINTR) return Attempt::over(system_message(errno));
    }
}

Result<> StreamConnectionImpl::begin_wait(Purpose purpose, Deadline deadline) {
    if (aborted_) return fail(Errc::closed, kCut);
    if (purpose == Purpose::reading && stopping_) return fail(Errc::cancelled, "the server is stopping");
    if (purpose == Purpose::reading && wakeable_ && woken_) return fail(Errc::cancelled, "woken");
    if (SteadyClock::now() >= deadline) return fail(Errc::timed_out, "the peer was too slow");
    waiting_ = purpose;
    watchdog_->watch(deadline);
    return {};
}

Result<> StreamConnectionImpl::end_wait(boost::system::error_code error) {
    turn::begin();
    watchdog_->disarm();
    waiting_ = Purpose::none;
    if (aborted_) return fail(Errc::closed, kCut);
    if (!error) return {};
    if (error == asio::error::eof) return fail(Errc::closed, "the peer closed");
    if (error != asio::error::operation_aborted) return fail(Errc::closed, error.message());
    if (watchdog_->expired()) return fail(Errc::timed_out, "the peer was too slow");
    return fail(Errc::cancelled, "the server is stopping");
}

Task<Result<>> StreamConnectionImpl::wait(Attempt::Outcome wanted, Purpose purpose, Deadline deadline) {
    if (auto begun = begin_wait(purpose, deadline); !begun) co_return begun;
    auto direction = wanted == Attempt::Outcome::want_write ? Socket::wait_write : Socket::wait_read;
    auto [error] = co_await socket_.async_wait(direction, asio::as_tuple(use_awaitable));
    co_return end_wait(error);
}

// Adds what the peer sends next to `into`, or to what TLS has still to read, or else to input_. asio receives it when
// it comes: two system calls fewer than waiting first. Returns how many octets that are.
Task<Result<std::size_t>> StreamConnectionImpl::receive_next(std::span<char> into, std::size_t room,
                                                             Deadline deadline) {
    if (auto begun = begin_wait(Purpose::reading, deadline); !begun) co_return pass_on(begun);
    const auto before = input_.size();
    const bool own = !tls_ && into.empty();
    // Returns its own size and not its argument, because libstdc++ 12 may pass a larger one.
    if (own) input_.resize_and_overwrite(before + room, [size = before + room](char*, std::size_t) { return size; });
    if (own) into = std::span(input_).subspan(before);
    if (tls_) into = tls_->room(room);
    auto [error, octets] =
        co_await socket_.async_receive(asio::buffer(into.data(), into.size()), asio::as_tuple(use_awaitable));
    if (tls_) {
        tls_->received(octets);
    } else {
        count_received(octets);
        drained_ = octets < into.size();
    }
    if (own) input_.resize(before + octets);
    over_ = error && error != asio::error::operation_aborted;
    if (auto ended = end_wait(error); !ended) co_return pass_on(ended);
    co_return octets;
}

// A peer that always has more for us, or always takes more, must not keep the thread for itself.
Task<Result<>> StreamConnectionImpl::let_others(Deadline deadline) {
    co_await turn::let_others();
    if (aborted_) co_return fail(Errc::closed, kCut);
    if (SteadyClock::now() >= deadline) co_return fail(Errc::timed_out, "the peer was too slow");
    co_return Result<>();
}

void StreamConnectionImpl::give_back_buffers() {
    if (input_.capacity() > kKeptWhileIdle && input_.size() <= kKeptWhileIdle) input_.shrink_to_fit();
    if (output_.capacity() > kKeptWhileIdle && output_.empty()) output_.shrink_to_fit();
    if (tls_) tls_->give_back_buffer();
}

// Puts octets into `into`, or adds them to input_ if that is empty: at least one on success. `room`: for those that
// input_ or TLS have to wait for.
Task<Result<std::size_t>> StreamConnectionImpl::fill(std::span<char> into, std::size_t room, Deadline deadline) {
    const bool own = into.empty();
    input_.erase(0, begin_);
    begin_ = 0;
    for (;;) {
        if (aborted_) co_return fail(Errc::closed, kCut);
        if (over_) co_return fail(Errc::closed, "the peer closed");
        // TLS may have to answer what it reads, and not in the middle of a record.
        if (tls_ && tls_->half_sent())
            if (auto sent = co_await flush(); !sent) co_return pass_on(sent);
        Attempt attempt{Attempt::Outcome::want_read};
        const auto target = own ? std::span<char>(t_scratch) : into;
        if (!nothing_unread() || stopping_) attempt = receive(target);
        if (attempt.outcome == Attempt::Outcome::moved) {
            count_received(attempt.octets);
            drained_ = attempt.octets < target.size();
            if (own) input_.append(target.data(), attempt.octets);
            if (turn::over())
                if (auto turn = co_await let_others(deadline); !turn) co_return pass_on(turn);
            co_return attempt.octets;
        }
        if (attempt.outcome == Attempt::Outcome::over) {
            over_ = true;
            co_return fail(Errc::closed, std::move(attempt.why));
        }
        drained_ = false;
        send_now();
        if (!output_.empty())
            if (auto sent = co_await flush(); !sent) co_return pass_on(sent);
        give_back_buffers();
        if (attempt.outcome == Attempt::Outcome::want_write) {  // TLS has to send something before it goes on reading
            if (auto ready = co_await wait(attempt.outcome, Purpose::reading, deadline); !ready)
                co_return pass_on(ready);
            continue;
        }
        auto received = co_await receive_next(into, room, deadline);
        if (!tls_ || !received) co_return received;
    }
}

Task<Result<std::string_view>> StreamConnectionImpl::read_line(std::size_t limit, Seconds idle, LineEnd end) {
    auto deadline = in(idle);
    bool too_long = false, filled = false;
    std::size_t searched = 0;
    for (;;) {
        auto rest = unconsumed();
        if (auto line = find_line(rest, end, searched)) {
            begin_ += line->whole;
            // After a wait a turn has just begun.
            if (!filled && turn::over())
                if (auto turn = co_await let_others(kNever); !turn) co_return pass_on(turn);
            if (too_long || line->whole > limit) co_return fail(Errc::too_large, "line too long");
            co_return rest.substr(0, line->text);
        }
        if (too_long || rest.size() >= limit) {
            too_long = true;
            begin_ = input_.size() - (rest.ends_with('\r') ? 1 : 0);  // its LF may be next
        }
        searched = unconsumed().size();
        if (auto more = co_await fill({}, kFirstOctets, deadline); !more) co_return pass_on(more);
        filled = true;
    }
}

/// Octets that have arrived and were not received.
std::size_t StreamConnectionImpl::unreceived() const {
    int octets = 0;
    return ::ioctl(socket_.native_handle(), FIONREAD, &octets) == 0 ? static_cast<std::size_t>(octets) : 0;
}

/// Octets that were sent and that the peer has not acknowledged (a local peer: not read).
std::size_t StreamConnectionImpl::untaken() const {
    int octets = 0;
    return ::ioctl(socket_.native_handle(), SIOCOUTQ, &octets) == 0 ? static_cast<std::size_t>(octets) : 0;
}

// A peer that takes an octet now and then must not hold its session, and what that has locked, for ever. All the time
// that output waits for it is taken off its patience; each octet it takes gives back what it may take at the lowest
// rate, up to the whole. So no peer above that rate is ever cut, and one that takes nothing is cut after write_stall.
// Its progress is read off the socket's queue, because the kernel calls the socket writable only when much of that is
// free.
Task<Result<>> StreamConnectionImpl::wait_to_send(Attempt::Outcome wanted) {
    for (;;) {
        auto queued = untaken();
        auto begun = SteadyClock::now();
        auto ready = co_await wait(wanted, Purpose::writing, begun + patience_);
        patience_ -= SteadyClock::now() - begun;
        auto left = socket_.is_open() ? untaken() : queued;
        if (left < queued && options_.write_rate != 0) {
            std::chrono::duration<double> earned(static_cast<double>(queued - left) /
                                                 static_cast<double>(options_.write_rate));
            patience_ = earned > options_.write_stall
                            ? options_.write_stall
                            : patience_ + std::chrono::duration_cast<SteadyClock::duration>(earned);
        } else if (left < queued) {
            patience_ = options_.write_stall;
        }
        patience_ = std::min<SteadyClock::duration>(patience_, options_.write_stall);
        bool goes_on = patience_ > SteadyClock::duration::zero();
        if (ready || ready.error().code() != Errc::timed_out || !goes_on) co_return ready;
    }
}

Task<Result<std::string_view>> StreamConnectionImpl::read_some(Seconds idle, std::span<char> into) {
    if (auto left = unconsumed(); !left.empty()) co_return left;
    auto filled = co_await fill(into, kBlockOctets, in(idle));
    if (!filled) co_return pass_on(filled);
    if (into.empty()) co_return unconsumed();
    co_return lent_ = std::string_view(into.data(), *filled);
}

std::string_view StreamConnectionImpl::at_hand() const {
    auto left = unconsumed();
    return left.empty() || turn::over() ? std::string_view() : left;
}

void StreamConnectionImpl::consume(std::size_t octets) {
    if (lent_.empty()) {
        begin_ += octets;
        return;
    }
    input_.assign(std::exchange(lent_, {}).substr(octets));
    begin_ = 0;
}

// A read that wake() ends looks as if the server stopped. What TLS has received of a record stays for the next.
Task<Result<bool>> StreamConnectionImpl::await_octets(Seconds idle) {
    const auto deadline = in(idle);
    if (!unconsumed().empty()) co_return true;
    if (std::exchange(woken_, false)) {
        if (auto sent = co_await flush(); !sent) co_return pass_on(sent);
        co_return false;
    }
    wakeable_ = true;
    auto filled = co_await fill({}, kFirstOctets, deadline);
    wakeable_ = false;
    if (filled) co_return true;
    const bool ended_by_wake = filled.error().code() == Errc::cancelled && !stopping_;
    if (ended_by_wake && std::exchange(woken_, false)) co_return false;
    co_return pass_on(filled);
}

void StreamConnectionImpl::wake() {
    woken_ = true;
    boost::system::error_code ignored;
    if (wakeable_ && waiting_ == Purpose::reading) socket_.cancel(ignored);
}

Task<Result<>> StreamConnectionImpl::send(Unsent unsent) {
    while (unsent.any()) {
        if (aborted_) co_return fail(Errc::closed, kCut);
        if (mute_) co_return fail(Errc::closed, "what was said before did not arrive");
        auto attempt = transmit(unsent);
        switch (attempt.outcome) {
            case Attempt::Outcome::moved:
                if (turn::over())
                    if (auto turn = co_await let_others(kNever); !turn) co_return turn;
                break;
            case Attempt::Outcome::over: over_ = mute_ = true; co_return fail(Errc::closed, std::move(attempt.why));
            default:
                if (auto ready = co_await wait_to_send(attempt.outcome); !ready) {
                    mute_ = true;
                    co_return ready;
                }
        }
    }
    co_return Result<>();
}

// Octets that no longer fit go out at once, uncopied, behind those that are gathered.
Task<Result<>> StreamConnectionImpl::write(std::string_view bytes) {
    if (output_.size() + bytes.size() <= kGathered) {
        output_.append(bytes);
        co_return Result<>();
    }
    auto sent = co_await send({output_, std::span(&bytes, 1)});
    output_.clear();
    co_return sent;
}

void StreamConnectionImpl::gather(std::span<const std::string_view> pieces, std::size_t octets) {
    // After a reply of that length others will come: the buffer grows once in place of many times.
    if (octets > kKeptWhileIdle && !unconsumed().empty()) output_.reserve(kGathered);
    for (auto piece : pieces) output_.append(piece);
}

// Sends as much of what is gathered and of the pieces as the socket takes now, and gathers the rest.
void StreamConnectionImpl::send_now(std::span<const std::string_view> pieces) {
    Unsent unsent{output_, pieces};
    while (unsent.any() && !aborted_ && !over_ && !mute_) {
        auto attempt = transmit(unsent);
        if (attempt.outcome == Attempt::Outcome::over) {
            over_ = mute_ = true;
            begin_ = input_.size();  // a peer that can't be answered is not obeyed either
        }
        if (attempt.outcome != Attempt::Outcome::moved) break;
    }
    const bool pieces_begun = unsent.more.size() < pieces.size();
    if (pieces_begun)
        output_.assign(unsent.bytes);
    else
        output_.erase(0, output_.size() - unsent.bytes.size());
    for (auto piece : unsent.more) output_.append(piece);
}

bool StreamConnectionImpl::try_write_all(std::span<const std::string_view> pieces) {
    std::size_t octets = 0;
    for (auto piece : pieces) octets += piece.size();
    if (aborted_ || octets > kTakenAtOnce || output_.size() > kGathered) return false;
    // With no further command at hand, it would be sent next anyway.
    if (!unconsumed().empty() && output_.size() + octets <= kGathered)
        gather(pieces, octets);
    else
        send_now(pieces);
    return true;
}

Task<Result<>> StreamConnectionImpl::write_all(std::span<const std::string_view> pieces) {
    if (try_write_all(pieces)) co_return Result<>();
    auto sent = co_await send({output_, pieces});
    output_.clear();
    co_return sent;
}

Task<Result<>> StreamConnectionImpl::flush() {
    if (output_.empty()) co_return Result<>();
    auto sent = co_await send({output_, {}});
    output_.clear();
    co_return sent;
}

// A header ends where TLS or the client's first line may begin, in the same segment: octets are looked at first, and
// then only its own are taken. While a header is not whole, all octets are its own.
Task<Result<ProxyHeader>> StreamConnectionImpl::read_proxy_header(Seconds limit) {
    auto deadline = in(limit);
    std::string header;
    drained_ = false;
    for (;;) {
        const auto room = std::min(t_scratch.size(), kProxyHeaderLimit - header.size());
        auto got = ::recv(socket_.native_handle(), t_scratch.data(), room, MSG_PEEK);
        if (got > 0) {
            const auto before = header.size();
            header.append(t_scratch.data(), static_cast<std::size_t>(got));
            auto size = proxy_header_size(header);
            if (!size) co_return pass_on(size);
            if (*size && **size < header.size()) header.resize(**size);
            (void)::recv(socket_.native_handle(), t_scratch.data(), header.size() - before, 0);
            if (*size == header.size()) co_return parse_proxy_header(header);
        } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (auto ready = co_await wait(Attempt::Outcome::want_read, Purpose::reading, deadline); !ready)
                co_return pass_on(ready);
        } else if (got == 0 || errno != EINTR) {
            co_return fail(Errc::closed, got == 0 ? "the peer closed" : system_message(errno));
        }
    }
}

Task<Result<>> StreamConnectionImpl::pause(SteadyClock::duration time) {
    auto deadline = SteadyClock::now() + time;
    if (auto sent = co_await flush(); !sent) co_return sent;
    if (auto begun = begin_wait(Purpose::reading, deadline); !begun) {
        if (begun.error().code() == Errc::timed_out) co_return Result<>();
        co_return begun;
    }
    auto [error] = co_await socket_.async_wait(Socket::wait_error, asio::as_tuple(use_awaitable));
    auto ended = end_wait(error);
    if (!ended && ended.error().code() == Errc::timed_out) co_return Result<>();
    if (!ended) co_return ended;
    over_ = true;
    co_return fail(Errc::closed, "the peer closed");
}

// Waits before anything of the handshake is read, let alone computed.
Task<Result<>> StreamConnectionImpl::wait_for_handshake() {
    if (!options_.handshakes) co_return Result<>();
    auto delay = options_.handshakes->begin(peer_);
    if (!delay) co_return fail(Errc::busy, "too many handshakes from there");
    if (*delay == SteadyClock::duration::zero()) co_return Result<>();
    co_return co_await pause(*delay);
}

Task<Result<>> StreamConnectionImpl::start_tls(const TlsContext& context, Seconds limit) {
    auto deadline = in(limit);
    if (tls_) co_return fail(Errc::invalid, "TLS is active already");
    if (auto sent = co_await flush(); !sent) co_return sent;
    if (auto turn = co_await wait_for_handshake(); !turn) {
        over_ = mute_ = true;
        co_return turn;
    }
    auto made = TlsStream::make(context, socket_.native_handle());
    if (!made) co_return pass_on(made);
    tls_ = std::move(*made);
    // Octets from before the handshake were not protected: somebody on the way may have put them there.
    input_.clear();
    begin_ = 0;
    drained_ = false;
    give_back_buffers();
    for (;;) {
        if (aborted_) co_return fail(Errc::closed, kCut);
        auto attempt = tls_->accept();
        if (attempt.outcome == Attempt::Outcome::moved) break;
        Result<> ready;
        if (attempt.outcome == Attempt::Outcome::over)
            ready = fail(Errc::closed, attempt.why);
        else if (attempt.outcome == Attempt::Outcome::want_write)
            ready = co_await wait(attempt.outcome, Purpose::reading, deadline);
        else if (auto received = co_await receive_next({}, kHelloOctets, deadline); !received)
            ready = pass_on(received);
        if (!ready) {
            over_ = true;
            co_return ready;
        }
    }
    tls_info_.emplace(tls_->info());
    co_return Result<>();
}

std::string StreamConnectionImpl::channel_binding(std::string_view type) const {
    return tls_info_ ? tls_->channel_binding(type) : std::string();
}

std::string StreamConnectionImpl::local_address() const {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (getsockname(socket_.native_handle(), reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return peer_at(address).address;
}

std::optional<uid_t> StreamConnectionImpl::local_user() const {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(socket_.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) return std::nullopt;
    if (credentials.pid == 0) return std::nullopt;  // over TCP
    return credentials.uid;
}

Task<> StreamConnectionImpl::close(Parting parting) {
    if (!socket_.is_open()) co_return;
    // Closing while something unread has arrived, or comes then, sends a reset: the peer may lose what it has not got
    // yet. In TLS its goodbye counts, which may come at any time (RFC 8446 s6.1), so it has to have all but the last
    // reply.
    bool agreed = parting == Parting::agreed;
    if (tls_) {
        agreed = agreed && output_.size() <= kLastReply && untaken() == 0 && unreceived() == 0;
        tls_->part();
    }
    (void)co_await flush();
    if (tls_ && !aborted_) tls_->shutdown();
    if (!agreed || !nothing_unread() || !unconsumed().empty()) co_await linger();
    tls_.reset();
    aborted_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
}

// Until the peer closes too, or has had its time.
Task<> StreamConnectionImpl::linger() {
    ::shutdown(socket_.native_handle(), SHUT_WR);
    auto deadline = in(options_.linger);
    for (std::size_t taken = 0; taken < kLingerOctets && !over_ && !aborted_;) {
        auto got = ::recv(socket_.native_handle(), t_scratch.data(), t_scratch.size(), 0);
        if (got > 0) {
            taken += static_cast<std::size_t>(got);
        } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (auto ready = co_await wait(Attempt::Outcome::want_read, Purpose::writing, deadline); !ready) break;
        } else {
            break;
        }
    }
}

void StreamConnectionImpl::stop_reading() {
    stopping_ = true;
    boost::system::error_code ignored;
    if (waiting_ == Purpose::reading) socket_.cancel(ignored);
}

void StreamConnectionImpl::abort() {
    aborted_ = true;
    if (!socket_.is_open()) return;
    ::shutdown(socket_.native_handle(), SHUT_RDWR);
    boost::system::error_code ignored;
    socket_.cancel(ignored);
}

}  // namespace

std::unique_ptr<StreamConnection> make_connection(Executor executor, FileDescriptor socket, ConnectionOptions options) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    (void)getpeername(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
    return make_connection(std::move(executor), std::move(socket), peer_at(address), options);
}

std::unique_ptr<StreamConnection> make_connection(Executor executor, FileDescriptor socket, Peer peer,
                                                  ConnectionOptions options) {
    return std::make_unique<StreamConnectionImpl>(executor, std::move(socket), std::move(peer), options);
}

}  // namespace poplar::net
