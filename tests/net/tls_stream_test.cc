// TlsStream with its peer, both in this process: octets cut anywhere, sockets that take little, goodbyes.
#include "net/tls_stream.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <optional>
#include <random>
#include <thread>

#include "net/tls.h"
#include "tests/support/net_client.h"
#include "tests/support/test_certificate.h"

namespace {

using namespace poplar;
using namespace poplar::net;
using test::NetClient;

/// Both sides of TLS behind their handshake. The test then feeds the client's octets by hand.
class TlsStreamTest : public testing::Test {
protected:
    void SetUp() override { shake_hands(); }

    void shake_hands(std::uint8_t fragments = TLSEXT_max_fragment_length_DISABLED) {
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        socket_ = FileDescriptor(ends[0]);
        client_.emplace(FileDescriptor(ends[1]));
        ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        auto context = TlsContext::load({certificate_.certificate(), certificate_.private_key()});
        ASSERT_TRUE(context) << context.error().why;
        auto made = TlsStream::make(**context, ends[0]);
        ASSERT_TRUE(made);
        server_ = std::move(*made);
        std::thread peer([this, fragments] { EXPECT_TRUE(client_->start_tls(nullptr, fragments)); });
        auto attempt = server_->accept();
        while (attempt.outcome == Attempt::Outcome::want_read) {
            pollfd readable{ends[0], POLLIN, 0};
            if (::poll(&readable, 1, 10'000) != 1) break;
            auto into = server_->room(2048);
            auto got = ::recv(ends[0], into.data(), into.size(), 0);
            server_->received(got > 0 ? static_cast<std::size_t>(got) : 0);
            attempt = server_->accept();
        }
        peer.join();
        ASSERT_EQ(attempt.outcome, Attempt::Outcome::moved) << attempt.why;
    }

    /// As if they were received with as much room, as often as it takes.
    void feed(std::string_view octets, std::size_t room) {
        while (!octets.empty()) {
            auto into = server_->room(room);
            ASSERT_EQ(into.size(), room);
            auto some = std::min(room, octets.size());
            std::memcpy(into.data(), octets.data(), some);
            server_->received(some);
            octets.remove_prefix(some);
        }
    }

    /// All there is to be read now.
    std::string read() {
        std::string text;
        std::array<char, 1000> some;
        for (;;) {
            auto attempt = server_->read(some);
            if (attempt.outcome == Attempt::Outcome::over) return text + "<" + attempt.why + ">";
            if (attempt.outcome != Attempt::Outcome::moved) return text;
            text.append(some.data(), attempt.octets);
        }
    }

    test::TestCertificate certificate_;
    FileDescriptor socket_;
    std::optional<NetClient> client_;
    std::unique_ptr<TlsStream> server_;
};

// A string that grows a little makes room for twice as much: more than was asked for must not show.
TEST_F(TlsStreamTest, ReadsAllThatCameWhereverItIsCutAndWithWhateverRoom) {
    constexpr std::size_t kRooms[] = {1, 3, 16, 17, 512, 600, 1100, 8192};
    enum class Between { nothing, reads, reads_and_gives_back };
    for (auto between : {Between::nothing, Between::reads, Between::reads_and_gives_back})
        for (auto before : kRooms)
            for (auto behind : kRooms)
                for (std::size_t cut = 1, end = 2; cut < end; ++cut) {
                    auto octets = client_->records("half a record") + client_->records(" and the next\r\n");
                    end = octets.size();
                    feed(std::string_view(octets).substr(0, cut), before);
                    auto text = between == Between::nothing ? std::string() : read();
                    if (between == Between::reads_and_gives_back) server_->give_back_buffer();
                    feed(std::string_view(octets).substr(cut), behind);
                    text += read();
                    ASSERT_EQ(text, "half a record and the next\r\n")
                        << "cut at " << cut << " of " << end << ", room " << before << " and " << behind;
                }
}

TEST_F(TlsStreamTest, ReadsManyRecordsFromABufferThatGrows) {
    std::minstd_rand random(1);
    std::string octets, text;
    for (int i = 0; i < 300; ++i) {
        std::string word(1 + random() % (i % 50 == 49 ? 16'384 : 300), static_cast<char>('a' + i % 26));
        octets += client_->records(word);
        text += word;
    }
    std::string got;
    for (std::string_view rest = octets; !rest.empty();) {
        auto some = std::min<std::size_t>(rest.size(), 1 + random() % 3000);
        feed(rest.substr(0, some), 1 + random() % 900);
        rest.remove_prefix(some);
        if (random() % 4 != 0) continue;
        got += read();
        ASSERT_TRUE(text.starts_with(got)) << "wrong behind " << got.size() << " octets, or: " << got.substr(0, 100);
    }
    got += read();
    EXPECT_TRUE(got == text) << got.size() << " octets of " << text.size();
}

// Pieces meet within records; the socket takes a part now and then. The caller goes on as a connection does.
TEST_F(TlsStreamTest, WritesAllPiecesInTheirOrderHoweverLittleTheSocketTakes) {
    constexpr std::size_t kSizes[] = {0,      1,      20,     5, 0,         16'383, 16'384, 16'385,
                                      65'530, 65'530, 65'536, 3, 1'000'000, 700,    5};
    constexpr std::size_t kRecord = 16'384;
    int least = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);

    std::size_t headers = 0;
    SSL_set_msg_callback(client_->tls(), [](int, int, int type, const void*, std::size_t, SSL*, void* count) {
        if (type == SSL3_RT_HEADER) ++*static_cast<std::size_t*>(count);
    });
    SSL_set_msg_callback_arg(client_->tls(), &headers);
    std::string got;
    std::thread peer([this, &got] { got = client_->read_all(); });

    std::string text;
    std::size_t records = 0, waits = 0;
    for (int round = 0; round < 3; ++round) {
        std::vector<std::string> octets;
        for (auto size : kSizes) octets.emplace_back(size, static_cast<char>('a' + octets.size() + round));
        std::vector<std::string_view> pieces(octets.begin(), octets.end());
        std::size_t total = 0;
        for (const auto& piece : octets) text += piece, total += piece.size();
        records += (total + kRecord - 1) / kRecord;

        std::span<const std::string_view> more = pieces;
        for (std::string_view bytes; total > 0;) {
            auto attempt = server_->write(bytes, more);
            if (attempt.outcome == Attempt::Outcome::want_write) {
                ++waits;
                pollfd writable{socket_.get(), POLLOUT, 0};
                ASSERT_EQ(::poll(&writable, 1, 10'000), 1);
                continue;
            }
            ASSERT_EQ(attempt.outcome, Attempt::Outcome::moved) << attempt.why;
            ASSERT_LE(attempt.octets, total);
            total -= attempt.octets;
            for (; attempt.octets > bytes.size() || (bytes.empty() && !more.empty()); more = more.subspan(1)) {
                attempt.octets -= bytes.size();
                bytes = more.front();
            }
            bytes.remove_prefix(attempt.octets);
        }
    }
    server_->shutdown();
    ::shutdown(socket_.get(), SHUT_WR);
    peer.join();
    EXPECT_TRUE(got == text) << got.size() << " octets of " << text.size();
    EXPECT_GT(waits, 10u);
    EXPECT_LE(headers, records + 3) << "besides its tickets and its goodbye";
}

TEST_F(TlsStreamTest, AClientGetsAllInRecordsAsSmallAsItWants) {
    for (auto fragments : {TLSEXT_max_fragment_length_512, TLSEXT_max_fragment_length_4096}) {
        shake_hands(static_cast<std::uint8_t>(fragments));
        std::string got, text;
        std::thread peer([this, &got] { got = client_->read_all(); });
        for (std::size_t size : {5, 512, 513, 16'384, 16'385, 70'000, 3}) {
            const std::string octets(size, static_cast<char>('a' + text.size() % 26));
            text += octets;
            for (std::string_view rest = octets; !rest.empty();) {
                auto attempt = server_->write(rest, {});
                if (attempt.outcome == Attempt::Outcome::want_write) {
                    pollfd writable{socket_.get(), POLLOUT, 0};
                    ASSERT_EQ(::poll(&writable, 1, 10'000), 1);
                    continue;
                }
                ASSERT_EQ(attempt.outcome, Attempt::Outcome::moved) << attempt.why;
                rest.remove_prefix(attempt.octets);
            }
        }
        server_->shutdown();
        ::shutdown(socket_.get(), SHUT_WR);
        peer.join();
        EXPECT_TRUE(got == text) << got.size() << " octets of " << text.size();
    }
}

TEST_F(TlsStreamTest, ItsTicketLeavesWithWhatIsSaidNext) {
    auto arrived = [this] {
        return ::recv(client_->fd(), std::array<char, 1>().data(), 1, MSG_PEEK | MSG_DONTWAIT) == 1;
    };
    EXPECT_FALSE(arrived());
    EXPECT_EQ(server_->write("+OK\r\n", {}).outcome, Attempt::Outcome::moved);
    EXPECT_EQ(client_->read_line(), "+OK");
    auto* session = client_->tls_session();
    EXPECT_EQ(SSL_SESSION_is_resumable(session), 1);
    SSL_SESSION_free(session);
}

TEST_F(TlsStreamTest, ItsTicketDoesNotWaitForThatWhereTheClientSpeaksFirst) {
    feed(client_->records("CAPA\r\n"), 512);
    EXPECT_EQ(read(), "CAPA\r\n");
    EXPECT_EQ(::recv(client_->fd(), std::array<char, 1>().data(), 1, MSG_PEEK | MSG_DONTWAIT), 1);
}

TEST_F(TlsStreamTest, ItsGoodbyeLeavesWithTheLastOctetsAndOnce) {
    const std::string first(16'384, 'a'), second(30'000, 'b');
    server_->part();
    EXPECT_EQ(server_->write(first, std::array{std::string_view(second)}).octets, 32'768u);
    EXPECT_EQ(server_->write(std::string_view(second).substr(16'384), {}).octets, second.size() - 16'384);
    EXPECT_TRUE(client_->read_all() == first + second);
    EXPECT_EQ(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    server_->shutdown();
    EXPECT_EQ(::recv(client_->fd(), std::array<char, 1>().data(), 1, MSG_DONTWAIT), -1);
}

// A goodbye there would stand in the middle of a record.
TEST_F(TlsStreamTest, SaysNoGoodbyeBehindHalfARecord) {
    int least = 1;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDBUF, &least, sizeof least);
    const std::string octets(65'536, 'x');
    ASSERT_EQ(server_->write(octets, {}).outcome, Attempt::Outcome::want_write);
    server_->shutdown();
    ::shutdown(socket_.get(), SHUT_WR);
    auto got = client_->read_all();
    EXPECT_LT(got.size(), octets.size());
    EXPECT_EQ(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN, 0);
}

}  // namespace
