#include "delivery/header_edits.h"

#include <gtest/gtest.h>

namespace poplar::delivery {
namespace {

constexpr std::string_view kHeader =
    "Subject: old\r\n text\r\nX-Spam-Score: 1\r\nTo: a@b.test\r\nx-spam-score : 2\r\n\tfolded\r\n\r\n";

TEST(HeaderEdits, TakeOutAllFieldsOfAName) {
    EXPECT_EQ(edited(kHeader, {{"x-spam-score"}, {}}), "Subject: old\r\n text\r\nTo: a@b.test\r\n\r\n");
    EXPECT_EQ(edited("X-A: 1\r\n\r\n", {{"x-a"}, {}}), "\r\n");
}

TEST(HeaderEdits, PutOneSubjectInPlaceOfOthers) {
    EXPECT_EQ(edited("Subject: a\r\n b\r\nTo: c\r\nsubject: d\r\n\r\n", {{}, "new\r\nX: y"}),
              "Subject: new  X: y\r\nTo: c\r\n\r\n");
    const auto encoded = edited("To: c\r\n\r\n", {{}, "h\xc3\xa4"});
    ASSERT_TRUE(encoded);
    EXPECT_TRUE(encoded->starts_with("Subject: =?"));
    EXPECT_TRUE(encoded->ends_with("?=\r\nTo: c\r\n\r\n"));
}

TEST(HeaderEdits, AreNoneWhereNothingFits) {
    EXPECT_FALSE(edited(kHeader, {{"x-spam", "text", "folded"}, {}}));
    EXPECT_FALSE(edited("\r\n", {{"x"}, {}}));
    EXPECT_FALSE(edited("", {{"x"}, {}}));
}

}  // namespace
}  // namespace poplar::delivery
