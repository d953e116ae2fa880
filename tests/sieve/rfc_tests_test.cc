// Tests of the language, a row each, in the order of the RFCs that they are from.
#include <gtest/gtest.h>

#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

struct Row {
    std::string_view test, expected;
};

void expect_all(std::initializer_list<Row> rows) {
    Bench bench;
    for (const auto& [test, expected] : rows) EXPECT_EQ(bench.holds(test), expected) << test;
}

TEST(Rfc5228, StringsAndLists) {  // s2.4.2
    expect_all({
        {R"(string "a\"b" "a\"b")", "true"},
        {R"(string "a\\b" "a\\b")", "true"},
        {R"(string "\a\b" "ab")", "true"},
        {R"(string "" "")", "true"},
        {R"(string [] "a")", "wrong"},
        {R"(string ["a"] [])", "wrong"},
        {R"(string ["a", "b"] ["c", "b"])", "true"},
        {R"(string ["a", "b"] ["c", "d"])", "false"},
        {R"(STRING :IS "a" "a")", "true"},
        {R"(string :Comparator "i;octet" "a" "a")", "true"},
        {R"(string :comparator "I;OCTET" "a" "a")", "wrong"},
        {"string \"a\r\nb\" \"a\r\nb\"", "true"},
        {"string /* a comment */ \"a\" # another\r\n \"a\"", "true"},
        {"string text:\r\na\r\n.\r\n \"a\r\n\"", "true"},
        {"string text: # a comment\r\n..a\r\n.\r\n \".a\r\n\"", "true"},
        {"string text:\r\n.\r\n \"\"", "true"},
    });
}

TEST(Rfc5228, MatchTypes) {  // s2.7.1
    expect_all({
        {R"(string :is "frop" "frop")", "true"},
        {R"(string :is "frop" "fro")", "false"},
        {R"(string :contains "frobnitzm" "frob")", "true"},
        {R"(string :contains "frob" "frobnitzm")", "false"},
        {R"(string :contains "abc" "")", "true"},
        {R"(string :contains "" "")", "true"},
        {R"(string :contains "" "a")", "false"},
        {R"(string :matches "" "")", "true"},
        {R"(string :matches "" "*")", "true"},
        {R"(string :matches "" "?")", "false"},
        {R"(string :matches "a" "")", "false"},
        {R"(string :matches "frop" "f*p")", "true"},
        {R"(string :matches "frop" "?*?")", "true"},
        {R"(string :matches "f" "?*?")", "false"},
        {R"(string :matches "abc" "???")", "true"},
        {R"(string :matches "abc" "????")", "false"},
        {R"(string :matches "abc" "**")", "true"},
        {R"(string :matches "abc" "*b*")", "true"},
        {R"(string :matches "abc" "*c")", "true"},
        {R"(string :matches "abc" "*b")", "false"},
        {R"(string :matches "abcbc" "*bc")", "true"},
        {R"(string :matches "a*c" "a\\*c")", "true"},
        {R"(string :matches "abc" "a\\*c")", "false"},
        {R"(string :matches "a?c" "a\\?c")", "true"},
        {R"(string :matches "abc" "a\\?c")", "false"},
        {R"(string :matches "a\\c" "a\\\\c")", "true"},
        {R"(string :matches "ABC" "a*")", "true"},
        {R"(string :matches :comparator "i;octet" "ABC" "a*")", "false"},
        {R"(string :is "*" "*")", "true"},
        {R"(string :is "abc" "*")", "false"},
        {R"(string :is :contains "a" "a")", "wrong"},
        {R"(string :matches :matches "a" "a")", "wrong"},
    });
}

