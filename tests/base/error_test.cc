#include "base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>

namespace poplar {
namespace {

TEST(Error, EveryCodeHasANameOfItsOwn) {
    std::set<std::string_view> names;
    for (int code = 0; code <= static_cast<int>(Errc::outcome_unknown); ++code) {
        const auto name = to_string(static_cast<Errc>(code));
        EXPECT_FALSE(name.empty() || name == "unknown") << code;
        EXPECT_TRUE(names.insert(name).second) << name;
    }
    EXPECT_EQ(to_string(Errc::no_space), "no_space");
    EXPECT_EQ(to_string(Errc::not_found), "not_found");
}

TEST(Error, IsPassedOnWithItsText) {
    Result<int> inner = fail(Errc::busy, "somebody holds it");
    auto outer = [&]() -> Result<std::unique_ptr<std::string>> { return pass_on(inner); }();
    ASSERT_FALSE(outer);
    EXPECT_EQ(outer.error().code(), Errc::busy);
    EXPECT_EQ(outer.error().detail(), "somebody holds it");
}

}  // namespace
}  // namespace poplar
