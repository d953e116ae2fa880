// SMTP smuggling (CVE-2023-51764, CVE-2023-51765, CVE-2023-51766 and kin): two servers that disagree on where a message
// ends let one message carry another inside, with a forged envelope. Here only CRLF "." CRLF ends a message.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;
using Script = ScriptConnection::Script;
using namespace std::string_literals;

// Octets that some server has taken for the end of a message.
const std::string kFalseEnds[] = {
    "\n.\n"s,     "\n.\r\n"s,   "\r\n.\n"s,     "\r.\r"s,       "\r.\r\n"s,   "\r\n.\r"s,   "\n.\r"s,
    "\r.\n"s,     "\n\n.\n"s,   "\r\r\n.\n"s,   "\n\r.\n\r"s,   "\r\n.\r\r"s, "\r\n.\0\n"s, "\n.\0\r\n"s,
    "\r\n\n.\n"s, "\r\n\r.\r"s, "\r\n.\r\r\n"s, "\r\n.\n\r\n"s, "\0\n.\r\n"s, "\r\0.\r\n"s, "\r\n.\r\0\n"s,
};

// Similar octets without a bare CR or LF: nothing is wrong with such a message.
const std::string kHarmlessEnds[] = {
    "\r\n..\r\n"s, "\r\n .\r\n"s, "\r\n. \r\n"s, "\r\n.\0\r\n"s, "\r\n\0.\r\n"s, "\r\n.\t\r\n"s, "\xc2\x85.\xc2\x85"s,
};

std::string smuggle(const std::string& false_end) {
    return kEnvelope + "DATA\r\nSubject: first\r\n\r\nfirst" + false_end +
           "MAIL FROM:<admin@example.test>\r\nRCPT TO:<demo@example.test>\r\nDATA\r\nSubject: second\r\n\r\nsecond" +
           "\r\n.\r\nQUIT\r\n";
}

std::string printable(const std::string& text) {
    std::string out;
    for (char c : text) out += c == '\r' ? "<CR>" : c == '\n' ? "<LF>" : c == '\0' ? "<NUL>" : std::string(1, c);
    return out;
}

TEST(Smuggling, AMessageWithBareNewlinesIsRefusedAsOne) {
    for (const auto& end : kFalseEnds)
        for (std::size_t cut : {0, 1, 2, 3, 5}) {
            World world;
            auto transcript = talk(world, Script{.flights = {kHello + smuggle(end)}, .cut = cut});
            EXPECT_EQ(after_hello(transcript.output), "250 2.1.0, 250 2.1.5, 354, 554 5.6.0, 221 2.0.0")
                << printable(end) << " in blocks of " << cut;
            EXPECT_TRUE(world.inbox("demo@example.test").empty()) << printable(end);
        }
}

TEST(Smuggling, AfterARefusedMessageNoMailIsTakenOnItsConnection) {
    // CR CR LF "." CR LF does hold a CRLF "." CRLF, but a server before us may have read on.
    for (auto between : {""s, "RSET\r\n"s, "EHLO again\r\n"s, "NOOP\r\n"s}) {
        World world;
        auto input = kHello + smuggle("\r\r\n.\r\n" + between);
        auto expected = "250 2.1.0, 250 2.1.5, 354, 554 5.6.0, "s + (between.empty() ? "" : "250") +
                        (between.empty()               ? ""
                         : between.starts_with("EHLO") ? ", "
                                                       : " 2.0.0, ") +
                        "421 4.7.0";
        EXPECT_EQ(after_hello(talk(world, input).output), expected);
        EXPECT_TRUE(world.inbox("demo@example.test").empty());
    }
}

