#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "imap/search_keys.h"

namespace poplar::imap {
namespace {

using Is = SearchAnswer::Is;
using namespace std::chrono_literals;

std::expected<SearchProgram, SearchRefusal> parse(std::string_view text, const SearchLimits& limits = {}) {
    Cursor in(text);
    return parse_search(in, limits);
}

/// A message of which all is known, and what is found in it.
struct Letter {
    explicit Letter(std::string_view octets) : wire(octets) {
        mail::StructureReader reader;
        reader.feed(wire);
        structure = reader.finish();
        facts.number = 3;
        facts.uid = 30;
        facts.mod_sequence = 100;
        facts.now = Timestamp(std::chrono::sys_days(std::chrono::year(2026) / 12 / 10));
        facts.record = {.received = facts.now - std::chrono::days(2), .octets = wire.size(), .email_id = "M3"};
        facts.thread_id = "T3";
        facts.keywords = &keywords;
    }

    SearchAnswer answer(std::string_view text, std::size_t step = 1 << 20) {
        auto program = parse(text);
        if (!program) {
            ADD_FAILURE() << text << ": " << program.error().text;
            return {};
        }
        resolve(*program, 5, 50);
        words.begin(structure, MessageText::Depth::all);
        for (std::size_t at = 0; at < wire.size(); at += step) words.feed(std::string_view(wire).substr(at, step));
        words.finish();
        facts.structure = &structure;
        facts.text = &words;
        return match(*program, facts);
    }
    bool has(std::string_view text) {
        const auto found = answer(text);
        EXPECT_NE(found.is, Is::unknown) << text;
        for (const std::size_t step : {1u, 3u, 100u})
            EXPECT_EQ(answer(text, step).is, found.is) << text << " in " << step;
        return found.is == Is::yes;
    }

