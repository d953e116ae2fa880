// Sockets of the load tool without a wait, plain or TLS; each system call that could only say EAGAIN is left out.
#include "bench/load/channel.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>

namespace poplar::bench {

namespace {

std::unexpected<Error> fail_errno(std::string_view what) {
    Errc code = errno == ECONNRESET || errno == EPIPE || errno == ECONNREFUSED ? Errc::closed : Errc::io;
    return fail(code, fmt::format("{}: {}", what, std::strerror(errno)));
}

std::unexpected<Error> fail_wait(Errc why) { return fail(why, why == Errc::timed_out ? "timed out" : "stopped"); }

int bio_read(BIO* bio, char* to, int size) {
    BIO_clear_retry_flags(bio);
    auto got = static_cast<Channel*>(BIO_get_data(bio))->receive(to, static_cast<std::size_t>(size));
    if (got < 0 && errno == EAGAIN) BIO_set_retry_read(bio);
    return static_cast<int>(got);
}

int bio_write(BIO* bio, const char* from, int size) {
    BIO_clear_retry_flags(bio);
    auto sent = static_cast<Channel*>(BIO_get_data(bio))->transmit(from, static_cast<std::size_t>(size));
    if (sent < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
    return static_cast<int>(sent);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* channel_bio() {
    static BIO_METHOD* method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "channel");
        BIO_meth_set_read(made, bio_read);
        BIO_meth_set_write(made, bio_write);
        BIO_meth_set_ctrl(made, bio_control);
        BIO_meth_set_create(made, [](BIO* bio) {
            BIO_set_init(bio, 1);
            return 1;
        });
        return made;
    }();
    return method;
}

}  // namespace

Result<Endpoint> Endpoint::parse(std::string_view text) {
    Endpoint endpoint;
    auto put = [&](const auto& address) {
        std::memcpy(&endpoint.address, &address, sizeof address);
        endpoint.length = sizeof address;
    };
    if (text.starts_with("unix:")) {
        sockaddr_un local{.sun_family = AF_UNIX, .sun_path = {}};
        text.remove_prefix(5);
        if (text.empty() || text.size() >= sizeof local.sun_path) return fail(Errc::invalid, "no path of a socket");
        std::memcpy(local.sun_path, text.data(), text.size());
        put(local);
        return endpoint;
    }
    auto colon = text.rfind(':');
    std::uint16_t port = 0;
    if (colon == text.npos) return fail(Errc::invalid, fmt::format("'{}' has no port", text));
    auto digits = text.substr(colon + 1);
    auto [last, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || last != digits.data() + digits.size())
        return fail(Errc::invalid, fmt::format("'{}' is no port", digits));
    std::string host(text.substr(0, colon));
    if (host == "localhost") host = "127.0.0.1";
    if (host.starts_with('[') && host.ends_with(']')) {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(port);
        if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6.sin6_addr) == 1) return put(v6), endpoint;
    }
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    if (inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) return put(v4), endpoint;
    return fail(Errc::invalid, fmt::format("'{}' is no address: 127.0.0.1:110, [::1]:110 or unix:/path", text));
}

Channel::Channel(Loop& loop, std::size_t buffer, std::chrono::seconds patience)
    : loop_(loop), buffer_(buffer), patience_(patience) {}

Result<> Channel::connect(const Endpoint& endpoint) {
    close();
    socket_ = net::FileDescriptor(::socket(endpoint.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_) return fail_errno("socket");
    if (endpoint.address.ss_family != AF_UNIX) {
        int on = 1;
        setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&endpoint.address), endpoint.length) != 0 &&
        errno != EINPROGRESS)
        return fail_errno("connect");
    return loop_.watch(socket_.get(), *this);
}

Result<> Channel::adopt(int descriptor) {
    close();
    socket_ = net::FileDescriptor(descriptor);
    int on = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    writable_ = true;
    return loop_.watch(descriptor, *this);
}

void Channel::close() {
    if (ssl_) {
        // One close_notify, not waited for: without it OpenSSL would take the session for a broken one.
        if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
        ERR_clear_error();
        ssl_.reset();
    }
    socket_ = net::FileDescriptor();
    begin_ = end_ = 0;
    readable_ = writable_ = ended_ = false;
}

void Channel::on_events(std::uint32_t events) {
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) ended_ = true;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) readable_ = true;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) writable_ = true;
    if (waiter_ && ready(until_)) std::exchange(waiter_, {}).resume();
}

void Channel::interrupt(Errc why) {
    if (!waiter_) return;
    interrupted_ = why;
    std::exchange(waiter_, {}).resume();
}

void Channel::on_second() {
    if (loop_.now() - since_ > patience_) interrupt(Errc::timed_out);
}

void Channel::on_stop() { interrupt(Errc::cancelled); }

ssize_t Channel::receive(char* to, std::size_t size) {
    if (!readable_) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t got = ::recv(socket_.get(), to, size, 0);
    // Edge-triggered: a short read has emptied the socket, and the next octet will be an event (epoll(7)). The peer's
    // end makes no event of its own if it came together with the last octets.
    if (got < 0 ? errno == EAGAIN : static_cast<std::size_t>(got) < size) readable_ = ended_;
    return got;
}

ssize_t Channel::transmit(const char* from, std::size_t size) {
    ssize_t sent = ::send(socket_.get(), from, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) writable_ = false;
    return sent;
}

void Channel::prepare_tls(SSL_CTX* context) {
    ssl_.reset(SSL_new(context));
    BIO* bio = BIO_new(channel_bio());
    BIO_set_data(bio, this);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_app_data(ssl_.get(), this);
}

