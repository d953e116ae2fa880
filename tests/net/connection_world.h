#pragma once
// A Connection and its peer over a socket, for tests.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "net/stream_connection.h"
#include "net/tls.h"
#include "tests/support/net_client.h"
#include "tests/support/test_certificate.h"

namespace poplar::net {

using namespace std::chrono_literals;
using test::NetClient;

/// A Connection and its peer over a local socket pair.
class ConnectionTest : public testing::Test {
protected:
    ConnectionTest() { connect(); }

    void connect() {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        server_ = make_connection(context_.get_executor(), FileDescriptor(ends[0]), {.linger = 200ms});
        client_.emplace(FileDescriptor(ends[1]));
    }

    void connect_by_tcp(int receive_buffer) {
        FileDescriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        FileDescriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        socklen_t size = sizeof address;
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        ASSERT_EQ(::bind(listener.get(), generic, size), 0);
        ASSERT_EQ(::listen(listener.get(), 1), 0);
        ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
        ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer), 0);
        ASSERT_EQ(::connect(client.get(), generic, size), 0);
        FileDescriptor server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        server_ = make_connection(context_.get_executor(), std::move(server), {.linger = 1s});
        client_.emplace(std::move(client));
    }

    /// Runs `task` to its end.
    template <class T>
    T run(Task<T> task) {
        std::optional<T> value;
        auto wrapped = [](Task<T> inner) -> Task<std::optional<T>> { co_return co_await std::move(inner); };
        asio::co_spawn(context_, wrapped(std::move(task)), [&](std::exception_ptr failure, std::optional<T> result) {
            if (failure) std::rethrow_exception(failure);
            value = std::move(result);
            context_.stop();
        });
        context_.restart();
        context_.run();
        return std::move(*value);
    }
    bool run(Task<> task) {
        auto wrapped = [](Task<> inner) -> Task<bool> {
            co_await std::move(inner);
            co_return true;
        };
        return run(wrapped(std::move(task)));
    }

    std::string line(std::size_t limit = 255, std::chrono::seconds idle = 5s, LineEnd end = LineEnd::crlf_or_lf) {
        auto got = run(server_->read_line(limit, idle, end));
        return got ? std::string(*got) : "<" + std::string(to_string(got.error().code())) + ">";
    }

    /// Calls `act` on the server's thread once nothing else is to be done there: all that has begun waits.
    void when_idle(std::function<void()> act, int turns = 50) {
        asio::post(context_, [this, act = std::move(act), turns] {
            if (turns == 0)
                act();
            else
                when_idle(act, turns - 1);
        });
    }
    /// One piece after the other: the next when all of the last was received.
    void send_when_idle(std::vector<std::string> pieces, std::size_t next = 0) {
        when_idle([this, pieces = std::move(pieces), next]() mutable {
            client_->send_octets(pieces[next]);
            if (++next < pieces.size()) send_when_idle(std::move(pieces), next);
        });
    }

    std::shared_ptr<const TlsContext> context_of(const test::TestCertificate& certificate) {
        auto context = TlsContext::load({certificate.certificate(), certificate.private_key()});
        EXPECT_TRUE(context) << context.error().why;
        return *context;
    }

    void shake(const TlsContext& context) {
        std::thread peer([this] { EXPECT_TRUE(client_->start_tls()); });
        EXPECT_TRUE(run(server_->start_tls(context, 5s)));
        peer.join();
    }
    void greet() {
        EXPECT_TRUE(run(server_->write("+OK hello\r\n")));
        EXPECT_TRUE(run(server_->flush()));
        EXPECT_EQ(client_->read_line(), "+OK hello");
    }
    static Task<std::string> octets_of(Connection& connection, std::size_t size) {
        std::string octets;
        while (octets.size() < size) {
            auto some = co_await connection.read_some(5s);
            if (!some) co_return octets + "<" + some.error().detail() + ">";
            octets.append(*some);
            connection.consume(some->size());
        }
        co_return octets;
    }

    asio::io_context context_{1};
    std::unique_ptr<StreamConnection> server_;
    std::optional<NetClient> client_;
};

}  // namespace poplar::net
