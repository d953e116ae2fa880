#pragma once
// A non-blocking TCP connection of either side, plain or TLS, with its input. For one coroutine at a time.
#include <sys/socket.h>
#include <sys/uio.h>

#include <coroutine>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "bench/load/loop.h"
#include "bench/load/task.h"
#include "bench/load/tls.h"
#include "net/file_descriptor.h"

namespace poplar::bench {

/// Where to connect: TCP or a local socket.
struct Endpoint {
    sockaddr_storage address{};
    socklen_t length = 0;

    /// "127.0.0.1:110", "[::1]:110" or "unix:/path".
    static Result<Endpoint> parse(std::string_view text);
};

class Channel final : public Watched {
public:
    /// `buffer`: octets of input held at most, which is the longest line. `patience`: how long any one wait may last.
    Channel(Loop& loop, std::size_t buffer, std::chrono::seconds patience);

    /// Begins to connect; the first read or write waits for it.
    Result<> connect(const Endpoint& endpoint);
    /// Takes over an accepted socket.
    Result<> adopt(int descriptor);
    /// Closes at once. The Channel can connect again, with its buffers as they are.
    void close();

    /// The handshake, as a client (taking up the last session kept, if any) or as a server.
    Task<Result<>> connect_tls(SSL_CTX* context);
    Task<Result<>> accept_tls(SSL_CTX* context);
    bool session_reused() const { return ssl_ && SSL_session_reused(ssl_.get()); }
    bool keeps_session() const { return session_ != nullptr; }
    void keep(SSL_SESSION* session) { session_.reset(session); }

    /// Waits until there is more input than before. Errors: closed (the end of the input too), timed_out, cancelled,
    /// too_large (the buffer is full), io.
    Task<Result<>> fill();
    std::string_view input() const { return {buffer_.data() + begin_, end_ - begin_}; }
    void consume(std::size_t octets) { begin_ += octets; }
    /// The next line without its CRLF; valid until the next call that fills.
    Task<Result<std::string_view>> line();
    /// Waits for the peer to close.
    Task<Result<>> end();

    Task<Result<>> write(std::string_view octets);
    /// Several pieces with as few calls as possible. Changes `pieces`.
    Task<Result<>> write(std::span<iovec> pieces);

    void on_events(std::uint32_t events) override;
    void on_second() override;
    void on_stop() override;

    // For the BIO: a read or write that is skipped when it could only say EAGAIN.
    ssize_t receive(char* to, std::size_t size);
    ssize_t transmit(const char* from, std::size_t size);

private:
    enum class Until { readable, writable };
    auto wait(Until until) {
        struct Wait {
            Channel& channel;
            Until until;
            bool await_ready() const {
                if (channel.loop_.stopping()) channel.interrupted_ = Errc::cancelled;
                return channel.interrupted_ || channel.ready(until);
            }
            void await_suspend(std::coroutine_handle<> waiter) const {
                channel.waiter_ = waiter;
                channel.until_ = until;
                channel.since_ = channel.loop_.now();
            }
            /// Nothing if it is ready.
            std::optional<Errc> await_resume() const { return std::exchange(channel.interrupted_, std::nullopt); }
        };
        return Wait{*this, until};
    }
    bool ready(Until until) const { return until == Until::readable ? readable_ : writable_; }
    void interrupt(Errc why);
    void prepare_tls(SSL_CTX* context);
    Task<Result<>> handshake();
    /// Tells what to wait for after `result`, an SSL_... call's; nothing if it is an error.
    std::optional<Until> after_tls_call(int result) const;
    Error tls_failure(std::string_view during) const;

    Loop& loop_;
    net::FileDescriptor socket_;
    Ssl ssl_;
    SslSession session_;
    std::vector<char> buffer_;
    std::size_t begin_ = 0, end_ = 0;
    bool readable_ = false, writable_ = false;
    bool ended_ = false;  ///< the peer will send no more: reading finds the end

    std::coroutine_handle<> waiter_;
    Until until_ = Until::readable;
    std::optional<Errc> interrupted_;
    Clock::time_point since_{};
    std::chrono::seconds patience_;
};

}  // namespace poplar::bench