Task<Result<>> Channel::connect_tls(SSL_CTX* context) {
    prepare_tls(context);
    if (session_) SSL_set_session(ssl_.get(), session_.get());
    SSL_set_connect_state(ssl_.get());
    co_return co_await handshake();
}

Task<Result<>> Channel::accept_tls(SSL_CTX* context) {
    prepare_tls(context);
    SSL_set_accept_state(ssl_.get());
    co_return co_await handshake();
}

std::optional<Channel::Until> Channel::after_tls_call(int result) const {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return Until::readable;
        case SSL_ERROR_WANT_WRITE: return Until::writable;
        default: return std::nullopt;
    }
}

Error Channel::tls_failure(std::string_view during) const {
    int system = errno;
    unsigned long first = ERR_peek_error();
    if (first == 0)
        return Error(Errc::closed, fmt::format("{}: {}", during, system ? std::strerror(system) : "closed"));
    return Error(Errc::io, fmt::format("{}: {}", during, tls_error()));
}

Task<Result<>> Channel::handshake() {
    for (;;) {
        errno = 0;
        int result = SSL_do_handshake(ssl_.get());
        if (result == 1) co_return Result<>{};
        auto until = after_tls_call(result);
        if (!until) {
            Error error = tls_failure("handshake");
            ssl_.reset();  // no close_notify on it
            co_return std::unexpected(std::move(error));
        }
        if (auto why = co_await wait(*until)) co_return fail_wait(*why);
    }
}

Task<Result<>> Channel::fill() {
    constexpr std::size_t kLittle = 64;  // is moved rather than kept in the way
    if (begin_ > 0 && (end_ == buffer_.size() || end_ - begin_ <= kLittle)) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= std::exchange(begin_, 0);
    }
    if (end_ == buffer_.size()) co_return fail(Errc::too_large, "a line is too long");
    char* to = buffer_.data() + end_;
    std::size_t room = buffer_.size() - end_;
    for (;;) {
        Until until = Until::readable;
        errno = 0;
        if (ssl_) {
            int got = SSL_read(ssl_.get(), to, static_cast<int>(room));
            if (got > 0) {
                end_ += static_cast<std::size_t>(got);
                co_return Result<>{};
            }
            auto wanted = after_tls_call(got);
            if (!wanted) {
                bool closed = SSL_get_error(ssl_.get(), got) == SSL_ERROR_ZERO_RETURN;
                if (closed) co_return fail(Errc::closed, "closed");
                co_return std::unexpected(tls_failure("read"));
            }
            until = *wanted;
        } else {
            ssize_t got = receive(to, room);
            if (got > 0) {
                end_ += static_cast<std::size_t>(got);
                co_return Result<>{};
            }
            if (got == 0) co_return fail(Errc::closed, "closed");
            if (errno != EAGAIN) co_return fail_errno("read");
        }
        if (auto why = co_await wait(until)) co_return fail_wait(*why);
    }
}

Task<Result<std::string_view>> Channel::line() {
    std::size_t seen = 0;
    for (;;) {
        auto have = input();
        if (auto end = have.find('\n', seen); end != have.npos) {
            consume(end + 1);
            co_return have.substr(0, end > 0 && have[end - 1] == '\r' ? end - 1 : end);
        }
        seen = have.size();
        if (auto more = co_await fill(); !more) co_return pass_on(more);
    }
}

Task<Result<>> Channel::end() {
    for (;;) {
        begin_ = end_;
        auto more = co_await fill();
        if (!more && more.error().code() == Errc::closed) co_return Result<>{};
        if (!more) co_return pass_on(more);
    }
}

Task<Result<>> Channel::write(std::string_view octets) {
    while (!octets.empty()) {
        Until until = Until::writable;
        errno = 0;
        if (ssl_) {
            int sent =
                SSL_write(ssl_.get(), octets.data(), static_cast<int>(std::min(octets.size(), std::size_t{1} << 30)));
            if (sent > 0) {
                octets.remove_prefix(static_cast<std::size_t>(sent));
                continue;
            }
            auto wanted = after_tls_call(sent);
            if (!wanted) co_return std::unexpected(tls_failure("write"));
            until = *wanted;
        } else {
            ssize_t sent = transmit(octets.data(), octets.size());
            if (sent >= 0) {
                octets.remove_prefix(static_cast<std::size_t>(sent));
                continue;
            }
            if (errno != EAGAIN) co_return fail_errno("write");
        }
        if (auto why = co_await wait(until)) co_return fail_wait(*why);
    }
    co_return Result<>{};
}

Task<Result<>> Channel::write(std::span<iovec> pieces) {
    if (pieces.size() == 1)
        co_return co_await write(std::string_view(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len));
    if (ssl_) {
        // TLS copies anyway: gather small pieces, so that they share records.
        thread_local std::string gathered;
        gathered.clear();
        for (const iovec& piece : pieces) gathered.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
        std::string mine = std::move(gathered);  // another connection may write while this one waits
        auto done = co_await write(std::string_view(mine));
        gathered = std::move(mine);
        co_return done;
    }
    while (!pieces.empty()) {
        msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = std::min<std::size_t>(pieces.size(), 1024);
        ssize_t sent = ::sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno != EAGAIN) co_return fail_errno("write");
            writable_ = false;
            if (auto why = co_await wait(Until::writable)) co_return fail_wait(*why);
            continue;
        }
        auto left = static_cast<std::size_t>(sent);
        while (!pieces.empty() && left >= pieces.front().iov_len) {
            left -= pieces.front().iov_len;
            pieces = pieces.subspan(1);
        }
        if (left > 0) {
            pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + left;
            pieces.front().iov_len -= left;
        }
    }
    co_return Result<>{};
}

}  // namespace poplar::bench
