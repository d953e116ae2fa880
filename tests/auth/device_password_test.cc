#include "auth/device_password.h"

#include <gtest/gtest.h>

#include <set>

namespace poplar::auth {
namespace {

DevicePassword parsed(std::string_view typed) { return parse_device_password(typed).value_or(DevicePassword{}); }

TEST(DevicePassword, IsReadAsItWasShown) {
    for (DeviceId id : {DeviceId(0), DeviceId(1), DeviceId(12345), kDeviceIds - 1}) {
        auto made = make_device_password(id);
        EXPECT_EQ(made.secret.size(), 24u);
        for (const auto& text : {grouped(made), plain(made)}) {
            EXPECT_EQ(parsed(text).device, id) << text;
            EXPECT_EQ(parsed(text).secret, made.secret) << text;
        }
        EXPECT_EQ(grouped(made).size(), 31u);
    }
}

TEST(DevicePassword, TakesWhatPeopleMakeOfIt) {
    const DevicePassword made{0x12345, "0123456789abcdefghjkmnpq"};
    for (const char* typed :
         {"28t50123456789abcdefghjkmnpq", "28T5012-3456789-ABCDEFG-HJKMNPQ", "28t5 0123 4567 89ab cdef ghjk mnpq",
          " 28t5012-3456789-abcdefg-hjkmnpq ", "28t5oi2-3456789-abcdefg-hjkmnpq", "28t5OL23456789abcdefghjkmnpq"}) {
        SCOPED_TRACE(typed);
        EXPECT_EQ(parsed(typed).secret, made.secret);
        EXPECT_EQ(parsed(typed).device, made.device);
    }
}

TEST(DevicePassword, LeavesOtherPasswordsAlone) {
    for (const char* typed : {"", "secret", "28t5012-3456789-abcdefg-hjkmnp", "28t5012-3456789-abcdefg-hjkmnpqr",
                              "28t5012-3456789-abcdefg-hjkmnpu", "28t5012_3456789_abcdefg_hjkmnpq",
                              "28t5012-3456789-abcdefg-hjkmnp\xc3\xa4"})
        EXPECT_FALSE(parse_device_password(typed)) << typed;
    EXPECT_FALSE(parse_device_password(std::string(200, ' ') + "28t5012-3456789-abcdefg-hjkmnpq"));
}

TEST(DevicePassword, IsStoredAsAHashThatOnlyItMatches) {
    auto made = make_device_password(7);
    auto stored = hash_device_secret(made.secret);
    EXPECT_EQ(stored.find(made.secret), std::string::npos);
    EXPECT_TRUE(matches_device_secret(stored, made.secret));
    EXPECT_FALSE(matches_device_secret(stored, make_device_password(7).secret));
    EXPECT_FALSE(matches_device_secret(stored, ""));
    EXPECT_FALSE(matches_device_secret("", made.secret));
    EXPECT_NE(hash_device_secret(made.secret), stored) << "a salt of its own";
}

TEST(DevicePassword, NoTwoAreAlike) {
    std::set<std::string> seen;
    for (int i = 0; i < 1000; ++i) seen.insert(make_device_password(1).secret);
    EXPECT_EQ(seen.size(), 1000u);
}

}  // namespace
}  // namespace poplar::auth
