#include "mail/submission_filter.h"

#include <gtest/gtest.h>

namespace poplar::mail {
namespace {

struct Passed {
    std::string out;
    SubmissionFilter filter;
};

Passed pass(std::string_view text, std::size_t cut = 0) {
    Passed passed;
    for (std::size_t at = 0; at < text.size();) {
        const auto size = cut == 0 ? text.size() : std::min(cut, text.size() - at);
        passed.out += passed.filter.pass(text.substr(at, size));
        at += size;
    }
    passed.out += passed.filter.finish();
    return passed;
}

TEST(SubmissionFilter, TakesOutBccAndNothingElse) {
    const std::string before =
                          "From: a@x.test\r\nBcc: b@x.test,\r\n\tc@x.test\r\nbCC : d@x.test\r\nResent-Bcc: "
                          "e@x.test\r\nSubject: x\r\n "
                          "folded\r\n",
                      after = "\r\nBcc: this is text\r\n..dot\r\n";
    for (std::size_t cut : {0, 1, 2, 3, 7, 20}) {
        auto passed = pass(before + after, cut);
        EXPECT_EQ(passed.out, "From: a@x.test\r\nSubject: x\r\n folded\r\n" + after) << cut;
        EXPECT_EQ(passed.filter.removed(), before.size() + after.size() - passed.out.size()) << cut;
        EXPECT_TRUE(passed.filter.in_body());
    }
}

TEST(SubmissionFilter, KnowsWhatIsThere) {
    auto all =
        pass("date: x\r\nMESSAGE-ID: <x@y>\r\nSender: a@x.test\r\nFrom: A\r\n <a@x.test>\r\nFrom: b@x.test\r\n\r\n", 1);
    EXPECT_TRUE(all.filter.has_date() && all.filter.has_message_id());
    EXPECT_EQ(all.filter.from().fields, 2u);
    EXPECT_EQ(all.filter.from().text, "From: A\r\n <a@x.test>\r\n") << "the first";
    EXPECT_EQ(all.filter.sender().fields, 1u);
    EXPECT_EQ(all.filter.sender().text, "Sender: a@x.test\r\n");
    auto none = pass("Dates: x\r\nX-From: y\r\n\r\nDate: in the text\r\n", 1);
    EXPECT_FALSE(none.filter.has_date() || none.filter.has_message_id());
    EXPECT_EQ(none.filter.from().fields, 0u);
    EXPECT_EQ(none.filter.sender().fields, 0u);
}

TEST(SubmissionFilter, AHeaderWithoutAnEndPasses) {
    for (std::size_t cut : {0, 1, 5}) {
        EXPECT_EQ(pass("From: a@x.test\r\nSubject: half", cut).out, "From: a@x.test\r\nSubject: half") << cut;
        EXPECT_EQ(pass("From: a@x.test\r\nBcc", cut).out, "From: a@x.test\r\nBcc") << cut;
    }
    EXPECT_EQ(pass("").out, "");
}

TEST(SubmissionFilter, KeepsOnlySoMuchOfALongFromAndSaysSo) {
    const auto text = "From: " + std::string(3 * SubmissionFilter::kFromLimit, 'x') + "\r\n\r\n";
    auto passed = pass(text, 1000);
    EXPECT_EQ(passed.out, text);
    EXPECT_EQ(passed.filter.from().text.size(), SubmissionFilter::kFromLimit);
    EXPECT_TRUE(passed.filter.from().too_long);
    const auto most = "From: " + std::string(SubmissionFilter::kFromLimit - 8, 'x') + "\r\n";
    EXPECT_FALSE(pass(most + "\r\n", 1000).filter.from().too_long) << "all of it fits";
    EXPECT_TRUE(pass(most + "\t<b@x.test>\r\n\r\n", 1000).filter.from().too_long);
}

}  // namespace
}  // namespace poplar::mail