TEST(Rfc5228, ControlsAndTests) {  // s3 and s5
    expect_all({
        {"not not true", "true"},
        {"not allof (true, true)", "false"},
        {"anyof (true)", "true"},
        {"anyof (false)", "false"},
        {"allof (true)", "true"},
        {"anyof (allof (true, false), not false)", "true"},
        {"allof (anyof (false, true), exists \"to\")", "true"},
        {"anyof ()", "wrong"},
        {"anyof (true,)", "wrong"},
        {"anyof true", "wrong"},
        {"allof (true true)", "wrong"},
        {"not", "wrong"},
        {"not (true)", "wrong"},
        {"true true", "wrong"},
        {"keep", "wrong"},
        {"exists \"from\"", "true"},
        {"exists \"FROM\"", "true"},
        {"exists \"x-empty\"", "true"},
        {"exists \"x-none\"", "false"},
        {"exists []", "wrong"},
        {"exists", "wrong"},
        {"exists :is \"from\"", "wrong"},
        {"header \"subject\"", "wrong"},
        {"header \"subject\" \"a\" \"b\"", "wrong"},
        {"header \"subject\" 1", "wrong"},
        {"header 1 \"a\"", "wrong"},
        {"header :all \"subject\" \"a\"", "wrong"},
        {R"(header :contains ["to", "cc"] ["kate", "none"])", "true"},
        {R"(header :contains ["bcc", "resent-to"] "kate")", "false"},
        {R"(header :is "x-many" ["second", "none"])", "true"},
        {R"(header "x-number" "42 apples")", "true"},
        {R"(header "x-number" " 42 apples")", "false"},
        {R"x(header :contains "from" "(at work)")x", "true"},
        {R"(not header :contains "x-none" "")", "true"},
        {"size :over 0", "true"},
        {"size :under 0", "false"},
        {"size :over \"1\"", "wrong"},
        {"size :under", "wrong"},
        {"size :over 1k", "false"},
        {"size :over -1", "wrong"},
        {"size :over 1.5K", "wrong"},
        {"size :over 4G", "false"},
        {"size :about 1", "wrong"},
    });
    Bench bench;
    bench.message = "A: b\r\n\r\n" + std::string(2040, 'x');
    ASSERT_EQ(bench.message.size(), 2048u);
    for (const auto& [test, expected] : std::initializer_list<Row>{{"size :over 2K", "false"},
                                                                   {"size :under 2K", "false"},
                                                                   {"size :over 2047", "true"},
                                                                   {"size :under 2049", "true"},
                                                                   {"size :over 1K", "true"},
                                                                   {"size :under 1M", "true"}})
        EXPECT_EQ(bench.holds(test), expected) << test;
}

TEST(Rfc5228, Addresses) {  // s5.1, s5.4, s2.7.4
    expect_all({
        {R"(address :is :all "from" "jane.doe@example.org")", "true"},
        {R"(address :is :all "from" "JANE.DOE@EXAMPLE.ORG")", "true"},
        {R"(address :is :comparator "i;octet" "from" "jane.doe@example.org")", "false"},
        {R"(address :localpart "from" "jane.doe")", "true"},
        {R"(address :localpart "from" "jane")", "false"},
        {R"(address :domain "from" "example.org")", "true"},
        {R"(address :domain :contains "from" "ample")", "true"},
        {R"(address :domain :matches "cc" "*.example.org")", "true"},
        {R"(address "to" ["none@example.com", "kate@example.net"])", "true"},
        {R"(address ["cc", "bcc"] "ann@example.org")", "true"},
        {R"(address "sender" "jane.doe@example.org")", "false"},
        {R"(address :contains "from" "at work")", "false"},
        {R"(address :all :all "from" "a")", "wrong"},
        {R"(address "from")", "wrong"},
        {R"(envelope "from" "JANE@EXAMPLE.ORG")", "true"},
        {R"(envelope :comparator "i;octet" "from" "JANE@example.org")", "false"},
        {R"(envelope :domain "to" "example.com")", "true"},
        {R"(envelope :all :contains "to" "tom")", "true"},
        {R"(envelope ["from", "to"] "tom+lists@example.com")", "true"},
        {R"(envelope "from" "")", "false"},
        {R"(envelope [] "a")", "wrong"},
        {R"(envelope :is "sender" "a")", "wrong"},
    });
}

