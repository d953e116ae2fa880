#include "base/units.h"

#include <gtest/gtest.h>

namespace poplar {
namespace {

using std::chrono::milliseconds;

TEST(Duration, ReadsUnitsAndJoinedParts) {
    struct Case {
        std::string_view text;
        std::int64_t millis;
    };
    for (auto [text, millis] : {Case{"0", 0},
                                {"90", 90'000},
                                {"500ms", 500},
                                {"30s", 30'000},
                                {"10m", 600'000},
                                {"2h", 7'200'000},
                                {"30d", 2'592'000'000},
                                {"1w", 604'800'000},
                                {"1h30m", 5'400'000}}) {
        auto parsed = parse_duration(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->count(), millis) << text;
    }
}

TEST(Duration, RefusesWhatIsNone) {
    for (std::string_view text :
         {"", "m", "-1s", "1 s", "1.5h", "10x", "1h30", "10M", "99999999999999999999s", "9999999999999999w"})
        EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Duration, ReadsBackWhatItFormats) {
    for (std::int64_t millis : {0L, 1L, 999L, 1000L, 60'000L, 5'400'000L, 2'592'000'000L, 90'061'001L}) {
        auto text = format_duration(milliseconds(millis));
        auto parsed = parse_duration(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(parsed->count(), millis) << text;
    }
    EXPECT_EQ(format_duration(std::chrono::minutes(10)), "10m");
}

TEST(Size, TellsDecimalFromBinaryUnits) {
    struct Case {
        std::string_view text;
        std::uint64_t octets;
    };
    for (auto [text, octets] : {Case{"0", 0},
                                {"512", 512},
                                {"512B", 512},
                                {"1kB", 1000},
                                {"1KiB", 1024},
                                {"50MB", 50'000'000},
                                {"64MiB", 64u << 20},
                                {"64 mib", 64u << 20},
                                {"4GB", 4'000'000'000}}) {
        auto parsed = parse_size(text);
        ASSERT_TRUE(parsed) << text;
        EXPECT_EQ(*parsed, octets) << text;
    }
    for (std::string_view text : {"", "MB", "-1", "1.5MB", "10X", "1MBs", "99999999999999999999", "9999999999TiB"})
        EXPECT_FALSE(parse_size(text)) << text;
}

TEST(Size, ReadsBackWhatItFormats) {
    for (std::uint64_t octets :
         {0ull, 1ull, 1000ull, 1024ull, 1ull << 20, 50'000'000ull, 256ull << 20, 123'456'789ull}) {
        auto parsed = parse_size(format_size(octets));
        ASSERT_TRUE(parsed) << octets;
        EXPECT_EQ(*parsed, octets);
    }
    EXPECT_EQ(format_size(256u << 20), "256MiB");
}

TEST(Nearest, FindsSlipsAndLeavesOtherWordsAlone) {
    const std::vector<std::string_view> known = {"hostname", "data_dir", "listen", "pop3", "pop3s"};
    struct Case {
        std::string_view word, meant;
    };
    for (auto [word, meant] : {Case{"hostnmae", "hostname"},
                               {"datadir", "data_dir"},
                               {"pop3", "pop3"},
                               {"lisen", "listen"},
                               {"completely_else", ""}})
        EXPECT_EQ(nearest(word, known), meant) << word;
}

}  // namespace
}  // namespace poplar
