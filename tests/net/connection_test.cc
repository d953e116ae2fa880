// A Connection over a socket: lines, blocks, deadlines, turns, slow peers, and how it ends.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/turn.h"
#include "net/stream_connection.h"
#include "tests/net/connection_world.h"
#include "tests/support/moved_time.h"
#include "tests/support/test_certificate.h"

namespace poplar::net {
namespace {

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

}  // namespace
}  // namespace poplar::net
