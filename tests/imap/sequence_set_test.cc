#include "imap/sequence_set.h"

#include <gtest/gtest.h>

namespace poplar::imap {
namespace {

TEST(SequenceSet, IsSortedAndJoinedWhenResolved) {
    struct Case {
        std::string_view text;
        std::uint32_t greatest;
        std::string_view resolved;
    };
    for (const auto& [text, greatest, resolved] : {Case{"1", 9, "1"},
                                                   {"5,1:2,3", 9, "1:3,5"},
                                                   {"4:2", 9, "2:4"},
                                                   {"*", 9, "9"},
                                                   {"7:*", 9, "7:9"},
                                                   {"*:7", 9, "7:9"},
                                                   {"559:*", 9, "9:559"},
                                                   {"*:*", 9, "9"},
                                                   {"*", 0, ""},
                                                   {"3:*", 0, ""},
                                                   {"1:4294967295,4294967294", 9, "1:4294967295"}}) {
        Cursor in(text);
        auto set = SequenceSet::parse(in);
        ASSERT_TRUE(set) << text;
        EXPECT_TRUE(in.at_end()) << text;
        set->resolve(greatest);
        EXPECT_EQ(set->text(), resolved) << text;
    }
}

TEST(SequenceSet, RefusesWhatIsNone) {
    for (const std::string_view text :
         {"", "0", "01", "1,", ",1", "1:", ":1", "1:0", "a", "-1", "4294967296", "1,,2", "**"}) {
        Cursor in(text);
        const auto set = SequenceSet::parse(in);
        EXPECT_TRUE(!set || !in.at_end()) << text;
    }
}

TEST(SequenceSet, KnowsWhatIsInIt) {
    Cursor in("2:3,7");
    auto set = SequenceSet::parse(in);
    set->resolve(100);
    for (std::uint32_t n = 0; n < 10; ++n) EXPECT_EQ(set->contains(n), n == 2 || n == 3 || n == 7) << n;
    set->append(8);
    set->append(10);
    EXPECT_EQ(set->text(), "2:3,7:8,10");
}

TEST(Cursor, ReadsStringsAndLiterals) {
    struct Case {
        std::string_view text, value, rest;
    };
    for (const auto& [text, value, rest] : {Case{"atom]x rest", "atom]x", " rest"},
                                            {"\"a \\\"b\\\\\" x", "a \"b\\", " x"},
                                            {"{3}\r\na\"b x", "a\"b", " x"},
                                            {"{3+}\r\n)\r\n x", ")\r\n", " x"},
                                            {"{0}\r\n", "", ""}}) {
        Cursor in(text);
        EXPECT_EQ(in.astring(), value) << text;
        EXPECT_EQ(in.rest(), rest) << text;
    }
    for (const std::string_view text : {"", " a", "\"open", "\"a\\x\"", "\"a\r\nb\"", "{}\r\n", "{4}\r\nabc", "{3}abc",
                                        "{-1}\r\n", "{99999999999999999999}\r\nx", "(", "~{1}\r\nx"}) {
        Cursor in(text);
        const auto value = in.astring();
        EXPECT_TRUE(!value || !in.at_end()) << text << " is " << value.value_or("");
    }
}

}  // namespace
}  // namespace poplar::imap
