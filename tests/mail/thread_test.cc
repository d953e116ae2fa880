#include "mail/thread.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace poplar::mail {
namespace {

std::string ids(std::string_view value, std::size_t limit = 10) {
    return fmt::format("{}", fmt::join(message_ids(value, limit), " "));
}

TEST(MessageIds, StandInBrackets) {
    EXPECT_EQ(ids("<a@x>"), "a@x");
    EXPECT_EQ(ids("Your message of Tuesday <a@x> (mine) <b@x>"), "a@x b@x");
    EXPECT_EQ(ids("<a@x><b@x>"), "a@x b@x");
    EXPECT_EQ(ids("<a@x"), "");
    EXPECT_EQ(ids("<<a@x>> <>"), "a@x");
    EXPECT_EQ(ids("no id"), "");
    EXPECT_EQ(ids("<" + std::string(999, 'x') + "> <b@x>"), "b@x");
}

TEST(MessageIds, AreTheFirstAndTheLastOnesIfThereAreMore) {
    EXPECT_EQ(ids("<1><2><3><4><5>", 3), "1 4 5");
    EXPECT_EQ(ids("<1><2><3>", 1), "3");
    EXPECT_EQ(ids("<1><2>", 0), "");
}

TEST(BaseSubject, IsThatOfRfc5256) {
    const std::pair<const char*, const char*> kCases[] = {
        {"Lunch", "lunch"},
        {"Re: Lunch", "lunch"},
        {"RE :  lunch ", "lunch"},
        {"Fwd: Re: Lunch", "lunch"},
        {"FW: lunch", "lunch"},
        {"Re[2]: lunch", "lunch"},
        {"re [list] : lunch", "lunch"},
        {"[list] Re: [list] lunch", "lunch"},
        {"[list]  lunch", "lunch"},
        {"[a][b] Re: lunch", "lunch"},
        {"[list]", "[list]"},
        {"Re: [list] ", "[list]"},
        {"[a] [b]", "[b]"},
        {"lunch (fwd)", "lunch"},
        {"lunch (fwd) (FWD) ", "lunch"},
        {"[Fwd: lunch]", "lunch"},
        {"[fwd: Re: [fwd: lunch]]", "lunch"},
        {"Re: [Fwd: lunch", "[fwd: lunch"},
        {"two\t\twords", "two words"},
        {"Regarding lunch", "regarding lunch"},
        {"Re", "re"},
        {"Re:", ""},
        {"", ""},
        {"=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", "grüsse"},
        {"Re: GRÜSSE", "grüsse"},
        {"[unclosed Re: x", "[unclosed re: x"},
        {"[x[y]] z", "[x[y]] z"},
    };
    for (auto [subject, base] : kCases) EXPECT_EQ(base_subject(subject), base) << subject;
}

TEST(BaseSubject, TakesTimeInProportion) {
    std::string blobs;
    for (int i = 0; i < 20'000; ++i) blobs += "[x]";
    EXPECT_EQ(base_subject(blobs), "[x]");
    EXPECT_EQ(base_subject(blobs + "Re: y"), "y");
    std::string forwards;
    for (int i = 0; i < 10'000; ++i) forwards += "[fwd:";
    EXPECT_EQ(base_subject(forwards + "z" + std::string(10'000, ']')), "z");
}

}  // namespace
}  // namespace poplar::mail
