// XCLIENT: a front server says who its client is.
#include <gtest/gtest.h>

#include "smtp/command.h"
#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;

Options with_front(Protocol protocol = Protocol::smtp) {
    auto options = options_for(protocol);
    const std::string front = "192.0.2.7";  // the scripted peer
    options.xclient = Networks::parse(std::span(&front, 1)).value();
    return options;
}

TEST(XclientCommand, IsReadAttributeByAttribute) {
    auto parsed = parse_command(
        "XCLIENT NAME=spike.example ADDR=198.51.100.9 port=4321 PROTO=ESMTP HELO=a+2Bb LOGIN=[UNAVAILABLE] "
        "DESTADDR=IPV6:2001:db8::1 DESTPORT=25 REVERSE_NAME=[TEMPUNAVAIL]");
    ASSERT_TRUE(parsed);
    auto client = std::get<Xclient>(*parsed);
    EXPECT_EQ(client.address, "198.51.100.9");
    EXPECT_EQ(client.port, 4321);
    EXPECT_EQ(client.helo, "a+b");
    EXPECT_EQ(client.extended, true);

    auto unknown =
        std::get<Xclient>(*parse_command("xclient addr=[unavailable] PORT=[UNAVAILABLE] HELO=[TEMPUNAVAIL]"));
    EXPECT_EQ(unknown.address, "");
    EXPECT_FALSE(unknown.port || unknown.helo || unknown.extended);
    EXPECT_EQ(std::get<Xclient>(*parse_command("XCLIENT ADDR=IPV6:2001:db8::7")).address, "2001:db8::7");
}

TEST(XclientCommand, IsRefusedIfAnythingOfItIsWrong) {
    for (std::string line :
         {"XCLIENT", "XCLIENT ", "XCLIENT ADDR", "XCLIENT ADDR=", "XCLIENT COLOUR=red", "XCLIENT PORT=65536",
          "XCLIENT PORT=x", "XCLIENT PROTO=LMTP", "XCLIENT HELO=a+20b", "XCLIENT HELO=+0D+0A", "XCLIENT NAME=+4",
          "XCLIENT ADDR=192.0.2.1 =x", "XCLIENT DESTPORT=-1"}) {
        auto parsed = parse_command(line);
        ASSERT_FALSE(parsed) << line;
        EXPECT_EQ(parsed.error(), replies::kBadArgument) << line;
    }
    EXPECT_FALSE(parse_command("XCLIENT NAME=" + std::string(256, 'x')));
}

TEST(Xclient, IsOfferedToFrontServersAlone) {
    World world;
    EXPECT_TRUE(talk(world, kHello, with_front()).output.contains("250-XCLIENT NAME ADDR "));
    EXPECT_TRUE(talk(world, "LHLO a\r\n", with_front(Protocol::lmtp)).output.contains("250-XCLIENT "));
    EXPECT_FALSE(talk(world, kHello).output.contains("XCLIENT"));
    EXPECT_EQ(after_hello(talk(world, kHello + "XCLIENT ADDR=198.51.100.9\r\n").output), "550 5.7.0");
}

TEST(Xclient, BeginsTheSessionAnewForItsClient) {
    World world;
    auto output = talk(world,
                       kHello + "XCLIENT ADDR=198.51.100.9 PORT=4321\r\nMAIL FROM:<>\r\nEHLO real.example\r\n" +
                           kEnvelope + "DATA\r\n" + kText + ".\r\n",
                       with_front())
                      .output;
    EXPECT_EQ(after_hello(output), "220, 503 5.5.1, 250, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    ASSERT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_TRUE(world.inbox("demo@example.test")[0].contains("from real.example ([198.51.100.9])"));
}

TEST(Xclient, MaySayTheHelloToo) {
    World world;
    auto output = talk(world,
                       kHello + "XCLIENT ADDR=IPV6:2001:db8::9 HELO=real.example PROTO=ESMTP\r\n" + kEnvelope +
                           "DATA\r\n" + kText + ".\r\n",
                       with_front())
                      .output;
    EXPECT_EQ(after_hello(output), "220, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    ASSERT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_TRUE(world.inbox("demo@example.test")[0].contains("from real.example ([IPv6:2001:db8::9])"));
}

TEST(Xclient, AnAddressThatIsNotKnownIsLeftOutOfTheTrace) {
    World world;
    talk(world, kHello + "XCLIENT ADDR=[UNAVAILABLE]\r\n" + kHello + kEnvelope + "DATA\r\n" + kText + ".\r\n",
         with_front());
    ASSERT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_FALSE(world.inbox("demo@example.test")[0].contains("192.0.2.7"));
    EXPECT_FALSE(world.inbox("demo@example.test")[0].contains("unknown"));
}

TEST(Xclient, HasNoPlaceInAMessageAndTakesNoNonsense) {
    World world;
    auto output = talk(world,
                       kHello + "XCLIENT ADDR=example.org\r\n" + kEnvelope + "XCLIENT ADDR=198.51.100.9\r\nDATA\r\n" +
                           kText + ".\r\n",
                       with_front())
                      .output;
    EXPECT_EQ(after_hello(output), "501 5.5.4, 250 2.1.0, 250 2.1.5, 503 5.5.1, 354, 250 2.0.0");
}

TEST(Xclient, ForgetsTheErrorsOfTheClientBefore) {
    World world;
    auto options = with_front();
    options.limits.bad_commands = 3;
    std::string input = kHello;
    for (int i = 0; i < 4; ++i) input += "XYZZY\r\nXYZZY\r\nXCLIENT ADDR=198.51.100.9\r\n";
    auto output = talk(world, input + "XYZZY\r\nXYZZY\r\nXYZZY\r\n", options).output;
    EXPECT_TRUE(after_hello(output).ends_with("220, 500 5.5.2, 500 5.5.2, 421 4.7.0"));
}

}  // namespace
}  // namespace poplar::smtp