TEST(Rfc5231, ValuesAndCounts) {
    expect_all({
        {R"(header :value "ge" "x-many" "third")", "true"},
        {R"(header :value "gt" "x-many" "third")", "false"},
        {R"(header :value "le" "x-many" "first")", "true"},
        {R"(header :value "lt" "x-many" "first")", "false"},
        {R"(header :value "eq" "x-many" "SECOND")", "true"},
        {R"(header :value "ne" "x-number" "42 apples")", "false"},
        {R"(header :value "ne" "x-many" "first")", "true"},
        {R"(header :value "lt" :comparator "i;ascii-numeric" "x-priority" "3")", "false"},
        {R"(header :count "ge" :comparator "i;ascii-numeric" "received" "3")", "false"},
        {R"(header :count "ge" :comparator "i;ascii-numeric" "received" "2")", "true"},
        {R"(header :count "lt" :comparator "i;ascii-numeric" "received" ["1", "3"])", "true"},
        {R"(header :count "eq" :comparator "i;ascii-numeric" "to" "1")", "true"},
        {R"(address :count "eq" :comparator "i;ascii-numeric" "to" "2")", "true"},
        {R"(address :count "gt" :comparator "i;ascii-numeric" ["to", "cc"] "4")", "false"},
        {R"(address :value "gt" :domain "from" "example.com")", "true"},
        {R"(envelope :count "eq" :comparator "i;ascii-numeric" ["from", "to"] "2")", "true"},
        {R"(header :value "GE" "x-many" "a")", "true"},
        {R"(header :value "x-many" "a")", "wrong"},
        {R"(header :value "ge" :count "ge" "x-many" "a")", "wrong"},
        {R"(header :count "most" "x-many" "1")", "wrong"},
        {R"(string :value "eq" :comparator "i;ascii-numeric" "007" "7")", "true"},
        {R"(string :value "lt" :comparator "i;ascii-numeric" "9" "10")", "true"},
        {R"(string :value "lt" "9" "10")", "false"},
        {R"(string :value "gt" :comparator "i;ascii-numeric" "x" "10")", "true"},
        {R"(string :matches :comparator "i;ascii-numeric" "1" "1")", "wrong"},
    });
}

TEST(Rfc5233, Details) {
    expect_all({
        {R"(address :detail "to" "LISTS")", "true"},
        {R"(address :detail :matches "to" "l*")", "true"},
        {R"(address :detail :is "to" "")", "false"},
        {R"(address :user "to" ["kate", "none"])", "true"},
        {R"(address :user "to" "tom+lists")", "false"},
        {R"(envelope :user "to" "tom")", "true"},
        {R"(envelope :detail :contains "to" "ist")", "true"},
        {R"(envelope :detail "from" "")", "false"},
        {R"(envelope :user :detail "to" "tom")", "wrong"},
    });
}

TEST(Rfc5260, DatesAndIndexes) {
    expect_all({
        {R"(date :originalzone "date" "day" "01")", "true"},
        {R"(date :originalzone "date" "month" "12")", "true"},
        {R"(date :originalzone "date" "minute" "30")", "true"},
        {R"(date :originalzone "date" "second" "00")", "true"},
        {R"(date :originalzone "date" "time" "11:30:00")", "true"},
        {R"(date :originalzone "date" "iso8601" "2026-12-01T11:30:00+02:00")", "true"},
        {R"(date :zone "+0000" "date" "iso8601" "2026-12-01T09:30:00Z")", "true"},
        {R"(date :zone "+0000" "date" "zone" "+0000")", "true"},
        {R"(date :zone "+1400" "date" "date" "2026-12-01")", "true"},
        {R"(date :zone "-1000" "date" "date" "2026-11-30")", "true"},
        {R"(date :zone "-1000" "date" "weekday" "1")", "true"},
        {R"(date :zone "+0000" :value "ge" "date" "hour" "09")", "true"},
        {R"(date :zone "+0000" :matches "date" "date" "2026-*")", "true"},
        {R"(date :zone "+0000" :contains "date" "year" "02")", "true"},
        {R"(date :index 1 :zone "+0000" "received" "time" "10:00:05")", "true"},
        {R"(date :last :index 1 :zone "+0000" "received" "time" "09:59:59")", "true"},
        {R"(date :index 3 :zone "+0000" "received" "year" "2026")", "false"},
        {R"(date "x-none" "year" "2026")", "false"},
        {R"(date ["date"] "year" "2026")", "wrong"},
        {R"(date "date" ["year"] "2026")", "wrong"},
        {R"(date "date" "YEAR" "2026")", "true"},
        {R"(date "date" "" "2026")", "wrong"},
        {R"(currentdate :zone "+0000" "year" "2026")", "true"},
        {R"(currentdate :zone "+0000" "month" "12")", "true"},
        {R"(currentdate :zone "+0000" "day" "01")", "true"},
        {R"(currentdate :zone "+0000" "julian" "61375")", "true"},
        {R"(currentdate "weekday" ["1", "2"])", "true"},
        {R"(currentdate :zone "+0000" "time" "12:00:00")", "true"},
        {R"(currentdate :value "lt" "date" "2027-01-01")", "true"},
        {R"(allof (currentdate :value "ge" "date" "2026-12-01", currentdate :value "le" "date" "2026-12-31"))", "true"},
        {R"(currentdate :zone "+0000" :value "ge" "hour" "13")", "false"},
        {R"(currentdate :originalzone "year" "2026")", "wrong"},
        {R"(currentdate :zone "+25" "year" "2026")", "wrong"},
        {R"(currentdate "year")", "wrong"},
        {R"(address :index 2 "to" "kate@example.net")", "false"},
        {R"(address :index 1 "to" "kate@example.net")", "true"},
        {R"(header :index 2 :last "x-many" "second")", "true"},
        {R"(header :index 9 "x-many" "third")", "false"},
    });
}

