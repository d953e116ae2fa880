// A Connection over a socket, plain and TLS: lines, blocks, deadlines, turns, slow peers, and how it ends.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <random>
#include <thread>

#include "base/turn.h"
#include "net/handshakes.h"
#include "net/stream_connection.h"
#include "net/tls.h"
#include "tests/support/moved_time.h"
#include "tests/support/net_client.h"
#include "tests/support/test_certificate.h"

namespace {

using namespace poplar;
using namespace poplar::net;
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

TEST_F(ConnectionTest, GivesTheSameLinesHoweverTheyAreCut) {
    std::string_view input = "USER fred\r\nPASS  a b \r\nbare\n\r\nlast\r\n";
    for (std::size_t cut = 1; cut < input.size(); ++cut) {
        client_->send(input.substr(0, cut));
        asio::post(context_, [&] { client_->send(input.substr(cut)); });
        EXPECT_EQ(line(), "USER fred") << cut;
        EXPECT_EQ(line(), "PASS  a b ") << cut;
        EXPECT_EQ(line(), "bare") << cut;
        EXPECT_EQ(line(), "") << cut;
        EXPECT_EQ(line(), "last") << cut;
    }
}

TEST_F(ConnectionTest, EndsNoLineWithABareLfWhereThatIsAskedFor) {
    std::string_view input = "a\nb\r\n\n\r\n\r\r\nlast\r\n";
    for (std::size_t cut = 1; cut < input.size(); ++cut) {
        client_->send(input.substr(0, cut));
        asio::post(context_, [&] { client_->send(input.substr(cut)); });
        for (auto expected : {"a\nb", "\n", "\r", "last"}) EXPECT_EQ(line(255, 5s, LineEnd::crlf), expected) << cut;
    }
}

TEST_F(ConnectionTest, FindsTheEndOfALongLineHoweverItIsCut) {
    for (auto first : {std::string(20, 'x'), std::string(20, 'x') + "\n", std::string(20, 'x') + "\r"}) {
        client_->send(first);
        asio::post(context_, [&] { client_->send(first.ends_with('\r') ? "\nNOOP\r\n" : "y\nz\r\nNOOP\r\n"); });
        EXPECT_EQ(line(10, 5s, LineEnd::crlf), "<too_large>");
        EXPECT_EQ(line(10, 5s, LineEnd::crlf), "NOOP");
    }
}

TEST_F(ConnectionTest, CountsTheLineEndInTheLimit) {
    struct Case {
        std::string_view sent;
        std::string_view expected;
    };
    for (auto [sent, expected] : {Case{"12345678\r\n", "12345678"},
                                  {"123456789\n", "123456789"},
                                  {"123456789\r\n", "<too_large>"},
                                  {"1234567890\r\n", "<too_large>"}}) {
        client_->send(sent);
        EXPECT_EQ(line(10), expected) << sent;
    }
}

TEST_F(ConnectionTest, SwallowsALongLineAndGoesOnAfterIt) {
    client_->send(std::string(100'000, 'x'));
    asio::post(context_, [&] { client_->send("tail\r\nNOOP\r\n"); });
    EXPECT_EQ(line(), "<too_large>");
    EXPECT_EQ(line(), "NOOP");
}

TEST_F(ConnectionTest, SaysClosedAtTheEndOfTheStreamAndGivesNoHalfLine) {
    client_->send("QUIT");
    client_->finish_sending();
    EXPECT_EQ(line(), "<closed>");
    EXPECT_EQ(line(), "<closed>");
}

TEST_F(ConnectionTest, DrippingOctetsDoNotExtendALinesDeadline) {
    auto read = [](Connection& from) -> Task<> {
        auto line = co_await from.read_line(255, 60s);
        EXPECT_FALSE(line);
        if (!line) EXPECT_EQ(line.error().code(), Errc::timed_out);
    };
    EXPECT_EQ(test::seconds_of(context_, read(*server_), [this] { client_->send("x"); }), 60);
}

TEST_F(ConnectionTest, AnEarlierDeadlineAfterALaterOneIsKept) {
    client_->send("one\r\n");
    EXPECT_EQ(line(255, 600s), "one");
    client_->send("tw");
    asio::post(context_, [&] { client_->send("o\r\n"); });
    EXPECT_EQ(line(255, 600s), "two");
    when_idle([this] { test::pass_time(context_, 1s); });
    EXPECT_EQ(line(255, 1s), "<timed_out>");
}

TEST_F(ConnectionTest, ReadSomeGivesWhatWasNotConsumed) {
    client_->send("DATA\r\nabc");
    EXPECT_EQ(line(), "DATA");
    EXPECT_EQ(run(server_->read_some(5s)).value(), "abc");
    server_->consume(2);
    EXPECT_EQ(run(server_->read_some(5s)).value(), "c");
    server_->consume(1);
    asio::post(context_, [&] { client_->send("next"); });
    EXPECT_EQ(run(server_->read_some(5s)).value(), "next");
}

TEST_F(ConnectionTest, ReadSomePutsWhatArrivesWhereItIsWanted) {
    for (bool tls : {false, true}) {
        if (tls) shake(*context_of(test::TestCertificate()));
        std::array<char, 4> room;
        auto some = [&] { return run(server_->read_some(5s, room)).value(); };
        client_->send("DATA\r\nabc");
        EXPECT_EQ(line(), "DATA");
        EXPECT_EQ(some(), "abc") << "has come already";
        server_->consume(3);
        asio::post(context_, [&] { client_->send("defgh\r\ni"); });
        auto there = some();
        EXPECT_EQ(there, "defg");
        EXPECT_EQ(there.data(), room.data());
        server_->consume(1);
        room.fill('!');
        EXPECT_EQ(some(), "efg") << "what was not consumed";
        server_->consume(3);
        EXPECT_EQ(line(), "h");
        EXPECT_EQ(some(), "i");
        server_->consume(1);
    }
}

TEST_F(ConnectionTest, WhatIsAtHandCanBeTakenWithoutARead) {
    EXPECT_EQ(server_->at_hand(), "") << "nothing has been read";
    client_->send("a\r\nbc\r\nd");
    EXPECT_EQ(line(), "a");
    EXPECT_EQ(server_->at_hand(), "bc\r\nd");
    server_->consume(4);
    EXPECT_EQ(server_->at_hand(), "d");
    client_->send("e\r\n");
    EXPECT_EQ(line(), "de");
}

TEST_F(ConnectionTest, OthersGetTheirTurnHoweverMuchIsAtHand) {
    static constexpr std::size_t kLines = 1'000, kLinesInATurn = 10;
    std::string lines;
    while (lines.size() < 2 * kLines) lines += "x\n";
    client_->send(lines);
    auto take_all = [](Connection& from, std::size_t& left, std::size_t& turns) -> Task<> {
        for (; left > 0; --left) {
            if (from.at_hand().empty()) {
                ++turns;
                EXPECT_TRUE(co_await from.read_line(255, 5s));
            } else {
                from.consume(2);
            }
            SteadyClock::move(SteadyClock::duration(turn::kLimit) / kLinesInATurn);  // what a line costs
        }
    };
    auto left = kLines;
    std::size_t turns = 0, of_others = 0;
    std::function<void()> other = [&] {
        if (left == 0) return;
        ++of_others;
        asio::post(context_, other);
    };
    asio::post(context_, other);
    run(take_all(*server_, left, turns));
    EXPECT_GE(turns, kLines / (kLinesInATurn + 1));
    EXPECT_GE(of_others, turns) << "the other one had to wait for several of them";
}

// Each line costs a whole turn, as the expansion of a long alias may.
TEST_F(ConnectionTest, OthersGetTheirTurnBetweenLinesThatCostMuch) {
    constexpr std::size_t kLines = 1'000;
    std::string lines;
    while (lines.size() < 2 * kLines) lines += "x\n";
    client_->send(lines);
    auto take_all = [](Connection& from, std::size_t& taken) -> Task<> {
        for (; taken < kLines; ++taken) {
            EXPECT_TRUE(co_await from.read_line(255, 5s));
            SteadyClock::move(turn::kLimit);
        }
    };
    std::size_t taken = 0, seen = 0;
    std::function<void()> other = [&] {
        EXPECT_LE(taken - seen, 2U);
        seen = taken;
        if (taken < kLines) asio::post(context_, other);
    };
    asio::post(context_, other);
    run(take_all(*server_, taken));
    EXPECT_GE(seen, kLines - 2);
}

TEST_F(ConnectionTest, SendsWhatIsGatheredBeforeItWaits) {
    EXPECT_TRUE(run(server_->write("+OK one\r\n")));
    EXPECT_TRUE(run(server_->write("+OK two\r\n")));
    char byte;
    EXPECT_EQ(::recv(client_->fd(), &byte, 1, MSG_DONTWAIT), -1) << "sent although nobody waited";
    EXPECT_EQ(line(255, 0s), "<timed_out>");
    EXPECT_EQ(client_->read_line(), "+OK one");
    EXPECT_EQ(client_->read_line(), "+OK two");
}

TEST_F(ConnectionTest, AReplyThatThePeerWaitsForIsSentAtOnceAndOthersAreGathered) {
    std::string_view pieces[] = {"+OK 3 octets\r\n", "", "abc", "\r\n.\r\n"};
    client_->send("RETR 1\r\nRETR 2\r\n");
    EXPECT_EQ(line(), "RETR 1");
    EXPECT_TRUE(server_->try_write_all(pieces));
    char byte;
    EXPECT_EQ(::recv(client_->fd(), &byte, 1, MSG_DONTWAIT), -1) << "sent although there is another command";
    EXPECT_EQ(line(), "RETR 2");
    EXPECT_TRUE(server_->try_write_all(pieces));
    for (int i = 0; i < 2; ++i)
        for (auto expected : {"+OK 3 octets", "abc", "."}) EXPECT_EQ(client_->read_line(), expected);
}

TEST_F(ConnectionTest, RepliesThatThePeerDoesNotTakeAreKeptUpToALimit) {
    std::string half(30'000, 'x'), sent;
    const std::string_view pieces[] = {half, "\r\n", half};
    int replies = 0;
    while (replies < 1'000 && server_->try_write_all(pieces)) ++replies;
    EXPECT_GT(replies, 1);
    EXPECT_LT(replies * 60'002, 1'000'000) << "twice what is gathered, and the socket's own";
    const std::string_view large[] = {half, half, half};
    EXPECT_FALSE(server_->try_write_all(large));

    std::string received;
    std::thread reader([&] { received = client_->read_all(); });
    auto rest = [](Connection& to, std::span<const std::string_view> last) -> Task<> {
        EXPECT_TRUE(co_await to.write_all(last));
        co_await to.close();
    };
    run(rest(*server_, large));
    reader.join();
    for (int i = 0; i < replies; ++i) sent += half + "\r\n" + half;
    EXPECT_TRUE(received == sent + half + half + half);
}

TEST_F(ConnectionTest, RepliesOverTlsComeWholeHoweverFastThePeerTakesThem) {
    shake(*context_of(test::TestCertificate()));
    std::string text, sent;
    for (int i = 0; text.size() < 50'000; ++i) text += std::to_string(i) + "\r\n";
    const std::string_view pieces[] = {"+OK\r\n", text, ".\r\n"};
    std::string received;
    std::thread reader([&] { received = client_->read_all(); });
    auto write = [](Connection& to, std::span<const std::string_view> reply) -> Task<> {
        for (int i = 0; i < 200; ++i)
            if (!to.try_write_all(reply)) EXPECT_TRUE(co_await to.write_all(reply));
        co_await to.close();
    };
    run(write(*server_, pieces));
    reader.join();
    for (int i = 0; i < 200; ++i) sent += "+OK\r\n" + text + ".\r\n";
    EXPECT_TRUE(received == sent) << received.size() << " octets of " << sent.size();
}

TEST_F(ConnectionTest, NothingIsTakenOnceItIsCut) {
    server_->abort();
    const std::string_view pieces[] = {"+OK\r\n"};
    EXPECT_FALSE(server_->try_write_all(pieces));
}

TEST_F(ConnectionTest, DeliversMoreThanTheSocketHoldsInOrder) {
    std::string sent;
    for (int i = 0; sent.size() < 3'000'000; ++i) sent += std::to_string(i) + "\r\n";
    std::string received;
    std::thread reader([&] { received = client_->read_all(); });
    auto write_all = [](Connection& to, std::string_view bytes) -> Task<> {
        for (std::size_t at = 0, size = 1; at < bytes.size(); at += size, size = size * 3 % 200'003 + 1)
            (void)co_await to.write(bytes.substr(at, size));
        co_await to.close();
    };
    run(write_all(*server_, sent));
    reader.join();
    EXPECT_TRUE(received == sent);
}

/// Writes more than the socket holds to a peer that takes so many octets a second; how that ended.
struct SlowReader {
    Errc outcome = Errc::cancelled;
    std::size_t taken = 0;
};
Task<> write_to_slow(Connection& to, SlowReader& reader) {
    std::string bytes(1'500'000, 'x');
    auto sent = co_await to.write(bytes);
    reader.outcome = sent ? Errc::cancelled : sent.error().code();
}

TEST_F(ConnectionTest, GivesUpOnAPeerThatTakesNothing) {
    SlowReader reader;
    EXPECT_EQ(test::seconds_of(context_, write_to_slow(*server_, reader)), 300);
    EXPECT_EQ(reader.outcome, Errc::timed_out);
}

TEST_F(ConnectionTest, GivesUpOnAPeerThatTakesTooLittleForLong) {
    SlowReader reader;
    auto take = [&] {
        char octets[100];
        auto got = ::recv(client_->fd(), octets, sizeof octets, MSG_DONTWAIT);
        if (got > 0) reader.taken += static_cast<std::size_t>(got);
    };
    EXPECT_LE(test::seconds_of(context_, write_to_slow(*server_, reader), take), 700);
    EXPECT_EQ(reader.outcome, Errc::timed_out);
    EXPECT_LT(reader.taken, 70'001u);
}

TEST_F(ConnectionTest, ASlowPeerAboveTheLowestRateGetsAll) {
    SlowReader reader;
    auto take = [&] {
        char octets[1000];
        auto got = ::recv(client_->fd(), octets, sizeof octets, MSG_DONTWAIT);
        if (got > 0) reader.taken += static_cast<std::size_t>(got);
    };
    EXPECT_GT(test::seconds_of(context_, write_to_slow(*server_, reader), take), 900);
    EXPECT_EQ(reader.outcome, Errc::cancelled) << "cut";
}

TEST_F(ConnectionTest, StopReadingCancelsOnlyReadsThatWouldWait) {
    client_->send("one\r\ntwo\r\n");
    EXPECT_EQ(line(), "one");
    server_->stop_reading();
    EXPECT_EQ(line(), "two");
    EXPECT_EQ(line(), "<cancelled>");
    EXPECT_TRUE(run(server_->write("-ERR bye\r\n")));
    EXPECT_TRUE(run(server_->flush()));
    EXPECT_EQ(client_->read_line(), "-ERR bye");
}

TEST_F(ConnectionTest, StopReadingEndsAWaitAtOnce) {
    when_idle([&] { server_->stop_reading(); });
    EXPECT_EQ(line(255, 600s), "<cancelled>");
}

TEST_F(ConnectionTest, AbortEndsAWaitAndEverythingAfter) {
    when_idle([&] { server_->abort(); });
    EXPECT_EQ(line(255, 600s), "<closed>");
    EXPECT_FALSE(run(server_->start_tls(*context_of(test::TestCertificate()), 5s)));
    EXPECT_EQ(client_->read_all(), "");
}

TEST_F(ConnectionTest, APauseSendsWhatIsGatheredAndLeavesWhatComesForLater) {
    client_->send("one\r\ntwo\r\n");
    EXPECT_EQ(line(), "one");
    auto pause = [](Connection& connection) -> Task<> {
        EXPECT_TRUE(co_await connection.write("+OK\r\n"));
        EXPECT_TRUE(co_await connection.pause(7s));
    };
    EXPECT_EQ(test::seconds_of(context_, pause(*server_), [this] { client_->send("three\r\n"); }), 7);
    EXPECT_EQ(client_->read_line(), "+OK");
    for (auto expected : {"two", "three", "three"}) EXPECT_EQ(line(), expected);
}

TEST_F(ConnectionTest, APauseEndsWhenTheServerStopsOrCutsIt) {
    auto pause = [this] { return run(server_->pause(600s)); };
    when_idle([&] { server_->stop_reading(); });
    auto ended = pause();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Errc::cancelled);
    when_idle([&] { server_->abort(); });
    ended = pause();
    ASSERT_FALSE(ended);
}

TEST_F(ConnectionTest, CloseDeliversTheLastReplyToAPeerThatGoesOnSending) {
    client_->send("garbage\r\nmore garbage\r\n");
    EXPECT_EQ(line(), "garbage");
    EXPECT_TRUE(run(server_->write("-ERR too many bad commands\r\n")));
    std::thread late([this] { client_->send("still more\r\n"); });
    run(server_->close());
    late.join();
    EXPECT_EQ(client_->read_all(), "-ERR too many bad commands\r\n");
}

TEST_F(ConnectionTest, WaitsForAPeerThatHasAgreedToPartOnlyIfItSaidSomethingMore) {
    struct Case {
        bool tls;
        std::string more;
    };
    test::TestCertificate certificate;
    for (const auto& [tls, more] : {Case{false, ""}, {false, "NOOP\r\n"}, {true, ""}, {true, "NOOP\r\n"}}) {
        SCOPED_TRACE(fmt::format("{}, \"{}\"", tls ? "TLS" : "plain", more));
        connect();
        if (tls) shake(*context_of(certificate));
        greet();
        auto record = [&](std::string_view text) { return tls ? client_->records(text) : std::string(text); };
        client_->send_octets(record("QUIT\r\n") + (more.empty() ? "" : record(more)));
        EXPECT_EQ(line(), "QUIT");
        EXPECT_TRUE(run(server_->write("+OK bye\r\n")));
        bool closed = false;
        auto on_end = [&](std::exception_ptr) { closed = true; };
        asio::co_spawn(context_, server_->close(Parting::agreed), on_end);
        context_.restart();
        context_.poll();
        EXPECT_EQ(closed, more.empty());
        EXPECT_EQ(client_->read_all(), "+OK bye\r\n");
        if (tls) EXPECT_TRUE(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN) << "a goodbye";
        while (!closed) context_.run_one();
    }
}

// The peer's goodbye in TLS comes at once behind QUIT, and the peer reads late: closing meanwhile would send a reset.
TEST_F(ConnectionTest, APeerThatSaysGoodbyeEarlyGetsAllReplies) {
    std::string message;
    for (int i = 0; message.size() < 60'000; ++i) message += std::to_string(i) + "\r\n";
    for (int receive_buffer : {8'192, 200'000}) {
        SCOPED_TRACE(receive_buffer);
        connect_by_tcp(receive_buffer);
        shake(*context_of(test::TestCertificate()));
        greet();
        client_->send("RETR 1\r\nQUIT\r\n");
        EXPECT_EQ(line(), "RETR 1");
        const std::string_view reply[] = {"+OK\r\n", message, ".\r\n"};
        EXPECT_TRUE(run(server_->write_all(reply)));
        EXPECT_EQ(line(), "QUIT");
        SSL_shutdown(client_->tls());
        EXPECT_TRUE(run(server_->write("+OK bye\r\n")));
        std::string got;
        std::thread reader([&] {
            std::this_thread::sleep_for(50ms);
            got = client_->read_all();
        });
        run(server_->close(Parting::agreed));
        reader.join();
        EXPECT_TRUE(got == "+OK\r\n" + message + ".\r\n+OK bye\r\n") << got.size() << " octets";
    }
}

TEST_F(ConnectionTest, SaysGoodbyeInTlsEvenIfNobodySaidAnything) {
    shake(*context_of(test::TestCertificate()));
    run(server_->close());
    EXPECT_EQ(client_->read_all(), "");
    EXPECT_TRUE(SSL_get_shutdown(client_->tls()) & SSL_RECEIVED_SHUTDOWN);
}

// A record is half sent when the peer has had its time. Whatever followed would come in the middle of it.
TEST_F(ConnectionTest, SaysNothingMoreAfterAReplyThatDidNotArrive) {
    for (bool tls : {false, true}) {
        for (std::size_t drained : {0u, 1'000u, 20'000u, 40'000u, 60'000u, 100'000u}) {
            SCOPED_TRACE(fmt::format("{}, {} octets read late", tls ? "TLS" : "plain", drained));
            connect();
            if (tls) shake(*context_of(test::TestCertificate()));
            std::optional<Errc> failure;
            auto stall = [&]() -> Task<> {
                Result<> sent;
                for (int i = 0; sent && i < 20'000; ++i) sent = co_await server_->write(std::string(60, 'x') + "\r\n");
                if (!sent) failure = sent.error().code();
                EXPECT_FALSE(co_await server_->write("421 too slow\r\n") && co_await server_->flush());
                co_await server_->close();
            };
            bool ended = false;
            asio::co_spawn(context_, stall(), [&](std::exception_ptr) { ended = true; });
            for (int second = 0; !ended && second < 1'000; ++second) {
                do context_.restart();
                while (context_.poll() != 0);
                std::string taken(drained, '\0');
                if (second == 5) (void)::recv(client_->fd(), taken.data(), taken.size(), MSG_DONTWAIT);
                if (!ended) test::pass_time(context_, 1s);
            }
            EXPECT_TRUE(ended);
            EXPECT_EQ(failure, Errc::timed_out);
        }
    }
}

TEST_F(ConnectionTest, DestructionDuringNothingLeavesNoTimerBehind) {
    client_->send("one\r\n");
    EXPECT_EQ(line(), "one");
    EXPECT_EQ(line(255, 0s), "<timed_out>");
    server_.reset();
    context_.restart();
    EXPECT_LE(context_.run_for(100ms), 2u);
    EXPECT_TRUE(context_.stopped());
}

TEST_F(ConnectionTest, BindsToItsTlsConnectionAsTheClientDoes) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    EXPECT_EQ(server_->channel_binding("tls-exporter"), "") << "plain";
    EXPECT_EQ(server_->channel_binding("tls-server-end-point"), "");
    std::string exported(32, '\0'), end_point(32, '\0');
    std::thread peer([&] {
        client_->start_tls();
        // RFC 9266 s2, and RFC 5929 s4.1 with the certificate's own hash, SHA-256.
        constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
        auto octets = [](std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); };
        SSL_export_keying_material(client_->tls(), octets(exported), 32, kLabel.data(), kLabel.size(), nullptr, 0, 0);
        X509_digest(SSL_get0_peer_certificate(client_->tls()), EVP_sha256(), octets(end_point), nullptr);
    });
    EXPECT_TRUE(run(server_->start_tls(*context, 5s)));
    peer.join();
    EXPECT_NE(exported, std::string(32, '\0'));
    EXPECT_EQ(server_->channel_binding("tls-exporter"), exported);
    EXPECT_EQ(server_->channel_binding("tls-server-end-point"), end_point);
    EXPECT_EQ(server_->channel_binding("tls-unique"), "") << "TLS 1.3 has none";
    EXPECT_TRUE(server_->tls()->certificate_addresses.empty());
}

TEST_F(ConnectionTest, SpeaksTlsAfterTheUpgrade) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    EXPECT_EQ(server_->tls(), nullptr);
    std::string echoed, ended;
    bool shaken = false;
    std::thread peer([&] {
        shaken = client_->start_tls();
        client_->send("hello over TLS\r\n");
        echoed = client_->read_line();
        ended = client_->read_all();
    });
    auto upgraded = run(server_->start_tls(*context, 5s));
    EXPECT_TRUE(upgraded) << upgraded.error().detail();
    EXPECT_EQ(line(), "hello over TLS");
    EXPECT_TRUE(run(server_->write("and back\r\n")));
    EXPECT_TRUE(run(server_->write(std::string(300'000, 'x'))));
    run(server_->close());
    peer.join();
    EXPECT_TRUE(shaken);
    EXPECT_EQ(echoed, "and back");
    EXPECT_TRUE(ended == std::string(300'000, 'x'));
    ASSERT_NE(server_->tls(), nullptr);
    EXPECT_EQ(server_->tls()->version, "TLSv1.3");
    EXPECT_FALSE(server_->tls()->cipher.empty());
}

// Half a header, half a record, a record and half of the next: each piece is received before the next is sent.
TEST_F(ConnectionTest, ReadsAllOfTlsWhereverItsRecordsAreCut) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    shake(*context);
    const std::string words[] = {"LIST 1\r\n", "NO", "OP\r\n"};
    for (std::size_t cut = 1;; ++cut) {
        std::string octets, text;
        for (const auto& word : words) {
            octets += client_->records(word);
            text += word;
        }
        if (cut >= octets.size()) break;
        client_->send_octets(std::string_view(octets).substr(0, cut));
        when_idle([&] { client_->send_octets(std::string_view(octets).substr(cut)); });
        ASSERT_EQ(run(octets_of(*server_, text.size())), text) << "cut at " << cut << " of " << octets.size();
    }
}

// Lines and blocks by turns: they wait with different room for what comes.
TEST_F(ConnectionTest, ReadsAllOfTlsHoweverMuchComesAtOnce) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    shake(*context);
    std::minstd_rand random(1);
    for (int round = 0; round < 40; ++round) {
        std::string octets, text;
        while (octets.size() < 50'000) {
            std::string word(1 + random() % (random() % 8 == 0 ? 16'384 : 300), static_cast<char>('a' + random() % 26));
            octets += client_->records(word);
            text += word;
        }
        octets += client_->records("\r\n");
        std::vector<std::string> pieces;
        for (std::string_view rest = octets; !rest.empty();) {
            auto some = std::min<std::size_t>(rest.size(), 1 + random() % (random() % 2 == 0 ? 700 : 20'000));
            pieces.emplace_back(rest.substr(0, some));
            rest.remove_prefix(some);
        }
        send_when_idle(std::move(pieces));
        if (round % 2 == 0)
            ASSERT_TRUE(line(text.size() + 2) == text) << "round " << round;
        else
            ASSERT_TRUE(run(octets_of(*server_, text.size() + 2)) == text + "\r\n") << "round " << round;
    }
}

// CVE-2011-0411: what was injected before the handshake must not be obeyed after it. RFC 2595 s4.
TEST_F(ConnectionTest, DiscardsPlaintextReceivedBeforeTheHandshake) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    client_->send("STLS\r\nDELE 1\r\nDELE 2\r\n");
    EXPECT_EQ(line(), "STLS");
    std::thread peer([&] {
        EXPECT_TRUE(client_->start_tls());
        client_->send("CAPA\r\n");
    });
    EXPECT_TRUE(run(server_->start_tls(*context, 5s)));
    EXPECT_EQ(line(), "CAPA");
    peer.join();
}

TEST_F(ConnectionTest, AHandshakeHasADeadlineAndAFailedOneEndsTheConnection) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    when_idle([this] { test::pass_time(context_, 30s); });
    auto shaken = run(server_->start_tls(*context, 30s));
    ASSERT_FALSE(shaken);
    EXPECT_EQ(shaken.error().code(), Errc::timed_out);
    EXPECT_EQ(line(), "<closed>");
}

TEST_F(ConnectionTest, AHandshakeWaitsForItsTurnAndIsRefusedIfThatIsFar) {
    test::TestCertificate certificate;
    const auto context = context_of(certificate);
    Handshakes handshakes({.handshakes_per_peer = 1, .handshakes_per_network = 100});
    auto come = [&] {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        server_ = make_connection(context_.get_executor(), FileDescriptor(ends[0]), Peer{"192.0.2.1", 1, false},
                                  {.handshakes = &handshakes});
        client_.emplace(FileDescriptor(ends[1]));
    };
    for (int i = 0; i < 7; ++i) (void)handshakes.begin({"192.0.2.1", 1, false});
    come();
    auto shake_hands = [](Connection& connection, const TlsContext& tls) -> Task<> {
        EXPECT_TRUE(co_await connection.start_tls(tls, 60s));
    };
    std::thread peer([&] { EXPECT_TRUE(client_->start_tls()); });
    EXPECT_EQ(
        test::seconds_of(context_, shake_hands(*server_, *context), [] { std::this_thread::sleep_for(5ms); }) >= 3,
        true);
    peer.join();

    for (int i = 0; i < 20; ++i) (void)handshakes.begin({"192.0.2.1", 1, false});
    come();
    auto refused = run(server_->start_tls(*context, 60s));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::busy);
    EXPECT_EQ(line(), "<closed>");
}

TEST_F(ConnectionTest, GarbageInsteadOfAHandshakeIsClosed) {
    test::TestCertificate certificate;
    auto context = context_of(certificate);
    client_->send("EHLO this is not TLS\r\n");
    auto shaken = run(server_->start_tls(*context, 5s));
    ASSERT_FALSE(shaken);
    EXPECT_EQ(shaken.error().code(), Errc::closed);
}

TEST_F(ConnectionTest, APeerOnALocalSocketIsLoopback) {
    EXPECT_EQ(server_->peer().address, "unix");
    EXPECT_TRUE(server_->peer().loopback);
}

TEST(PeerAt, SaysItsAddressAsPeopleWriteIt) {
    struct Case {
        int family;
        std::string_view address, text;
        bool loopback;
    };
    for (auto [family, address, text, loopback] : {Case{AF_INET, "192.0.2.1", "192.0.2.1", false},
                                                   {AF_INET, "0.0.0.0", "0.0.0.0", false},
                                                   {AF_INET, "255.255.255.255", "255.255.255.255", false},
                                                   {AF_INET, "127.10.200.3", "127.10.200.3", true},
                                                   {AF_INET, "12.7.0.1", "12.7.0.1", false},
                                                   {AF_INET6, "2001:db8::1", "2001:db8::1", false},
                                                   {AF_INET6, "::1", "::1", true},
                                                   {AF_INET6, "::ffff:192.0.2.100", "192.0.2.100", false},
                                                   {AF_INET6, "::ffff:127.0.0.1", "127.0.0.1", true}}) {
        sockaddr_storage from{};
        from.ss_family = static_cast<sa_family_t>(family);
        auto& v4 = reinterpret_cast<sockaddr_in&>(from);
        auto& v6 = reinterpret_cast<sockaddr_in6&>(from);
        v4.sin_port = htons(1100);  // at the same place in both
        void* into = family == AF_INET ? static_cast<void*>(&v4.sin_addr) : &v6.sin6_addr;
        ASSERT_EQ(inet_pton(family, std::string(address).c_str(), into), 1);
        auto peer = peer_at(from);
        EXPECT_EQ(peer.address, text);
        EXPECT_EQ(peer.port, 1100);
        EXPECT_EQ(peer.loopback, loopback) << address;
    }
}

TEST(TlsContext, NamesTheFileThatIsWrong) {
    test::TestCertificate one, other;
    struct Case {
        TlsOptions options;
        TlsFault::Option wrong;
        std::string why;
    };
    using enum TlsFault::Option;
    const auto chain = one.certificate(), key = one.private_key();
    for (const auto& [options, wrong, why] :
         {Case{{"/nowhere/c.pem", key}, certificate, "/nowhere/c.pem: No such file or directory"},
          Case{{chain, "/nowhere/k.pem"}, private_key, "/nowhere/k.pem: No such file or directory"},
          Case{{chain, other.private_key()}, private_key, other.private_key() + ": does not belong to the certificate"},
          Case{{key, key}, certificate, key + ": holds no PEM block of this kind"},
          Case{{chain, chain}, private_key, chain + ": holds no PEM block of this kind"},
          Case{{chain, key, key}, client_ca, key + ": holds no PEM block of this kind"},
          Case{{chain, key, "", "NOSUCH"}, ciphers, "\"NOSUCH\": no cipher match"}}) {
        auto loaded = TlsContext::load(options);
        ASSERT_FALSE(loaded);
        EXPECT_EQ(loaded.error().option, wrong) << why;
        EXPECT_EQ(loaded.error().why, why);
    }
    auto good = TlsContext::load({one.certificate(), one.private_key()});
    ASSERT_TRUE(good);
    EXPECT_TRUE((*good)->not_after().ends_with("Z")) << (*good)->not_after();
}

}  // namespace
