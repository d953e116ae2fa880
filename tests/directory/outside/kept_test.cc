#include "directory/outside/kept.h"

#include <gtest/gtest.h>

namespace poplar::directory::outside {
namespace {

constexpr std::string_view kSecret = "0123456789abcdef0123456789abcdef";

TEST(KeptAccount, ComesBackAsItWasWritten) {
    Kept kept{.there = Timestamp(std::chrono::milliseconds(1'767'225'600'123))};
    EXPECT_EQ(decode_kept(encode(kept)), kept);
    kept.password = KeptPassword{.right = Timestamp(std::chrono::milliseconds(1'767'225'600'124))};
    kept.password->salt[3] = 7, kept.password->hash[31] = 9;
    EXPECT_EQ(decode_kept(encode(kept)), kept);
    auto record = encode(kept);
    for (std::size_t size = 0; size < record.size(); ++size) {
        auto cut = decode_kept(std::string_view(record).substr(0, size));
        EXPECT_TRUE(!cut || !cut->password) << size;
    }
    EXPECT_FALSE(decode_kept(record + "x"));
    record[0] = 2;
    EXPECT_FALSE(decode_kept(record)) << "a newer version";
}

TEST(KeptAccount, MatchesItsPasswordWithTheServersSecretAlone) {
    auto kept = keep_password("right", kSecret);
    EXPECT_TRUE(matches(kept, "right", kSecret));
    EXPECT_FALSE(matches(kept, "wrong", kSecret));
    EXPECT_FALSE(matches(kept, "right", "another secret of thirty-two oct"));
    EXPECT_NE(kept.salt, keep_password("right", kSecret).salt);
}

}  // namespace
}  // namespace poplar::directory::outside
