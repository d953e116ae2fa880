// The pieces below the language: comparators, dates, lists of addresses, script names, notify methods.
#include <gtest/gtest.h>

#include "sieve/collation.h"
#include "sieve/dates.h"
#include "sieve/notify_method.h"
#include "sieve/script.h"

namespace poplar::sieve {
namespace {

struct NoMeter final : Meter {
    void charge(std::uint64_t) override {}
};

TEST(Glob, MatchesAsLittleAsPossibleAndAllOfIt) {
    struct Row {
        std::string_view text, pattern;
        bool matches;
        std::vector<std::string> found;
    };
    NoMeter meter;
    for (const auto& row : std::vector<Row>{
             {"", "", true, {""}},
             {"", "*", true, {"", ""}},
             {"", "?", false, {}},
             {"abc", "abc", true, {"abc"}},
             {"ABC", "abc", true, {"ABC"}},
             {"abcd", "abc", false, {}},
             {"abc", "a?c", true, {"abc", "b"}},
             {"abcbc", "a*bc", true, {"abcbc", "bc"}},
             {"abcbcd", "*bc*", true, {"abcbcd", "a", "bcd"}},
             {"aXbXc", "*X*X*", true, {"aXbXc", "a", "b", "c"}},
             {"ab", "*?", true, {"ab", "a", "b"}},
             {"ab", "?*", true, {"ab", "a", "b"}},
             {"ab", "**", true, {"ab", "", "ab"}},
             {"a*b", "a\\*b", true, {"a*b"}},
             {"axb", "a\\*b", false, {}},
             {"a\\b", "a\\\\b", true, {"a\\b"}},
             {"ab", "*b*b", false, {}},
             {"bb", "*b*b", true, {"bb", "", ""}},
             {"b", "b*b", false, {}},
             {"ä", "?", false, {}},
             {"ä", "??", true, {"ä", "\xc3", "\xa4"}},
         }) {
        std::vector<std::string> found;
        EXPECT_EQ(matches(Comparator::ascii_casemap, row.text, row.pattern, &found, meter), row.matches)
            << row.text << " " << row.pattern;
        if (row.matches) {
            EXPECT_EQ(found, row.found) << row.text << " " << row.pattern;
        }
    }
    std::vector<std::string> found;
    EXPECT_TRUE(matches(Comparator::unicode_casemap, "GRÜßE, Ä", "grü?e*ä", &found, meter));
    EXPECT_EQ(found, (std::vector<std::string>{"GRÜßE, Ä", "ß", ", "}));
}

TEST(Comparators, CompareAsTheirRfcsSay) {
    NoMeter meter;
    EXPECT_TRUE(equal(Comparator::ascii_numeric, "010", "10x", meter));
    EXPECT_TRUE(equal(Comparator::ascii_numeric, "x", "", meter));
    EXPECT_TRUE(*compare(Comparator::ascii_numeric, "99999999999999999999", "100000000000000000000", meter) < 0);
    EXPECT_TRUE(*compare(Comparator::ascii_numeric, "1", "x", meter) < 0);
    EXPECT_TRUE(*compare(Comparator::ascii_casemap, "a", "B", meter) < 0);
    EXPECT_TRUE(*compare(Comparator::octet, "a", "B", meter) > 0);
    EXPECT_TRUE(*compare(Comparator::ascii_casemap, "_", "a", meter) > 0) << "letters are compared as capitals";
    EXPECT_TRUE(equal(Comparator::unicode_casemap, "ä", "A\u0308", meter));
    EXPECT_FALSE(equal(Comparator::unicode_casemap, "\xff", "\xff", meter)) << "undefined is no match";
    EXPECT_TRUE(contains(Comparator::ascii_casemap, "xxAbAbC", "abc", meter));
    EXPECT_FALSE(contains(Comparator::ascii_casemap, "ab", "abc", meter));
}

TEST(MailDates, AreReadInAllTheirForms) {
    struct Row {
        std::string_view text, iso;  // "" for none
    };
    for (const auto& [text, iso] : std::vector<Row>{
             {"Tue, 01 Dec 2026 11:30:00 +0200", "2026-12-01T11:30:00+02:00"},
             {"1 Dec 2026 11:30 GMT", "2026-12-01T11:30:00Z"},
             {"Tue, 1 Dec 26 11:30:00 EST", "2026-12-01T11:30:00-05:00"},
             {"1 Dec 99 00:00:00 Z", "1999-12-01T00:00:00Z"},
             {"(a comment) Tue , 1 Dec (b) 2026 11 : 30 : 00 -0000 (c)", "2026-12-01T11:30:00Z"},
             {"from a by b; Tue, 01 Dec 2026 10:00:05 +0000", "2026-12-01T10:00:05Z"},
             {"29 Feb 2024 00:00:00 +0000", "2024-02-29T00:00:00Z"},
             {"29 Feb 2026 00:00:00 +0000", ""},
             {"32 Jan 2026 00:00:00 +0000", ""},
             {"1 Dec 2026 24:00:00 +0000", ""},
             {"1 Dec 2026", ""},
             {"yesterday", ""},
             {"", ""},
         }) {
        const auto read = parse_mail_date(text);
        EXPECT_EQ(read ? format(DatePart::iso8601, *read) : "", iso) << text;
    }
    EXPECT_TRUE(parse_iso8601("2026-12-01T11:30:00.5+02:00"));
    for (const auto wrong : {"2026-12-01", "2026-13-01T00:00:00Z", "2026-12-01T00:00:00", "2026-12-01T00:00:00+0200"})
        EXPECT_FALSE(parse_iso8601(wrong)) << wrong;
}

TEST(NotifyMethods, AreMailtoUris) {
    for (const auto good : {"mailto:a@b.example", "MAILTO:a@b.example,c@d.example", "mailto:?to=a@b.example",
                            "mailto:a%2Bx@b.example?subject=a%20b&body=c%0D%0Ad"})
        EXPECT_TRUE(parse_notify_method(good)) << good;
    for (const auto wrong : {"mailto:", "mailto:a", "mailto:a@b.example?subject", "mailto:a@b.example?x=%0a", "tel:1",
                             "", "mailto:a@b.example?subject=%zz", "mailto:a@b.example#x"})
        EXPECT_FALSE(parse_notify_method(wrong)) << wrong;
}

TEST(ScriptNames, AreTextWithoutControls) {
    for (const auto good : {"main", "Mein Filter ä", "."}) EXPECT_TRUE(is_script_name(good)) << good;
    for (const auto& wrong : {std::string(), std::string("a/b"), std::string("a\n"), std::string("\xff"),
                              std::string("a\u0085"), std::string("a\u2028"), std::string(513, 'a')})
        EXPECT_FALSE(is_script_name(wrong)) << wrong;
}

}  // namespace
}  // namespace poplar::sieve
