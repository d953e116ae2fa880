#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "imap/sort.h"
#include "imap/thread.h"

namespace poplar::imap {
namespace {

mail::Structure read(const std::string& header) {
    mail::StructureReader reader;
    reader.feed(header + "\r\n");
    return reader.finish();
}

std::vector<SortCriterion> criteria(std::string_view text) {
    Cursor in(text);
    return *parse_sort_criteria(in);
}

/// Message numbers in the order that they are sorted in; the messages are headers.
std::string sorted(std::string_view by, const std::vector<std::string>& headers) {
    const auto wanted = criteria(by);
    std::vector<SortEntry> entries;
    for (std::uint32_t i = 0; i < headers.size(); ++i) {
        const auto structure = read(headers[i]);
        entries.push_back(
            sort_entry(wanted, i + 1, 10 * i, Timestamp(std::chrono::seconds(100 - i)), headers[i].size(), &structure));
    }
    sort(entries, wanted);
    std::string out;
    for (const auto& entry : entries) out += std::to_string(entry.number);
    return out;
}

TEST(Sort, ReadsCriteria) {
    using Key = SortCriterion::Key;
    EXPECT_EQ(criteria("(REVERSE date Subject)"),
              (std::vector<SortCriterion>{{Key::date, true}, {Key::subject, false}}));
    EXPECT_FALSE(needs_structure(criteria("(ARRIVAL SIZE)")));
    EXPECT_TRUE(needs_structure(criteria("(ARRIVAL CC)")));
    for (const std::string_view text :
         {"", "()", "(REVERSE)", "(DATE", "(DATES)", "(DATE )", "DATE", "(REVERSE REVERSE DATE)"}) {
        Cursor in(text);
        EXPECT_FALSE(parse_sort_criteria(in)) << text;
    }
}

TEST(Sort, ByEachCriterion) {
    const std::vector<std::string> letters = {
        "Subject: Re: b\r\nFrom: Zoe <a@x>\r\nTo: q@x\r\nDate: 3 Dec 2026 10:00:00 +0000\r\n",
        "Subject: C\r\nFrom: b@x\r\nCc: c@x\r\nDate: 3 Dec 2026 10:30:00 +0100\r\n",
        "Subject: [list] a\r\nFrom: =?utf-8?q?=C3=84nne?= <c@x>\r\nTo: group: p@x;\r\nCc: b@x\r\nDate: nonsense\r\n"};
    EXPECT_EQ(sorted("(SUBJECT)", letters), "312");
    EXPECT_EQ(sorted("(REVERSE SUBJECT)", letters), "213");
    EXPECT_EQ(sorted("(FROM)", letters), "123");
    EXPECT_EQ(sorted("(DISPLAYFROM)", letters), "321") << "\xc3\x84 sorts as A with its dots";
    EXPECT_EQ(sorted("(TO)", letters), "231") << "without one comes first";
    EXPECT_EQ(sorted("(CC)", letters), "132");
    EXPECT_EQ(sorted("(DATE)", letters), "321") << "a date that is none: when it was received";
    EXPECT_EQ(sorted("(ARRIVAL)", letters), "321");
    EXPECT_EQ(sorted("(REVERSE ARRIVAL)", letters), "123");
    EXPECT_EQ(sorted("(SIZE)", {"Subject: x\r\n", "", "Subject: x\r\n"}), "213");
    EXPECT_EQ(sorted("(REVERSE SIZE)", {"Subject: x\r\n", "", "Subject: x\r\n"}), "132") << "equals stay in order";
    EXPECT_EQ(sorted("(SUBJECT REVERSE SIZE)", {"Subject: x\r\n", "Subject: Re: x\r\n", "Subject: a\r\n"}), "321");
}

std::string threads(ThreadAlgorithm algorithm, const std::vector<std::string>& headers) {
    std::vector<ThreadEntry> entries;
    for (std::uint32_t i = 0; i < headers.size(); ++i)
        entries.push_back(thread_entry(algorithm, i + 1, i + 1, Timestamp(std::chrono::seconds(i)), read(headers[i])));
    std::string out;
    write_threads(out, algorithm, std::move(entries));
    return out;
}

std::string letter(std::string_view id, std::string_view references, std::string_view subject = "") {
    std::string out = "Message-ID: <" + std::string(id) + "@x>\r\n";
    if (!references.empty()) out += "References: " + std::string(references) + "\r\n";
    return out + "Subject: " + std::string(subject) + "\r\n";
}

TEST(Thread, ByReferences) {
    using enum ThreadAlgorithm;
    struct Case {
        std::string_view what;
        std::vector<std::string> letters;
        std::string_view threads;
    };
    const std::vector<Case> cases = {
        {"none", {}, ""},
        {"one", {letter("a", "")}, "(1)"},
        {"a chain", {letter("a", ""), letter("b", "<a@x>"), letter("c", "<a@x> <b@x>")}, "(1 2 3)"},
        {"siblings", {letter("a", ""), letter("b", "<a@x>"), letter("c", "<a@x>")}, "(1 (2)(3))"},
        {"the RFC's example",
         {letter("1", ""), letter("2", ""), letter("3", "<2@x>"), letter("4", "<2@x> <3@x>"),
          letter("23", "<2@x> <3@x> <4@x>"), letter("44", "<3@x>"), letter("7", "<3@x> <44@x>")},
         "(1)(2 3 (4 5)(6 7))"},
        {"the answer comes first", {letter("b", "<a@x>"), letter("a", "")}, "(2 1)"},
        {"one that is not there", {letter("b", "<a@x>"), letter("c", "<a@x>")}, "((1)(2))"},
        {"one alone below one that is not there", {letter("b", "<a@x>")}, "(1)"},
        {"one that is not there between", {letter("a", ""), letter("c", "<a@x> <b@x>")}, "(1 2)"},
        {"each refers to the other", {letter("a", "<b@x>"), letter("b", "<a@x>")}, "(2 1)"},
        {"it refers to itself", {letter("a", "<a@x>")}, "(1)"},
        {"two of one id", {letter("a", ""), letter("a", "")}, "(1)(2)"},
        {"subjects alike", {letter("a", "", "s"), letter("b", "", "Re: s")}, "(1 2)"},
        {"subjects alike, neither a reply", {letter("a", "", "s"), letter("b", "", "s")}, "((1)(2))"},
        {"three alike", {letter("a", "", "s"), letter("b", "", "s"), letter("c", "", "Re: s")}, "((1)(2)(3))"},
        {"a reply, then what it answers", {letter("a", "", "Re: s"), letter("b", "", "s")}, "(2 1)"},
        {"no subjects", {letter("a", ""), letter("b", "")}, "(1)(2)"},
    };
    for (const auto& [what, letters, expected] : cases) EXPECT_EQ(threads(references, letters), expected) << what;
}

TEST(Thread, InReplyToCountsWithoutReferences) {
    EXPECT_EQ(
        threads(ThreadAlgorithm::references, {letter("a", ""), "Message-ID: <b@x>\r\nIn-Reply-To: <a@x> <c@x>\r\n"}),
        "(1 2)");
}

TEST(Thread, BySubject) {
    const auto with = [](std::string_view subject) { return letter("i" + std::string(subject), "", subject); };
    EXPECT_EQ(
        threads(ThreadAlgorithm::ordered_subject, {with("b"), with("a"), with("Re: b"), with("Fwd: b"), with("re: A")}),
        "(1 (3)(4))(2 5)");
    EXPECT_EQ(threads(ThreadAlgorithm::ordered_subject, {}), "");
}

TEST(Thread, AThreadOfAnyDepthIsWritten) {
    std::vector<std::string> letters{letter("0", "")};
    for (int i = 1; i < 5000; ++i) letters.push_back(letter(std::to_string(i), "<" + std::to_string(i - 1) + "@x>"));
    const auto chain = threads(ThreadAlgorithm::references, letters);
    EXPECT_TRUE(chain.starts_with("(1 2 3 4 5"));
    EXPECT_EQ(std::ranges::count(chain, ' ') + std::ranges::count(chain, '('), 5000);
}

}  // namespace
}  // namespace poplar::imap
