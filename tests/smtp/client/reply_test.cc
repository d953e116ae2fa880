#include "smtp/client/reply.h"

#include <gtest/gtest.h>

namespace poplar::smtp::client {
namespace {

Result<Reply> parse(const std::vector<std::string>& lines) {
    ReplyParser parser;
    for (std::size_t i = 0; i < lines.size(); ++i) {
        auto last = parser.add(lines[i]);
        if (!last) return pass_on(last);
        EXPECT_EQ(*last, i + 1 == lines.size()) << lines[i];
    }
    return parser.take();
}

TEST(SmtpReply, HasACodeAStatusAndAText) {
    struct Case {
        std::vector<std::string> lines;
        int code;
        std::string status, text;
    };
    for (const auto& [lines, code, status, text] :
         {Case{{"250 ok"}, 250, "", "ok"}, Case{{"250"}, 250, "", ""}, Case{{"250 "}, 250, "", ""},
          Case{{"550 5.1.1 no such user"}, 550, "5.1.1", "no such user"},
          Case{{"550-5.1.1 no", "550 5.1.1 such user"}, 550, "5.1.1", "no such user"},
          Case{{"550 4.1.1 of another class"}, 550, "", "4.1.1 of another class"},
          Case{{"450 4.7.100 x"}, 450, "4.7.100", "x"}, Case{{"550 5.1 x"}, 550, "", "5.1 x"},
          Case{{"550 5.1.1.1 x"}, 550, "", "5.1.1.1 x"}, Case{{"421-", "421  "}, 421, "", ""}}) {
        auto reply = parse(lines);
        ASSERT_TRUE(reply) << lines[0];
        EXPECT_EQ(reply->code, code);
        EXPECT_EQ(reply->status, status) << lines[0];
        EXPECT_EQ(reply->text, text) << lines[0];
        EXPECT_EQ(reply->lines.size(), lines.size());
    }
}

TEST(SmtpReply, WhatIsNoReplyIsAnError) {
    for (const auto& lines : {std::vector<std::string>{""},
                              {"25"},
                              {"abc"},
                              {"250x"},
                              {"150 x"},
                              {"600 x"},
                              {"2 0 x"},
                              {"250-a", "550 b"},
                              {"250-a", "b"}})
        EXPECT_FALSE(parse(lines)) << lines[0];
    ReplyParser parser;
    for (std::size_t i = 0; i < kReplyLines; ++i) ASSERT_TRUE(parser.add("250-x"));
    EXPECT_FALSE(parser.add("250 x"));
}

TEST(SmtpReply, LongTextIsCut) {
    auto reply = parse({"550-" + std::string(900, 'a'), "550 " + std::string(900, 'b')});
    ASSERT_TRUE(reply);
    EXPECT_LE(reply->text.size(), kReplyText + 1);
}

TEST(SmtpExtensions, AreReadInAnyCaseAndMalformedOnesPassedOver) {
    auto found =
        parse_extensions({"mx.example says PIPELINING", "pipelining", "SIZE 1000", "8bitMIME", "STARTTLS", "DSN",
                          "AUTH plain  LOGIN", "AUTH=CRAM-MD5", "LIMITS MAILMAX=5 RCPTMAX=20", "", " ", "X"});
    EXPECT_TRUE(found.pipelining && found.eight_bit && found.starttls && found.dsn);
    EXPECT_FALSE(found.utf8);
    EXPECT_EQ(found.size, 1000u);
    EXPECT_EQ(found.recipients, 20u);
    EXPECT_EQ(found.mechanisms, (std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5"}));
    EXPECT_FALSE(parse_extensions({"PIPELINING"}).pipelining) << "the first line is the greeting";
    EXPECT_FALSE(parse_extensions({"x", "SIZE 0", "LIMITS RCPTMAX=0"}).size) << "no limit";
    EXPECT_FALSE(parse_extensions({"x", "SIZE -1"}).size);
}

TEST(SmtpXtext, LeavesPrintableOctetsAndWritesOthersInHex) {
    EXPECT_EQ(xtext("a+b=c d"), "a+2Bb+3Dc+20d");
    EXPECT_EQ(xtext("rfc-~!"), "rfc-~!");
    EXPECT_EQ(xtext("\xc3\xbc"), "+C3+BC");
}

}  // namespace
}  // namespace poplar::smtp::client
