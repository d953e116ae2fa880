// Headers: their fields and their end, however the octets come; encoded-words for showing.
#include "mail/header_walk.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace poplar::mail {
namespace {

using namespace std::string_literals;

struct Walked {
    bool in_body = false;
    std::uint64_t octets = 0;
    std::uint32_t fields = 0, received = 0;
    bool has_8bit = false;
    bool operator==(const Walked&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Walked& w) {
    return out << "body " << w.in_body << " octets " << w.octets << " fields " << w.fields << " received " << w.received
               << " 8bit " << w.has_8bit;
}

Walked walk(std::string_view in, std::size_t step = std::string_view::npos) {
    HeaderWalk walk;
    while (!in.empty()) {
        walk.feed(in.substr(0, step));
        in.remove_prefix(std::min(step, in.size()));
    }
    return {walk.in_body(), walk.header_octets(), walk.field_count(), walk.received_count(), walk.has_8bit()};
}

TEST(HeaderWalk, CountsWhatTheLimitsNeed) {
    struct Case {
        std::string in;
        Walked expected;
    };
    const std::vector<Case> cases = {
        {"", {}},
        {"\r\n", {true, 2, 0, 0, false}},
        {"A: 1\r\nB: 2\r\n\r\nC: 3\r\n\xff", {true, 14, 2, 0, false}},
        {"A: 1\r\n folded: x\r\n\t: y\r\n", {false, 24, 1, 0, false}},
        {"Received: x\r\nRECEIVED : y\r\nreceived:\r\n z\r\nReceived-SPF: p\r\nXReceived: q\r\nReceive: r\r\n\r\n",
         {true, 87, 6, 3, false}},
        {"A: \xc3\xa9\r\n\r\n", {true, 9, 1, 0, true}},
        {"A: 1\r\nName", {false, 10, 1, 0, false}},
        {"A: 1\n\nB: 2\n", {true, 6, 1, 0, false}},
        {"A: 1\r\n \r\nReceived: x\r\n", {false, 22, 2, 1, false}},
    };
    for (const auto& [in, expected] : cases)
        for (std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}})
            EXPECT_EQ(walk(in, step), expected) << testing::PrintToString(in) << " in steps of " << step;
}

TEST(HeaderWalk, EndsBeforeTheFirstLineThatIsNoField) {
    const std::string longest(kLongestFieldName, 'n');
    for (const std::string text : {"From a@b\r\n", "no colon here\r\n", "word\r\n", ": empty\r\n", "A B: c\r\n",
                                   "\xc3\xa9: x\r\n", "A\xc3\xa9: x\r\n", "\r\r\n", "--b\r\n", "a\x7f: b\r\n"})
        for (const std::string header : {"", "A: 1\r\n", "A: 1\r\n b\r\nB : \r\n"})
            for (std::size_t step : {std::string::npos, std::size_t{1}, std::size_t{3}}) {
                HeaderWalk walk;
                const std::string in = header + text + "Received: x\r\n\r\n";
                for (std::size_t at = 0; at < in.size(); at += std::min(step, in.size()))
                    walk.feed(std::string_view(in).substr(at, step));
                EXPECT_TRUE(walk.in_body() && walk.lacks_blank_line()) << in;
                EXPECT_EQ(walk.header_octets(), header.size()) << in;
                EXPECT_EQ(walk.received_count(), 0u) << in;
            }
    for (const auto& [in, lacks] : {std::pair(" begins folded\r\n"s, true),
                                    {"A:\r\n folded\r\n\r\ntext\r\n", false},
                                    {longest + ":\r\n", false},
                                    {longest.substr(1) + "\t:\r\n", false},
                                    {longest + "n:\r\n", true},
                                    {longest + " :\r\n", true}}) {
        HeaderWalk walk;
        walk.feed(in);
        EXPECT_EQ(walk.lacks_blank_line(), lacks) << in;
        EXPECT_EQ(walk.undecided(), 0u);
    }
}

TEST(HeaderWalk, KnowsHowMuchOfALineIsUndecided) {
    for (auto [in, undecided] :
         {std::pair("A: 1\r\n", 0), {"A: 1\r\nName", 4}, {"Name  ", 6}, {"Name:", 0}, {"A: 1\r\n\r", 1}, {"N x", 0}}) {
        HeaderWalk walk;
        walk.feed(in);
        EXPECT_EQ(walk.undecided(), static_cast<std::size_t>(undecided)) << in;
    }
}

TEST(HeaderWalk, GivesTheSameResultHoweverTheInputIsCut) {
    std::mt19937 random(21);
    constexpr std::string_view kAlphabet("\r\n\r\n :Received\t\0\xff", 17);
    for (int i = 0; i < 10000; ++i) {
        std::string in(random() % 80, '\0');
        for (char& c : in) c = kAlphabet[random() % kAlphabet.size()];
        for (std::size_t step : {1u, 2u, 5u}) EXPECT_EQ(walk(in, step), walk(in)) << testing::PrintToString(in);
    }
}

