// The server speaks to its users in the same languages everywhere.
#include <gtest/gtest.h>

#include <algorithm>

#include "pop3/text_table.h"
#include "quota/notice_table.h"

namespace poplar::server {
namespace {

TEST(Languages, QuotaNoticesHaveThoseOfPop3) {
    EXPECT_TRUE(std::ranges::equal(quota::kLanguages, pop3::kLanguages, {}, {}, &pop3::LanguageName::tag));
}

}  // namespace
}  // namespace poplar::server
