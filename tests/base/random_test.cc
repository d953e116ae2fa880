#include "base/random.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace poplar {
namespace {

constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

TEST(Random, TextHasItsLengthAndAlphabetAndUsesAllOfIt) {
    for (std::size_t length : {0u, 1u, 26u, 255u, 256u, 257u, 5000u}) EXPECT_EQ(random_text(length).size(), length);
    const std::string text = random_text(5000);
    EXPECT_EQ(text.find_first_not_of(kAlphabet), std::string::npos);
    EXPECT_EQ(std::set<char>(text.begin(), text.end()).size(), kAlphabet.size());
}

TEST(Random, DoesNotRepeatItself) {
    std::set<std::uint64_t> numbers;
    std::set<std::string> texts;
    for (int i = 0; i < 1000; ++i) {
        numbers.insert(random_u64());
        texts.insert(random_text(20));
    }
    EXPECT_EQ(numbers.size(), 1000u);
    EXPECT_EQ(texts.size(), 1000u);
}

TEST(Random, FillsEveryOctetAskedForAndNoOther) {
    std::string changed(600, '\0');
    for (int round = 0; round < 20; ++round) {
        std::string bytes(602, '\0');
        random_bytes(bytes.data() + 1, 600);
        EXPECT_EQ(bytes.front(), '\0');
        EXPECT_EQ(bytes.back(), '\0');
        for (std::size_t i = 0; i < 600; ++i) changed[i] = static_cast<char>(changed[i] | bytes[i + 1]);
    }
    EXPECT_EQ(changed.find('\0'), std::string::npos);
}

TEST(Base32Text, HasNoLeadingZeros) {
    struct Case {
        std::uint64_t value;
        std::string_view text;
    };
    for (auto [value, text] :
         {Case{0, "0"}, {1, "1"}, {31, "z"}, {32, "10"}, {1023, "zz"}, {1024, "100"}, {~0ull, "fzzzzzzzzzzzz"}})
        EXPECT_EQ(base32_text(value), text) << value;
}

TEST(Base32Text, IsReadBackAndNothingElseIs) {
    for (int bits = 0; bits < 64; ++bits)
        for (auto value : {1ull << bits, (1ull << bits) - 1, ~0ull << bits})
            EXPECT_EQ(parse_base32(base32_text(value)), value) << value;
    for (auto text : {"", "00", "01", "l", "A", "1 ", "-1", "1\xff", "g000000000000", "10000000000000"})
        EXPECT_EQ(parse_base32(text), std::nullopt) << text;
    EXPECT_EQ(parse_base32(std::string_view("1\0", 2)), std::nullopt);
}

}  // namespace
}  // namespace poplar