    std::string wire;
    mail::Structure structure;
    std::vector<std::string> keywords{"$Forwarded", "blue"};
    SearchFacts facts;
    MessageText words;
};

constexpr std::string_view kLetter =
    "Date: Tue, 1 Dec 2026 23:30:00 -0500\r\n"
    "From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\n"
    "To: team@example.org\r\n"
    "Subject: Stra=?utf-8?q?=C3=9Fe?= is no encoded-word\r\n"
    "X-Empty:\r\n"
    "X-Two: one\r\n"
    "X-Two: two\r\n folded\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n"
    "\r\n"
    "preamble\r\n"
    "--b\r\n"
    "Content-Type: text/plain; charset=koi8-r\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "\r\n"
    "8NLJ18XU\r\n"  // Привет
    "--b\r\n"
    "Content-Type: text/html\r\n"
    "\r\n"
    "<p>Caf&eacute; <b>bo</b>ld</p><!-- hidden -->\r\n"
    "--b\r\n"
    "Content-Type: application/pdf; name=report.pdf\r\n"
    "\r\n"
    "binary octets\r\n"
    "--b\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: enclosed\r\n"
    "\r\n"
    "..within\r\n"
    "--b--\r\n";

TEST(Search, FindsByEveryKey) {
    Letter letter(kLetter);
    letter.facts.flags = kSeenFlag | kFlaggedFlag;
    for (const std::string_view yes : {"ALL",
                                       "all",
                                       "3",
                                       "1:3",
                                       "2,3",
                                       "3:*",
                                       "UID 30",
                                       "UID 30:*",
                                       "SEEN",
                                       "FLAGGED",
                                       "UNANSWERED",
                                       "UNDELETED",
                                       "UNDRAFT",
                                       "OLD",
                                       "KEYWORD blue",
                                       "KEYWORD BLUE",
                                       "UNKEYWORD red",
                                       "NOT DELETED",
                                       "OR DELETED SEEN",
                                       "(SEEN FLAGGED)",
                                       "NOT (SEEN DELETED)",
                                       "MODSEQ 100",
                                       "MODSEQ \"/flags/\\\\draft\" all 99",
                                       "BEFORE 9-Dec-2026",
                                       "ON 8-Dec-2026",
                                       "SINCE \"8-Dec-2026\"",
                                       "ON 08-dec-2026",
                                       "YOUNGER 172800",
                                       "OLDER 172800",
                                       "LARGER 10",
                                       "SMALLER 10000",
                                       "EMAILID M3",
                                       "THREADID T3",
                                       "SENTON 1-Dec-2026",
                                       "SENTSINCE 1-Dec-2026",
                                       "SENTBEFORE 2-Dec-2026",
                                       "FROM \"J\xc3\x9cRGEN\"",
                                       "FROM example.org",
                                       "FROM \"\"",
                                       "TO team",
                                       "SUBJECT stra",
                                       "HEADER X-Two one",
                                       "HEADER x-two \"TWO FOLDED\"",
                                       "HEADER X-Empty \"\"",
                                       "HEADER Date \"1 Dec\"",
                                       "NOT HEADER X-None \"\"",
                                       "BODY \"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82\"",
                                       "BODY {5}\r\nCAF\xc3\x89",
                                       "BODY \"caf\xc3\xa9 bold\"",
                                       "BODY .within",
                                       "BODY enclosed",
                                       "TEXT report.pdf",
                                       "TEXT \"x-two: one\"",
                                       "TEXT bold",
                                       "TEXT \"j\xc3\xbcrgen\"",
                                       "SAVEDATESUPPORTED",
                                       "CHARSET UTF-8 BODY \"caf\xc3\xa9\"",
                                       "CHARSET iso-8859-1 BODY {4}\r\ncaf\xe9",
                                       "CHARSET US-ASCII ALL"}) {
        EXPECT_TRUE(letter.has(yes)) << yes;
    }
    for (const std::string_view no : {"4",
                                      "*",
                                      "UID 31:*",
                                      "UNSEEN",
                                      "RECENT",
                                      "DRAFT",
                                      "KEYWORD red",
                                      "NOT ALL",
                                      "MODSEQ 101",
                                      "BEFORE 8-Dec-2026",
                                      "SINCE 9-Dec-2026",
                                      "YOUNGER 172799",
                                      "OLDER 172801",
                                      "SMALLER 10",
                                      "EMAILID m3",
                                      "SENTON 2-Dec-2026",
                                      "CC \"\"",
                                      "BCC x",
                                      "FROM nobody",
                                      "HEADER X-Two three",
                                      "HEADER X-None \"\"",
                                      "BODY hidden",
                                      "BODY \"binary octets\"",
                                      "BODY preamble",
                                      "BODY report.pdf",
                                      "TEXT preamble",
                                      "SUBJECT enclosed",
                                      "SAVEDON 8-Dec-2026",
                                      "$",
                                      "OR 4 5",
                                      "HEADER \"X-Two: one\" one"})
        EXPECT_FALSE(letter.has(no)) << no;
}

TEST(Search, NewIsRecentAndUnseen) {
    for (const bool recent : {false, true})
        for (const bool seen : {false, true}) {
            Letter letter(kLetter);
            letter.facts.recent = recent;
            letter.facts.flags = seen ? kSeenFlag : 0;
            EXPECT_EQ(letter.has("NEW"), recent && !seen);
            EXPECT_EQ(letter.has("OLD"), !recent);
        }
}

TEST(Search, RefusesWhatIsNoProgram) {
    using Why = SearchRefusal::Why;
    struct Case {
        std::string_view text;
        Why why;
    };
    for (const auto& [text, why] : {Case{"", Why::bad},
                                    {" ALL", Why::bad},
                                    {"ALL ", Why::bad},
                                    {"ALL  SEEN", Why::bad},
                                    {"NOSUCH", Why::bad},
                                    {"NOT", Why::bad},
                                    {"OR SEEN", Why::bad},
                                    {"(SEEN", Why::bad},
                                    {"()", Why::bad},
                                    {"SEEN)", Why::bad},
                                    {"0", Why::bad},
                                    {"1,", Why::bad},
                                    {"UID", Why::bad},
                                    {"UID x", Why::bad},
                                    {"ON 30-Feb-2026", Why::bad},
                                    {"ON 1-Foo-2026", Why::bad},
                                    {"ON 1-Feb-26", Why::bad},
                                    {"ON \"1-Feb-2026", Why::bad},
                                    {"LARGER x", Why::bad},
                                    {"LARGER -1", Why::bad},
                                    {"YOUNGER 0", Why::bad},
                                    {"HEADER x", Why::bad},
                                    {"HEADER \"\" x", Why::bad},
                                    {"KEYWORD", Why::bad},
                                    {"MODSEQ", Why::bad},
                                    {"MODSEQ \"/flags/x\" none 1", Why::bad},
                                    {"EMAILID a.b", Why::bad},
                                    {"EMAILID \t", Why::bad},
                                    {"THREADID ", Why::bad},
                                    {"BODY {2}\r\n\xff\xfe", Why::bad},
                                    {"CHARSET", Why::bad},
                                    {"CHARSET UTF-8", Why::bad},
                                    {"CHARSET nonsense ALL", Why::charset},
                                    {"CHARSET utf-7 ALL", Why::charset}}) {
        const auto program = parse(text);
        ASSERT_FALSE(program) << text;
        EXPECT_EQ(program.error().why, why) << text;
    }
}

TEST(Search, HoldsItsLimits) {
    std::string deep, wide;
    for (int i = 0; i < 100'000; ++i) deep += "NOT ", wide += "SEEN ";
    EXPECT_EQ(parse(deep + "SEEN").error().why, SearchRefusal::Why::limit);
    EXPECT_EQ(parse(wide + "SEEN").error().why, SearchRefusal::Why::limit);
    EXPECT_EQ(parse(std::string(100'000, '(')).error().why, SearchRefusal::Why::limit);
    EXPECT_EQ(parse("BODY " + std::string(5000, 'x')).error().why, SearchRefusal::Why::limit);
    std::string texts, subjects;
    for (int i = 0; i < 60; ++i) texts += "NOT TEXT x ", subjects += "SUBJECT x ";
    EXPECT_EQ(parse(texts + "SEEN").error().why, SearchRefusal::Why::limit);
    EXPECT_TRUE(parse(subjects + "SEEN"));
    EXPECT_TRUE(parse("NOT NOT NOT SEEN"));
}

TEST(Search, SaysWhatItHasToKnow) {
    Letter letter(kLetter);
    letter.facts.record.reset();
    letter.facts.thread_id.reset();
    const auto needs = [&](std::string_view text) {
        auto program = parse(text);
        resolve(*program, 5, 50);
        return match(*program, letter.facts);
    };
    EXPECT_EQ(needs("BODY x SEEN").is, Is::no) << "a flag decides, and the text is not read";
    EXPECT_EQ(needs("OR BODY x UNSEEN").is, Is::yes);
    EXPECT_EQ(needs("NOT SEEN").is, Is::yes);
    struct Case {
        std::string_view text;
        SearchCost cost;
    };
    for (const auto& [text, cost] : {Case{"BODY x LARGER 5", SearchCost::record},
                                     {"BODY x", SearchCost::text},
                                     {"NOT BODY x FROM y", SearchCost::structure},
                                     {"HEADER X-Two y TEXT z", SearchCost::header},
                                     {"THREADID T", SearchCost::thread},
                                     {"OR THREADID T SUBJECT x", SearchCost::thread}}) {
        const auto answer = needs(text);
        EXPECT_EQ(answer.is, Is::unknown) << text;
        EXPECT_EQ(answer.needs, cost) << text;
    }
}

TEST(Search, AHeaderIsEnoughForHeaderKeys) {
    Letter letter(kLetter);
    auto program = parse("HEADER X-Two two");
    MessageText header;
    header.begin(letter.structure, MessageText::Depth::header);
    EXPECT_FALSE(header.feed(letter.wire)) << "it needs no more";
    header.finish();
    letter.facts.header = &header;
    EXPECT_EQ(match(*program, letter.facts).is, Is::yes);
}

TEST(Search, ATextIsUsedAgainForTheNextMessage) {
    Letter first(kLetter), second("Subject: s\r\n\r\nother\r\n");
    MessageText words;
    for (auto* letter : {&first, &second}) {
        words.begin(letter->structure, MessageText::Depth::all);
        words.feed(letter->wire);
        words.finish();
    }
    EXPECT_TRUE(words.body_has("OTHER"));
    EXPECT_FALSE(words.body_has("BOLD"));
    EXPECT_FALSE(words.text_has("X-TWO"));
}

TEST(Search, RemembersSavedResults) {
    auto program = parse("UID $ SEEN");
    EXPECT_TRUE(program->asks_saved_result);
    Letter letter(kLetter);
    letter.facts.flags = kSeenFlag;
    const SequenceSet saved({{28, 31}}), other({{31, 40}});
    letter.facts.saved_result = &saved;
    EXPECT_TRUE(letter.has("$"));
    letter.facts.saved_result = &other;
    EXPECT_FALSE(letter.has("UID $"));
}

}  // namespace
}  // namespace poplar::imap
