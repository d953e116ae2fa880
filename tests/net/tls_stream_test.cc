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

/// Both sides of TLS behind their handshake. What the client then sends is fed by hand.
class TlsStreamTest : public testing::Test {
protected:
    void SetUp() override {
        int ends[2];
        ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        socket_ = FileDescriptor(ends[0]);
        client_.emplace(FileDescriptor(ends[1]));
        ASSERT_EQ(::fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
        auto context = TlsContext::load({certificate_.certificate(), certificate_.private_key()});
        ASSERT_TRUE(context) << context.error().detail();
        auto made = TlsStream::make(**context, ends[0]);
        ASSERT_TRUE(made);
        server_ = std::move(*made);
        std::thread peer([this] { EXPECT_TRUE(client_->start_tls()); });
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

}  // namespace
