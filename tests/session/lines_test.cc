#include "session/lines.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "tests/support/run.h"
#include "tests/support/script_connection.h"

namespace poplar::session {
namespace {

using namespace std::chrono_literals;
using test::ScriptConnection;

struct Peer {
    explicit Peer(ScriptConnection::Script script) : connection(std::move(script), transcript) {}
    std::shared_ptr<test::Transcript> transcript = std::make_shared<test::Transcript>();
    ScriptConnection connection;
    Lines lines{connection, 3};
};

TEST(SessionLines, AreAtHandOnceTheyHaveCome) {
    Peer peer({.flights = {"one\r\ntwo\nthr", "ee\r\n"}});
    EXPECT_FALSE(peer.lines.at_hand(100)) << "nothing was read yet";
    EXPECT_EQ(*test::run(peer.lines.read(100, 1s)), "one");
    auto two = peer.lines.at_hand(100);
    ASSERT_TRUE(two);
    EXPECT_EQ(two->text, "two");
    EXPECT_EQ(peer.lines.at_hand(100)->text, "two") << "until it is consumed";
    peer.lines.consume(*two);
    EXPECT_FALSE(peer.lines.at_hand(100)) << "half a line is none";
    EXPECT_EQ(*test::run(peer.lines.read(100, 1s)), "three");
}

TEST(SessionLines, ABareLfEndsOnlyWhereTheProtocolSaysSo) {
    Peer peer({.flights = {"one\r\ntwo\nthree\r\n"}});
    EXPECT_EQ(*test::run(peer.lines.read(100, 1s, net::LineEnd::crlf)), "one");
    EXPECT_EQ(peer.lines.at_hand(100, net::LineEnd::crlf)->text, "two\nthree");
    EXPECT_EQ(peer.lines.at_hand(100, net::LineEnd::crlf_or_lf)->text, "two");
}

TEST(SessionLines, OneThatIsTooLongIsNotAtHandAndLeftToRead) {
    Peer peer({.flights = {"one\r\n12345678\r\nthree\r\n"}});
    EXPECT_EQ(*test::run(peer.lines.read(10, 1s)), "one");
    EXPECT_FALSE(peer.lines.at_hand(9));
    EXPECT_TRUE(peer.lines.at_hand(10)) << "eight octets and their end";
    EXPECT_EQ(test::run(peer.lines.read(9, 1s)).error().code(), Errc::too_large);
    EXPECT_EQ(peer.lines.at_hand(9)->text, "three");
}

TEST(SessionLines, ADeadlineHoldsAlsoForWhoAlwaysHasAnotherLine) {
    Peer peer({.flights = {"one\r\ntwo\r\n"}});
    EXPECT_TRUE(test::run(peer.lines.read(100, 1s, net::LineEnd::crlf, SteadyClock::now() + 1h)));
    auto late = test::run(peer.lines.read(100, 1s, net::LineEnd::crlf, SteadyClock::now() - 1s));
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code(), Errc::timed_out);
}

TEST(SessionLines, TheLastBadCommandIsTheLast) {
    Peer peer({});
    EXPECT_TRUE(peer.lines.allow_bad_command());
    EXPECT_TRUE(peer.lines.allow_bad_command());
    EXPECT_FALSE(peer.lines.allow_bad_command());
    peer.lines.forgive_bad_commands();
    EXPECT_TRUE(peer.lines.allow_bad_command());
}

TEST(SessionLines, TheLogHasTheSessionsReasonOrElseTheConnections) {
    for (auto [code, reason] : {std::pair{Errc::timed_out, "timed_out"},
                                {Errc::cancelled, "stopping"},
                                {Errc::closed, "closed"},
                                {Errc::io, "closed"}}) {
        Peer peer({});
        EXPECT_EQ(peer.lines.reason(fail(code, "")), reason);
        EXPECT_EQ(peer.lines.parting(), net::Parting::abrupt);
    }
    Peer peer({});
    Result<> ended = peer.lines.end(kQuit);
    EXPECT_EQ(peer.lines.end("bad_commands").error().code(), Errc::closed);
    EXPECT_EQ(peer.lines.reason(ended), kQuit) << "the first reason counts";
    EXPECT_EQ(peer.lines.parting(), net::Parting::agreed);
}

TEST(SessionLines, WhatIsThrownEndsTheSessionAlone) {
    Peer peer({});
    auto run = []() -> Task<Result<>> {
        throw std::runtime_error("our mistake");
        co_return Result<>();
    };
    auto ended = test::run(peer.lines.guard(run(), "test.failed", "s1"));
    EXPECT_FALSE(ended);
    EXPECT_EQ(peer.lines.reason(ended), kFailed);
    EXPECT_EQ(peer.lines.parting(), net::Parting::abrupt);
}

TEST(SessionLines, WhoWaitsForACommandIsToldOfAnOusting) {
    Peer peer({.flights = {"one\r\n"}});
    EXPECT_TRUE(test::run(peer.lines.read(100, 1s)));
    asio::io_context context(1);
    Result<> ended;
    auto session = [&]() -> Task<> {
        auto line = co_await peer.lines.read(100, 1s);
        EXPECT_FALSE(line);
        if (!line) ended = pass_on(line);
        (void)co_await peer.connection.write("BYE\r\n");
        (void)co_await peer.connection.flush();
    };
    asio::co_spawn(context, session(), asio::detached);
    asio::post(context, [&] { peer.lines.oust(); });
    context.run();
    ASSERT_FALSE(ended);
    EXPECT_EQ(ended.error().code(), Errc::conflict);
    EXPECT_EQ(peer.lines.reason(ended), "account_changed");
    EXPECT_EQ(peer.transcript->output, "BYE\r\n") << "the connection is there for a last word";
}

TEST(SessionLines, WhoHasACommandUnderWayIsCutByAnOusting) {
    Peer peer({.flights = {"one\r\ntwo\r\n"}});
    EXPECT_TRUE(test::run(peer.lines.read(100, 1s)));
    peer.lines.oust();
    EXPECT_FALSE(peer.lines.at_hand(100)) << "no command is obeyed any more";
    EXPECT_FALSE(test::run(peer.lines.read(100, 1s)));
    EXPECT_FALSE(test::run(peer.connection.write("+OK\r\n")));
    EXPECT_EQ(peer.lines.reason(fail(Errc::closed, "")), "account_changed");
}

TEST(SessionLines, AnOperatorEndsASessionWhateverItDoes) {
    Peer peer({.flights = {"one\r\ntwo\r\n"}});
    EXPECT_TRUE(test::run(peer.lines.read(100, 1s)));
    peer.lines.cut();
    EXPECT_FALSE(peer.lines.at_hand(100)) << "no command is obeyed any more";
    EXPECT_FALSE(test::run(peer.lines.read(100, 1s)));
    EXPECT_FALSE(test::run(peer.connection.write("+OK\r\n")));
    EXPECT_EQ(peer.lines.reason(fail(Errc::closed, "")), "ended_by_operator");
}

}  // namespace
}  // namespace poplar::session
