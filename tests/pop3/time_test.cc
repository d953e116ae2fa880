// A session's limits of time, over a real connection and on a clock that the test moves.
#include <sys/socket.h>

#include "net/stream_connection.h"
#include "tests/pop3/world.h"
#include "tests/support/moved_time.h"
#include "tests/support/net_client.h"

namespace {

using namespace poplar;
using namespace std::chrono_literals;
using test::kLogin;

class Pop3Time : public test::Pop3World {
protected:
    Pop3Time() {
        append(message_);
        connect();
    }

    void connect() {
        say(std::string(kLogin) + "QUIT\r\n");  // the password is known for minutes: no thread has to hash it
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        server_ = net::FileDescriptor(ends[0]);
        client_.emplace(net::FileDescriptor(ends[1]));
    }

    /// How many seconds the session lasts when `act` is called every second.
    int session(std::function<void(int second)> act = [](int) {}) {
        auto connection = net::make_connection(context_.get_executor(), std::move(server_), {.linger = 0ms});
        int second = 0;
        auto each = [&] { act(second++); };
        return test::seconds_of(context_, pop3::serve(std::move(connection), services_, options_, "timed"), each);
    }
    /// Asks for far more octets than the socket holds.
    void ask_for_much(std::string_view last = "", int times = 1000) {
        std::string commands(kLogin);
        for (int i = 0; i < times; ++i) commands += "RETR 1\r\n";
        client_->send(commands.append(last));
    }
    bool maildrop_is_free() { return test::run(store_.open_maildrop(fred_)).has_value(); }
    /// Takes at most so much of what has come, without waiting.
    void take(std::size_t octets) {
        std::string into(octets, ' ');
        (void)::recv(client_->fd(), into.data(), into.size(), MSG_DONTWAIT);
    }

    const std::string message_ = "Subject: x\r\n\r\n" + std::string(900, 'y') + "\r\n";
    asio::io_context context_{1};
    net::FileDescriptor server_;
    std::optional<test::NetClient> client_;
};

TEST_F(Pop3Time, AStrangerWhoSaysNothingIsGoneAfterAMinute) {
    EXPECT_EQ(session(), 60);
    EXPECT_EQ(client_->read_all(), "+OK Poplar ready\r\n") << "without a word (RFC 1939 s3)";
}

TEST_F(Pop3Time, AnOctetNowAndThenDoesNotKeepAStranger) {
    EXPECT_EQ(session([&](int) { client_->send("N"); }), 60);
}

TEST_F(Pop3Time, CommandsNowAndThenDoNotKeepAStranger) {
    auto seconds = session([&](int second) {
        if (second % 30 == 0) client_->send("CAPA\r\n");
    });
    EXPECT_GE(seconds, 180);
    EXPECT_LE(seconds, 181);
}

TEST_F(Pop3Time, AnAuthExchangeThatIsLeftOpenDoesNotKeepAStranger) {
    client_->send("AUTH PLAIN\r\n");
    EXPECT_EQ(session([&](int) { client_->send("A"); }), 60);
}

TEST_F(Pop3Time, AfterTheLoginThereAreTenMinutesForEachCommand) {
    client_->send(kLogin);
    auto seconds = session([&](int second) {
        if (second == 599 || second == 1198) client_->send("NOOP\r\n");
    });
    EXPECT_GE(seconds, 1198 + 600);
    EXPECT_LE(seconds, 1199 + 600);
    EXPECT_TRUE(client_->read_all().ends_with("+OK still here\r\n+OK still here\r\n"));
    EXPECT_TRUE(maildrop_is_free());
}

TEST_F(Pop3Time, AnOctetNowAndThenIsNoCommand) {
    client_->send(std::string(kLogin) + "DELE 1\r\n");
    EXPECT_EQ(session([&](int) { client_->send("N"); }), 600);
    EXPECT_TRUE(client_->read_all().ends_with("+OK deleted\r\n"));
    EXPECT_EQ(stored_messages(), 1u) << "only QUIT deletes";
    EXPECT_TRUE(maildrop_is_free());
}

TEST_F(Pop3Time, WhoTakesNothingOfAnAnswerLosesTheSessionAndTheLock) {
    ask_for_much();
    EXPECT_EQ(session(), 300);
    EXPECT_TRUE(maildrop_is_free());
}

// The session waits for the peer in the middle of its answers, after the last one, or for a command. (Its farewell may
// still wait for room in the socket, but the maildrop must be free.)
TEST_F(Pop3Time, WhoTakesNothingLosesTheLockAtOnceWhenTheAccountChanges) {
    for (int times : {1000, 350, 300, 280, 260, 240, 220, 200, 10}) {
        connect();
        ask_for_much("", times);
        session([&](int second) {
            if (second == 5) EXPECT_EQ(open_sessions_.end(fred_), 1u);
            if (second == 6) EXPECT_TRUE(maildrop_is_free()) << times << " messages asked for";
        });
    }
}

TEST_F(Pop3Time, WhoTakesAnAnswerTooSlowlyLosesTheSessionAndTheLock) {
    ask_for_much();
    EXPECT_LE(session([&](int) { take(100); }), 700);
    EXPECT_TRUE(maildrop_is_free());
}

TEST_F(Pop3Time, WhoTakesAnAnswerSlowlyGetsItAll) {
    ask_for_much("DELE 1\r\nQUIT\r\n");
    EXPECT_GT(session([&](int) { take(1000); }), 500);
    EXPECT_EQ(stored_messages(), 0u) << "QUIT was reached";
}

}  // namespace
