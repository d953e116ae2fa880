#include "base/ascii.h"

#include <gtest/gtest.h>

namespace poplar::ascii {
namespace {

TEST(Ascii, HasACaseForItsLettersAlone) {
    for (int octet = 0; octet < 256; ++octet) {
        const char c = static_cast<char>(octet);
        const bool capital = octet >= 'A' && octet <= 'Z', small = octet >= 'a' && octet <= 'z';
        EXPECT_EQ(lower(c), capital ? static_cast<char>(octet + 32) : c) << octet;
        EXPECT_EQ(upper(c), small ? static_cast<char>(octet - 32) : c) << octet;
        EXPECT_EQ(is_alpha(c), capital || small) << octet;
        EXPECT_EQ(is_digit(c), octet >= '0' && octet <= '9') << octet;
        EXPECT_EQ(is_alnum(c), is_alpha(c) || is_digit(c)) << octet;
        EXPECT_EQ(is_wsp(c), octet == ' ' || octet == '\t') << octet;
    }
}

TEST(Ascii, ComparesWithoutCase) {
    EXPECT_TRUE(same("", ""));
    EXPECT_TRUE(same("Content-Type", "cONTENT-tYPE"));
    EXPECT_FALSE(same("RETR", "RETRO"));
    EXPECT_FALSE(same("@", "`")) << "they differ in the bit that makes the case of letters";
    EXPECT_FALSE(same("\xc3\x84", "\xc3\xa4")) << "no case beyond ASCII";
    EXPECT_TRUE(starts_with("HOST: x", "host:"));
    EXPECT_FALSE(starts_with("hos", "host:"));
    EXPECT_EQ(to_lower("ÄbC"), "Äbc");
}

TEST(Ascii, TrimsSpacesAndTabsAlone) {
    EXPECT_EQ(trim(" \t a b\t "), "a b");
    EXPECT_EQ(trim(" \t "), "");
    EXPECT_EQ(trim("\r\na"), "\r\na");
}

}  // namespace
}  // namespace poplar::ascii