TEST(Rfc5183, Environment) {
    expect_all({
        {R"(environment "domain" "example.com")", "true"},
        {R"(environment "HOST" "mx.example.com")", "true"},
        {R"(environment :matches "host" "mx.*")", "true"},
        {R"(environment "phase" "during")", "true"},
        {R"(environment "location" ["MTA", "MDA"])", "true"},
        {R"(environment :contains "version" "")", "true"},
        {R"(environment "remote-host" "")", "true"},
        {R"(environment "remote-ip" "192.0.2.1")", "true"},
        {R"(environment "remote-ip" "192.0.2.2")", "false"},
        {R"(environment :count "eq" :comparator "i;ascii-numeric" "domain" "1")", "true"},
        {R"(environment :contains "x" "")", "false"},
        {R"(not environment "name" "Cyrus")", "true"},
        {R"(environment ["name"] "poplar")", "wrong"},
    });
}

TEST(Rfc5173, Bodies) {
    expect_all({
        {R"(body :contains "WORD")", "true"},
        {R"(body :comparator "i;octet" :contains "WORD")", "false"},
        {R"(body :text :matches "*word*")", "true"},
        {R"(body :raw :contains "The body")", "true"},
        {R"(body :raw :contains "Subject")", "false"},
        {R"(body :content "text" :contains "body")", "true"},
        {R"(body :content "text/plain" :contains "body")", "true"},
        {R"(body :content ["image", "text"] :contains "body")", "true"},
        {R"(body :content "image" :contains "")", "false"},
        {R"(body :is "")", "false"},
        {R"(body :content "" :raw :contains "x")", "wrong"},
        {R"(body "x" "y")", "wrong"},
        {R"(body)", "wrong"},
    });
}

TEST(DraftRegex, IsThatOfRe2) {
    expect_all({
        {R"(string :regex "abc" "^a.c$")", "true"},
        {R"(string :regex "abc" ["x", "b"])", "true"},
        {R"(string :regex "ABC" "abc")", "true"},
        {R"(string :regex :comparator "i;octet" "ABC" "abc")", "false"},
        {R"(string :regex "a.b" "a\\.b")", "true"},
        {R"(string :regex "axb" "a\\.b")", "false"},
        {R"(string :regex "abc1" "^[[:alpha:]]+[[:digit:]]$")", "true"},
        {R"(string :regex "aaa" "^a{2,3}$")", "true"},
        {R"(string :regex "aaaa" "^a{2,3}$")", "false"},
        {R"(string :regex "" "^$")", "true"},
        {R"(string :regex "foobar" "(foo|bar)+")", "true"},
        {R"(string :regex "aa" "(a)\\1")", "wrong"},
        {R"(string :regex "a" "[")", "wrong"},
        {R"(string :regex "a" "*a")", "wrong"},
        {R"(address :regex :domain "from" "^example\\.(org|net)$")", "true"},
        {R"(header :regex "x-many" "^(first|none)$")", "true"},
    });
}

TEST(Rfc5235, ScoresThatNobodyGave) {
    expect_all({
        {R"(spamtest "0")", "true"},
        {R"(spamtest :percent "0")", "true"},
        {R"(spamtest :count "eq" :comparator "i;ascii-numeric" "0")", "true"},
        {R"(spamtest :value "ge" :comparator "i;ascii-numeric" "1")", "false"},
        {R"(virustest "0")", "true"},
        {R"(virustest :percent "0")", "wrong"},
    });
    for (const auto& [percent, score] :
         {std::pair(0u, "1"), {11u, "1"}, {12u, "2"}, {50u, "5"}, {99u, "9"}, {100u, "10"}, {250u, "10"}}) {
        Bench bench;
        bench.job.environment.spam_percent = percent;
        EXPECT_EQ(bench.holds("spamtest \"" + std::string(score) + "\""), "true") << percent;
    }
    Bench bench;
    bench.job.environment.virus = 4;
    EXPECT_EQ(bench.holds(R"(virustest :value "ge" :comparator "i;ascii-numeric" "4")"), "true");
    EXPECT_EQ(bench.holds(R"(virustest :count "eq" :comparator "i;ascii-numeric" "1")"), "true");
}

}  // namespace
}  // namespace poplar::test