TEST(Smuggling, AMessageWithoutBareNewlinesIsStoredAsOne) {
    for (const auto& end : kHarmlessEnds)
        for (std::size_t cut : {0, 1, 2, 3, 5}) {
            World world;
            auto transcript = talk(world, Script{.flights = {kHello + smuggle(end)}, .cut = cut});
            EXPECT_EQ(after_hello(transcript.output), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0")
                << printable(end) << " in blocks of " << cut;
            auto inbox = world.inbox("demo@example.test");
            ASSERT_EQ(inbox.size(), 1u) << printable(end);
            EXPECT_NE(inbox[0].find("admin@example.test"), std::string::npos);
            EXPECT_TRUE(inbox[0].ends_with("second\r\n"));
        }
}

TEST(Smuggling, LmtpNormalizesAndStillStoresOneMessage) {
    auto options = options_for(Protocol::lmtp);
    for (const auto& end : kFalseEnds)
        for (std::size_t cut : {0, 1, 2, 3, 5}) {
            World world;
            auto script = Script{.flights = {"LHLO front.example\r\n" + smuggle(end)}, .cut = cut};
            EXPECT_EQ(after_hello(talk(world, script, options).output),
                      "250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0")
                << printable(end) << " in blocks of " << cut;
            auto inbox = world.inbox("demo@example.test");
            ASSERT_EQ(inbox.size(), 1u) << printable(end);
            // POP3 will send it as it is, so it must not contain an end of its own (RFC 1939 s3).
            EXPECT_EQ(inbox[0].find("\r\n.\r\n"), std::string::npos) << printable(inbox[0]);
            for (std::size_t at = 0; (at = inbox[0].find_first_of("\r\n", at)) != std::string::npos; at += 2)
                ASSERT_EQ(inbox[0].substr(at, 2), "\r\n") << "a bare newline is left in " << printable(inbox[0]);
        }
}

TEST(Smuggling, AChunkHidesNoCommands) {
    World world;
    std::string inner = "x\r\n.\r\nMAIL FROM:<admin@example.test>\r\nRCPT TO:<demo@example.test>\r\nDATA\r\n.\r\n";
    auto input = kHello + kEnvelope + "BDAT " + std::to_string(inner.size()) + " LAST\r\n" + inner + "QUIT\r\n";
    for (std::size_t cut : {0, 1, 2, 3, 5})
        EXPECT_EQ(after_hello(talk(world, Script{.flights = {input}, .cut = cut}).output),
                  "250 2.1.0, 250 2.1.5, 250 2.0.0, 221 2.0.0");
    auto inbox = world.inbox("demo@example.test");
    ASSERT_EQ(inbox.size(), 5u);
    for (const auto& message : inbox)
        EXPECT_TRUE(text_alone_of(message).starts_with("x\r\n..\r\nMAIL FROM:")) << message;
}

TEST(Smuggling, ARefusedChunkHidesNoCommands) {
    for (auto before : {""s, "MAIL FROM:<a@b.example>\r\n"s}) {
        World world;
        auto inner = kEnvelope + "DATA\r\nsecond\r\n.\r\n";
        auto input = kHello + before + "BDAT " + std::to_string(inner.size()) + " LAST\r\n" + inner + "QUIT\r\n";
        auto found = after_hello(talk(world, input).output);
        EXPECT_EQ(found, (before.empty() ? "" : "250 2.1.0, ") + "503 5.5.1, 221 2.0.0"s);
        EXPECT_TRUE(world.inbox("demo@example.test").empty());
    }
}

TEST(Smuggling, AChunkOfUnknownSizeEndsTheConnection) {
    for (auto broken :
         {"BDAT"s, "BDAT x"s, "BDAT 5 LASTLY"s, "BDAT 5,LAST"s, "bdat -1"s, "BDAT 99999999999999999999"s}) {
        World world;
        auto input = kHello + kEnvelope + broken + "\r\n" + kEnvelope + "DATA\r\nsecond\r\n.\r\n";
        EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 421 4.5.4") << broken;
        EXPECT_TRUE(world.inbox("demo@example.test").empty());
    }
}

}  // namespace
}  // namespace poplar::smtp
