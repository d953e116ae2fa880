#include "pop3/texts.h"

#include <gtest/gtest.h>
#include <unistr.h>

#include <algorithm>
#include <set>

namespace poplar::pop3 {
namespace {

std::size_t placeholders(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find("{}", at)) != text.npos; at += 2) ++count;
    return count;
}

TEST(Texts, EveryTextIsThereInEveryLanguageAndFitForAReply) {
    for (const auto& row : kTexts)
        for (std::size_t i = 0; i < kLanguages.size(); ++i) {
            auto text = row[i];
            SCOPED_TRACE(std::string(row[0]) + " in " + std::string(kLanguages[i].tag));
            EXPECT_FALSE(text.empty());
            EXPECT_EQ(u8_check(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()), nullptr);
            EXPECT_TRUE(std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
            EXPECT_LE(text.size(), 300u) << "RFC 1939 s3: a line has 512 octets, and arguments need some";
            EXPECT_EQ(placeholders(text), placeholders(row[0]));
            EXPECT_EQ(std::ranges::count(text, '{'), std::ranges::count(row[0], '{')) << "a broken placeholder";
            EXPECT_EQ(std::ranges::count(text, '}'), std::ranges::count(row[0], '}')) << "a broken placeholder";
            EXPECT_FALSE(text.starts_with('[') || text.starts_with('<')) << "it would look like a response code";
            EXPECT_FALSE(text.starts_with(' ') || text.ends_with(' ') || text.ends_with('.'));
        }
}

TEST(Texts, EnglishIsAsciiAndEachTextStandsThereOnce) {
    std::set<std::string_view> seen;
    for (const auto& row : kTexts) {
        EXPECT_TRUE(seen.insert(row[0]).second) << row[0];
        EXPECT_TRUE(std::ranges::none_of(row[0], [](unsigned char c) { return c >= 0x80; })) << row[0];
    }
}

TEST(Texts, ATranslationIsNotTheEnglishAgain) {
    for (const auto& row : kTexts)
        for (std::size_t i = 1; i < kLanguages.size(); ++i) EXPECT_NE(row[i], row[0]) << kLanguages[i].tag;
}

TEST(Texts, ALanguageIsFoundByItsRangeOrAShorterOne) {
    struct Case {
        std::string_view range, tag;
    };
    for (auto [range, tag] : {Case{"en", "en"},
                              {"EN", "en"},
                              {"de", "de"},
                              {"de-CH", "de"},
                              {"De-ch-1996", "de"},
                              {"ja-JP-x-foo", "ja"},
                              {"fr-a-b-c", "fr"},
                              {"es-419", "es"},
                              {"it-12345678", "it"},
                              {"d", ""},
                              {"dee", ""},
                              {"mul", ""},
                              {"i-default", ""},
                              {"*", ""},
                              {"de-*", ""},
                              {"", ""},
                              {"-", ""},
                              {"de-", ""},
                              {"-de", ""},
                              {"de--CH", ""},
                              {"de-123456789", ""},
                              {"deutschland", ""},
                              {"d1", ""},
                              {"de_CH", ""},
                              {"\xc3\xbc", ""}}) {
        auto found = find_language(range);
        EXPECT_EQ(found ? name_of(*found).tag : "", tag) << range;
    }
}

}  // namespace
}  // namespace poplar::pop3
