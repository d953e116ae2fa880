#pragma once
// A plain or TLS client for tests that blocks, with a limit on every wait. It never throws: what failed reads as "".
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "net/file_descriptor.h"

namespace poplar::test {

class NetClient {
public:
    /// Takes over a connected socket.
    explicit NetClient(net::FileDescriptor socket) : socket_(std::move(socket)) {
        timeval limit{10, 0};
        setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }

    static NetClient connect(std::uint16_t port) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        net::FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return NetClient({});
        return NetClient(std::move(socket));
    }

    static NetClient connect_local(const std::string& path) {
        sockaddr_un to{};
        to.sun_family = AF_UNIX;
        std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
        net::FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return NetClient({});
        return NetClient(std::move(socket));
    }

    bool connected() const { return static_cast<bool>(socket_); }

    void send(std::string_view bytes) {
        if (ssl_)
            SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
        else
            send_octets(bytes);
    }

    /// The TLS records that send() would send, to be sent with send_octets(), in pieces.
    std::string records(std::string_view bytes) {
        BIO* wire = SSL_get_wbio(ssl_.get());
        BIO* memory = BIO_new(BIO_s_mem());
        BIO_up_ref(wire);
        SSL_set0_wbio(ssl_.get(), memory);
        send(bytes);
        char* made = nullptr;
        auto size = BIO_get_mem_data(memory, &made);
        std::string octets(made, static_cast<std::size_t>(size));
        SSL_set0_wbio(ssl_.get(), wire);
        return octets;
    }

    /// As they are, whether there is TLS or not.
    void send_octets(std::string_view octets) {
        while (!octets.empty()) {
            auto sent = ::send(socket_.get(), octets.data(), octets.size(), MSG_NOSIGNAL);
            if (sent <= 0) return;
            octets.remove_prefix(static_cast<std::size_t>(sent));
        }
    }

    /// The next line without its end; "" at the end of the stream.
    std::string read_line() {
        for (;;) {
            if (auto end = input_.find('\n'); end != std::string::npos) {
                auto line = input_.substr(0, end);
                input_.erase(0, end + 1);
                if (line.ends_with('\r')) line.pop_back();
                return line;
            }
            if (!receive()) return {};
        }
    }

    /// Everything up to the end of the stream.
    std::string read_all() {
        while (receive()) {
        }
        return std::exchange(input_, {});
    }

    /// Does the client's side of the handshake, continuing `session` if there is one; the certificate is not checked.
    /// `fragments`: how large it wants records (RFC 6066 s4).
    bool start_tls(SSL_SESSION* session = nullptr, std::uint8_t fragments = TLSEXT_max_fragment_length_DISABLED) {
        context_.reset(SSL_CTX_new(TLS_client_method()));
        ssl_.reset(SSL_new(context_.get()));
        SSL_set_tlsext_max_fragment_length(ssl_.get(), fragments);
        SSL_set_fd(ssl_.get(), socket_.get());
        if (session) SSL_set_session(ssl_.get(), session);
        return SSL_connect(ssl_.get()) == 1;
    }

    SSL* tls() const { return ssl_.get(); }

    /// The session to continue later, after something has been read. The caller frees it.
    SSL_SESSION* tls_session() { return SSL_get1_session(ssl_.get()); }

    /// Frees what TLS holds on this side, without a word to the other.
    void leave_tls() {
        ssl_.reset();
        context_.reset();
    }

    void finish_sending() { ::shutdown(socket_.get(), SHUT_WR); }
    int fd() const { return socket_.get(); }

private:
    struct Free {
        void operator()(SSL* ssl) const { SSL_free(ssl); }
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };

    bool receive() {
        char bytes[16 * 1024];
        auto got = ssl_ ? SSL_read(ssl_.get(), bytes, sizeof bytes) : ::recv(socket_.get(), bytes, sizeof bytes, 0);
        if (got > 0) input_.append(bytes, static_cast<std::size_t>(got));
        return got > 0;
    }

    net::FileDescriptor socket_;
    std::unique_ptr<SSL_CTX, Free> context_;
    std::unique_ptr<SSL, Free> ssl_;
    std::string input_;
};

}  // namespace poplar::test
