#include "inspection/rspamd_reply.h"

#include <gtest/gtest.h>

namespace poplar::inspection {
namespace {

using Action = RspamdReply::Action;

TEST(RspamdReply, HasActionScoreAndFields) {
    auto reply = parse_rspamd_reply(
        R"({"is_skipped":false,"score":7.5,"required_score":15.0,"action":"rewrite subject","symbols":{},
            "messages":{"smtp_message":"no\r\nthank you"},"subject":"[SPAM] x","message-id":"a@b",
            "milter":{"add_headers":{"X-Spamd-Bar":{"value":"+++","order":0},"X-A":"1","X-B":["1",{"value":"2"}]},
                      "remove_headers":{"X-Old":0},"spam_header":"X-Junk"}})");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->action, Action::rewrite_subject);
    EXPECT_EQ(reply->percent(), 50u);
    EXPECT_EQ(reply->message, "no  thank you");
    EXPECT_EQ(reply->subject, "[SPAM] x");
    EXPECT_EQ(reply->spam_header, "X-Junk");
    EXPECT_EQ(reply->remove_headers, std::vector<std::string>{"x-old"});
    const std::vector<std::pair<std::string, std::string>> fields = {
        {"X-A", "1"}, {"X-B", "1"}, {"X-B", "2"}, {"X-Spamd-Bar", "+++"}};
    EXPECT_EQ(reply->add_headers, fields);
}

TEST(RspamdReply, ThatMakesNoSenseIsNone) {
    for (const char* text :
         {"", "[]", "{}", "null", R"({"action":"no action"})", R"({"action":"eat","score":1})", R"({"score":1})",
          R"({"action":1,"score":1})", R"({"action":"reject","score":"1"})", R"({"action":"reject","score":1)"})
        EXPECT_FALSE(parse_rspamd_reply(text)) << text;
    EXPECT_FALSE(parse_rspamd_reply(std::string(kReplyOctets + 1, ' ')));
}

TEST(RspamdReply, MembersOfOtherKindsArePassedOver) {
    auto reply = parse_rspamd_reply(
        R"({"action":"no action","score":1,"required_score":"x","messages":[],"subject":3,"dkim-signature":{"value":7},
            "milter":{"add_headers":{"bad name":"1","":"2","X:Y":"3","X-N":4,"X-L":[[["5"]]]},"remove_headers":[1]}})");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->percent(), 0u);
    EXPECT_EQ(reply->add_headers, (std::vector<std::pair<std::string, std::string>>{{"DKIM-Signature", ""}}));
    EXPECT_TRUE(reply->remove_headers.empty());
}

TEST(RspamdReply, PercentIsWithinZeroAndHundred) {
    struct Case {
        double score, required;
        unsigned percent;
    };
    for (auto [score, required, percent] : {Case{-3, 15, 0}, {0, 15, 0}, {7.5, 15, 50}, {1000, 15, 100}, {5, 0, 0}}) {
        RspamdReply reply;
        reply.score = score;
        reply.required_score = required;
        EXPECT_EQ(reply.percent(), percent) << score;
    }
}

TEST(FieldValue, HoldsNoLineThatIsNotFolded) {
    struct Case {
        std::string_view given, made;
    };
    for (auto [given, made] : {Case{"a b", "a b"},
                               {" a\t", "a"},
                               {"a\r\n b", "a\r\n\tb"},
                               {"a\nX-Evil: b", "a\r\n\tX-Evil: b"},
                               {"a\r\n\r\n\r\nbody", "a\r\n\tbody"},
                               {"a\rb", "a\r\n\tb"},
                               {"a\r\n", "a"},
                               {std::string_view("a\0b", 3), "a?b"},
                               {"", ""}})
        EXPECT_EQ(field_value(given), made);
}

}  // namespace
}  // namespace poplar::inspection
