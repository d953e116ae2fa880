#include "imap/words.h"

#include <gtest/gtest.h>

#include "imap/mailbox_name.h"
#include "imap/selected.h"

namespace poplar::imap {
namespace {

TEST(LiteralAtEnd, IsWhatTheLineEndsWithWhateverStandsBefore) {
    struct Case {
        std::string_view line;
        std::optional<LiteralMark> mark;
    };
    for (const auto& [line, mark] : {
             Case{"a LOGIN {5}", LiteralMark{5, true, false, 8}},
             {"a LOGIN {5+}", LiteralMark{5, false, false, 8}},
             {"a APPEND x ~{5+}", LiteralMark{5, false, true, 11}},
             {"unknown(((\"{3+}", LiteralMark{3, false, false, 11}},
             {"{99999999999999999999}", LiteralMark{INT64_MAX, true, false, 0}},
             {"a {}", std::nullopt},
             {"a {+}", std::nullopt},
             {"a {5-}", std::nullopt},
             {"a {5} ", std::nullopt},
             {"a 5}", std::nullopt},
             {"", std::nullopt},
         })
        EXPECT_EQ(literal_at_end(line), mark) << line;
}

TEST(Tag, HasNoPlusAndNoSpecials) {
    for (std::string_view text : {"a", "A142", "a.b-c", "]"}) {
        Cursor in(text);
        EXPECT_EQ(parse_tag(in), text);
    }
    for (std::string_view text : {"", " a", "+", "(a", "\"a\"", "*", "%"}) {
        Cursor in(text);
        EXPECT_FALSE(parse_tag(in)) << text;
    }
}

TEST(DateTime, IsOneFormWithItsZone) {
    struct Case {
        std::string_view text;
        std::optional<std::int64_t> seconds;
    };
    for (const auto& [text, seconds] : {
             Case{R"("17-Jul-1996 02:44:25 -0700")", 837'596'665},
             {R"(" 1-Jan-1970 00:00:00 +0000")", 0},
             {R"("01-Jan-1970 05:45:00 +0545")", 0},
             {R"("29-Feb-2024 00:00:00 +0000")", 1'709'164'800},
             {R"("29-Feb-2023 00:00:00 +0000")", std::nullopt},
             {R"("31-Apr-2024 00:00:00 +0000")", std::nullopt},
             {R"("17-Jul-1996 24:44:25 -0700")", std::nullopt},
             {R"("17-Jul-1996 02:44:25 0700")", std::nullopt},
             {R"("17-Foo-1996 02:44:25 -0700")", std::nullopt},
             {R"(17-Jul-1996 02:44:25 -0700)", std::nullopt},
             {R"("17-Jul-1996 02:44:25 -0700)", std::nullopt},
         }) {
        Cursor in(text);
        const auto time = parse_date_time(in);
        ASSERT_EQ(time.has_value(), seconds.has_value()) << text;
        if (!time) continue;
        EXPECT_EQ(time->time_since_epoch().count(), *seconds * 1000) << text;
        EXPECT_TRUE(in.at_end());
    }
}

TEST(FlagList, HasFlagsWithOneSpaceBetween) {
    for (auto [text, count] : {std::pair{"()", 0}, {"(\\Seen)", 1}, {"(\\Seen $Junk a)", 3}}) {
        Cursor in(text);
        const auto flags = parse_flag_list(in);
        ASSERT_TRUE(flags) << text;
        EXPECT_EQ(flags->size(), static_cast<std::size_t>(count));
    }
    for (std::string_view text : {"", "(", "( )", "(\\Seen", "(\\Seen )", "(\\Seen  a)", "(\\)", "\\Seen"}) {
        Cursor in(text);
        EXPECT_FALSE(parse_flag_list(in)) << text;
    }
}

TEST(ModifiedUtf7, HasOneSpellingOfEachName) {
    for (auto [utf8, utf7] : {
             std::pair{"INBOX", "INBOX"},
             {"Entwürfe", "Entw&APw-rfe"},
             {"R&D", "R&-D"},
             {"~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-"},
             {"\xf0\x9f\x93\xac", "&2D3c7A-"},
             {"", ""},
         }) {
        EXPECT_EQ(to_utf7(utf8), utf7);
        EXPECT_EQ(from_utf7(utf7), utf8);
    }
    for (std::string_view text : {"&", "&APw", "&AGE-", "&APw-&APw-", "&A-", "&*-", "a\x01", "\xc3\xbc", "&2D0-"})
        EXPECT_FALSE(from_utf7(text)) << text;
}

TEST(Pattern, StarPassesSeparatorsAndPercentDoesNot) {
    struct Case {
        std::string_view name, pattern;
        bool fits;
    };
    for (auto [name, pattern, fits] : {
             Case{"INBOX", "*", true},
             {"INBOX", "inbox", true},
             {"INBOX/a", "inbox/%", true},
             {"a/b", "%", false},
             {"a/b", "*", true},
             {"a/b", "%/%", true},
             {"a/b/c", "a/%", false},
             {"a/b/c", "a/*", true},
             {"a/b/c", "%/c", false},
             {"a/b/c", "*c", true},
             {"a/b/c", "*%c", true},
             {"abc", "a%c", true},
             {"abc", "A%C", false},
             {"abc", "", false},
             {"abc", "abcd", false},
             {"aaab", "*ab", true},
             {"aa/ab", "%ab", false},
             {"xINBOX", "*inbox", false},
         })
        EXPECT_EQ(fits_pattern(name, pattern), fits) << name << ' ' << pattern;
}

MessageList list_of(std::vector<std::pair<std::uint32_t, std::uint64_t>> messages) {
    MessageList list;
    for (auto [uid, changed] : messages) list.messages.push_back({uid, 0, ModSequence(changed)});
    return list;
}

TEST(Differences, AreWhatIsGoneChangedAndFresh) {
    const auto before = list_of({{1, 1}, {3, 1}, {4, 1}, {7, 1}});
    const auto after = list_of({{3, 2}, {7, 1}, {8, 3}, {9, 3}});
    const auto found = compare(before, after);
    EXPECT_EQ(found.gone, (std::vector<std::uint32_t>{0, 2}));
    EXPECT_EQ(found.changed, (std::vector<std::uint32_t>{0}));
    EXPECT_EQ(found.fresh, 2u);
}

TEST(Differences, MessagesThatAreGoneKeepTheirNumbersUntilTheyAreTold) {
    const auto before = list_of({{1, 1}, {3, 1}, {4, 1}});
    const auto after = list_of({{3, 2}, {8, 3}});
    const auto joined = with_gone(before, compare(before, after).gone, after);
    std::vector<std::uint32_t> uids;
    for (const auto& message : joined->messages) uids.push_back(message.uid);
    EXPECT_EQ(uids, (std::vector<std::uint32_t>{1, 3, 4, 8}));
    EXPECT_EQ(compare(*joined, after).gone, (std::vector<std::uint32_t>{0, 2}));
}

TEST(WithoutMessages, LeavesTheUidsThatNoMessageHas) {
    using Ranges = std::vector<SequenceSet::Range>;
    const auto list = list_of({{2, 1}, {3, 1}, {10, 1}});
    EXPECT_EQ(without_messages({{1, 12}}, list), (Ranges{{1, 1}, {4, 9}, {11, 12}}));
    EXPECT_EQ(without_messages({{2, 3}, {10, 10}}, list), Ranges{});
    EXPECT_EQ(without_messages({{5, UINT32_MAX}}, list), (Ranges{{5, 9}, {11, UINT32_MAX}}));
    EXPECT_EQ(common({{1, 4}, {8, 9}}, {{3, 8}}), (Ranges{{3, 4}, {8, 8}}));
}

}  // namespace
}  // namespace poplar::imap
