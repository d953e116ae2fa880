// LMTP (RFC 2033): SMTP with an answer for each recipient.
#include <gtest/gtest.h>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;
using Script = ScriptConnection::Script;

const std::string kLhlo = "LHLO front.example\r\n";
const std::string kMail = "MAIL FROM:<sender@remote.example>\r\n";
const std::string kDemo = "RCPT TO:<demo@example.test>\r\n", kOther = "RCPT TO:<other@example.test>\r\n";
const std::string kNobody = "RCPT TO:<nobody@example.test>\r\n";

std::string lmtp(World& world, const std::string& input) {
    return after_hello(talk(world, kLhlo + input, options_for(Protocol::lmtp)).output);
}

TEST(Lmtp, GreetsOnlyWithLhlo) {
    World world;
    auto options = options_for(Protocol::lmtp);
    auto output = talk(world, "EHLO a\r\nHELO a\r\nLHLO a\r\nQUIT\r\n", options).output;
    EXPECT_EQ(codes(output), (std::vector<std::string>{"220", "500", "500", "250", "221 2.0.0"}));
    EXPECT_TRUE(output.starts_with("220 mail.example.test LMTP Poplar\r\n"));
    for (auto extension : {"PIPELINING", "ENHANCEDSTATUSCODES", "8BITMIME", "SIZE "})  // RFC 2033 s5
        EXPECT_NE(output.find(extension), std::string::npos) << extension;
    EXPECT_EQ(output.find("DSN"), std::string::npos) << "we don't report deliveries, so the front server has to";
    EXPECT_EQ(lmtp(world, kMail + "RCPT TO:<demo@example.test> NOTIFY=SUCCESS\r\n"), "250 2.1.0, 250 2.1.5");
}

TEST(Lmtp, AnswersForEachAcceptedRecipientInOrder) {
    World world;
    world.add("other@example.test");
    EXPECT_EQ(lmtp(world, kMail + kDemo + kNobody + kOther + "DATA\r\n" + kText + ".\r\nQUIT\r\n"),
              "250 2.1.0, 250 2.1.5, 550 5.1.1, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0, 221 2.0.0");
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_EQ(world.inbox("other@example.test").size(), 1u);
}

TEST(Lmtp, AnswersTwiceForARecipientGivenTwiceAndStoresOnce) {
    World world;
    EXPECT_EQ(lmtp(world, kMail + kDemo + kDemo + "DATA\r\n" + kText + ".\r\n"),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0");
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
}

TEST(Lmtp, TellsWhichRecipientsFailed) {
    for (bool chunks : {false, true}) {
        World world;
        world.add("other@example.test");
        world.engine.fail_commits_after(1, Errc::no_space);
        auto body =
            chunks ? "BDAT " + std::to_string(kText.size()) + " LAST\r\n" + kText : "DATA\r\n" + kText + ".\r\n";
        EXPECT_EQ(lmtp(world, kMail + kDemo + kOther + body + "QUIT\r\n"),
                  std::string("250 2.1.0, 250 2.1.5, 250 2.1.5, ") + (chunks ? "" : "354, ") +
                      "250 2.0.0, 452 4.3.1, 221 2.0.0");
        EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
        EXPECT_TRUE(world.inbox("other@example.test").empty());
    }
}

TEST(Lmtp, AnswersForEachRecipientWhenTheMessageAsAWholeFails) {
    World world({.message_octets = 10});
    world.add("other@example.test");
    EXPECT_EQ(lmtp(world, kMail + kDemo + kOther + "DATA\r\n" + kText + ".\r\nNOOP\r\n"),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 552 5.3.4, 552 5.3.4, 250 2.0.0");
    // One answer for a chunk in between, one a recipient after the last.
    EXPECT_EQ(lmtp(world, kMail + kDemo + kOther + "BDAT 11\r\n12345678901BDAT 0 LAST\r\nNOOP\r\n"),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 552 5.3.4, 552 5.3.4, 552 5.3.4, 250 2.0.0");
}

TEST(Lmtp, WithoutRecipientsAnswersDataAndEveryChunkWithOneRefusal) {
    World world;
    const auto nobody = kMail + kNobody;
    const std::string refused = "250 2.1.0, 550 5.1.1, 503 5.5.1, ";
    EXPECT_EQ(lmtp(world, nobody + "DATA\r\nHELP\r\n"), refused + "214 2.0.0");
    EXPECT_EQ(lmtp(world, nobody + "BDAT 2 LAST\r\n\r\nHELP\r\n"), refused + "214 2.0.0");
    EXPECT_EQ(lmtp(world, nobody + "BDAT 0 LAST\r\nHELP\r\n"), refused + "214 2.0.0");
    EXPECT_EQ(lmtp(world, nobody + "BDAT 2\r\n\r\nBDAT 2 LAST\r\n\r\nHELP\r\n"), refused + "503 5.5.1, 214 2.0.0");
    // A pipelining client has sent the next message already, which must not suffer.
    EXPECT_EQ(lmtp(world, nobody + "BDAT 2 LAST\r\n\r\n" + kMail + kDemo + "BDAT 2 LAST\r\n\r\n"),
              refused + "250 2.1.0, 250 2.1.5, 250 2.0.0");
    EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
}

TEST(Lmtp, StoresNoMessageThatARefusedChunkIsMissingFrom) {
    for (auto protocol : {Protocol::lmtp, Protocol::smtp}) {
        World world;
        auto hello = protocol == Protocol::lmtp ? kLhlo : kHello;
        auto input = hello + kMail + kNobody + "BDAT 2\r\n\r\n" + kDemo + "BDAT 2 LAST\r\n\r\n";
        EXPECT_EQ(after_hello(talk(world, input, options_for(protocol)).output),
                  "250 2.1.0, 550 5.1.1, 503 5.5.1, 503 5.5.1, 503 5.5.1");
        EXPECT_TRUE(world.inbox("demo@example.test").empty());
    }
}

TEST(Lmtp, NormalizesBareNewlines) {
    World world;
    EXPECT_EQ(lmtp(world, kMail + kDemo + "DATA\r\na\nb\rc\r\n.\r\n"), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    ASSERT_EQ(world.inbox("demo@example.test").size(), 1u);
    EXPECT_EQ(text_alone_of(world.inbox("demo@example.test")[0]), "a\r\nb c\r\n");
}

TEST(Lmtp, HasNoLimitOfUnknownRecipients) {
    World world;
    std::string input = kMail, expected = "250 2.1.0";
    for (int i = 0; i < 200; ++i) {
        input += kNobody;
        expected += ", 550 5.1.1";
    }
    EXPECT_EQ(lmtp(world, input), expected);
}

TEST(Lmtp, NamesNoAddressForALocalSocket) {
    World world;
    Script script{.flights = {kLhlo + kMail + kDemo + "DATA\r\n.\r\n"}, .peer = {"unix", 0, true}};
    talk(world, script, options_for(Protocol::lmtp));
    auto inbox = world.inbox("demo@example.test");
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_EQ(inbox[0].find("unix"), std::string::npos) << inbox[0];
    EXPECT_NE(inbox[0].find("from front.example"), std::string::npos) << inbox[0];
}

}  // namespace
}  // namespace poplar::smtp