TEST(ParseHeader, UnfoldsAndEndsWhereTheHeaderDoes) {  // RFC 5322 s2.2.3
    for (const std::string text : {"no field\r\nBody: no\r\n", ": none\r\nBody: no\r\n", "From x\r\n\r\n"})
        EXPECT_EQ(parse_header("A: 1\r\n" + text).size(), 1u) << text;
    EXPECT_TRUE(parse_header(" folded\r\nA: 1\r\n").empty());
    auto fields =
        parse_header("Subject:  one\r\n two\r\n\tthree \r\nX-Empty:\r\nOld : style\r\nColons: a:b\r\n\r\nBody: no\r\n");
    ASSERT_EQ(fields.size(), 4u);
    EXPECT_EQ(fields[0].name, "Subject");
    EXPECT_EQ(fields[0].value, "one two\tthree");
    EXPECT_EQ(fields[1].name, "X-Empty");
    EXPECT_EQ(fields[1].value, "");
    EXPECT_EQ(fields[2].name, "Old");
    EXPECT_EQ(fields[2].value, "style");
    EXPECT_EQ(fields[3].name, "Colons");
    EXPECT_EQ(fields[3].value, "a:b");
}

TEST(ParseHeader, HoldsItsLimitAndTakesAHeaderWithoutAnEnd) {
    EXPECT_EQ(parse_header("A: 1\r\nB: 2\r\nC: 3", 2).size(), 2u);
    auto fields = parse_header("A: 1\r\nB: 2\r\n x", 2);
    ASSERT_EQ(fields.size(), 2u);
    EXPECT_EQ(fields[1].value, "2 x");
    EXPECT_TRUE(parse_header("A: 1\r\n", 0).empty());
    EXPECT_TRUE(parse_header("").empty());
}

TEST(DecodeForDisplay, DecodesEncodedWords) {  // RFC 2047 s8 and what mailers send
    struct Case {
        std::string_view in, out;
    };
    for (auto [in, out] : {
             Case{"plain text", "plain text"},
             {"=?ISO-8859-1?Q?a?=", "a"},
             {"=?ISO-8859-1?Q?a?= b", "a b"},
             {"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"},
             {"=?ISO-8859-1?Q?a?=  \r\n =?ISO-8859-1?Q?b?=", "ab"},
             {"=?ISO-8859-1?Q?a_b?=", "a b"},
             {"=?iso-8859-1?q?Keld_J=F8rn_Simonsen?= <keld@example>", "Keld Jørn Simonsen <keld@example>"},
             {"=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"},
             {"=?utf-8?b?R3LDvMOfZQ?=", "Grüße"},
             {"=?utf-8*de?Q?=C3=A4?=", "ä"},
             {"=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "ä"},  // a character cut in two
             {"=?iso-8859-1?Q?=E4?= =?utf-8?Q?=C3=A4?=", "ää"},
             {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"},
             {"=?shift_jis?B?k/qWew==?=", "日本"},
             {"=?gb2312?B?1tDOxA==?=", "中文"},
             {"=?ks_c_5601-1987?B?x9GxuQ==?=", "한국"},
             {"=?koi8-r?B?8NLJ18XU?=", "Привет"},
             {"=?windows-1252?Q?=80?=", "€"},
             {"a=?us-ascii?Q?b?=c", "abc"},
             {"raw ä", "raw ä"},
         })
        EXPECT_EQ(decode_for_display(in), out) << in;
}

TEST(DecodeForDisplay, LeavesWhatCannotBeDecoded) {
    for (std::string_view in :
         {"=?", "=?x", "=?utf-8?Q", "=?utf-8?Q?", "=?utf-8?Q?abc", "=?utf-8?X?abc?=", "=?utf-8?B?!!!?=",
          "=?no-such-charset?Q?a?=", "=??Q?a?=", "=?utf-8//x?Q?a?=", "=?iso-8859-99?Q?a?=", "=?=?=?", "a =?= b ?="})
        EXPECT_EQ(decode_for_display(in), in);
    EXPECT_EQ(decode_for_display("=?utf-8?Q?a=zzb=4?="), "a=zzb=4");
}

TEST(DecodeForDisplay, ShowsNoControlsAndOnlyUtf8) {
    struct Case {
        std::string in, out;
    };
    for (const auto& [in, out] : {Case{"a\r\nb\tc\0d"s, "a  b c d"},
                                  {"\x1b[31m", " [31m"},
                                  {"a\x7f\xc2\x9b", "a  "},
                                  {"\xff\xc3", "\uFFFD\uFFFD"},
                                  {"=?utf-8?Q?=1B=0D=0A?=", "   "},
                                  {"=?utf-8?Q?=FF?=", "\uFFFD"},
                                  {"=?iso-2022-jp?B?GyRC?=", ""},
                                  {"=?euc-jp?Q?=FF=41?=",
                                   "\uFFFD"
                                   "A"},
                                  {"\xef\xbf\xbd", "\uFFFD"}})
        EXPECT_EQ(decode_for_display(in), out) << testing::PrintToString(in);
}

TEST(DecodeForDisplay, TakesAnyOctetsInTimeThatGrowsWithThem) {
    std::string many;
    for (int i = 0; i < 100'000; ++i) many += "=?a?q?";
    EXPECT_EQ(decode_for_display(many), many);
}

}  // namespace
}  // namespace poplar::mail
