#include "http/target.h"

#include <gtest/gtest.h>

namespace poplar::http {
namespace {

TEST(Target, DecodesSegmentsAfterSplitting) {
    auto target = parse_target("/v1/accounts/a%2Fb%40example.org?limit=5&after=x%26y&flag");
    ASSERT_TRUE(target);
    EXPECT_EQ(target->path, (std::vector<std::string>{"v1", "accounts", "a/b@example.org"}));
    EXPECT_EQ(target->query["limit"], "5");
    EXPECT_EQ(target->query["after"], "x&y");
    EXPECT_EQ(target->query["flag"], "");
    for (std::string_view bad : {"", "v1", "/a%", "/a%4", "/a%zz", "/a?b=%"}) EXPECT_FALSE(parse_target(bad)) << bad;
}

TEST(Target, ComesBackFromItsPercentEncoding) {
    std::string odd("a+b/\xc3\xa9@x%&=?#\0", 13);
    EXPECT_EQ(parse_target("/" + percent_encode(odd))->path.front(), odd);
    EXPECT_EQ(parse_target("/?q=" + percent_encode(odd))->query["q"], odd);
}

}  // namespace
}  // namespace poplar::http
