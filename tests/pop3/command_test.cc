#include "pop3/command.h"

#include <gtest/gtest.h>

#include <limits>

#include <fmt/format.h>

namespace {

using namespace poplar;
using namespace poplar::pop3;

std::string number(std::optional<MessageNumber> n) { return n ? fmt::format(" {}", *n) : ""; }

/// A command in one spelling, so that a table can hold what is expected.
struct Show {
    std::string operator()(const User& c) const { return fmt::format("USER [{}]", c.name); }
    std::string operator()(const Pass& c) const { return fmt::format("PASS [{}]", c.password); }
    std::string operator()(const Apop& c) const { return fmt::format("APOP [{}] [{}]", c.name, c.digest); }
    std::string operator()(const Quit&) const { return "QUIT"; }
    std::string operator()(const Stat&) const { return "STAT"; }
    std::string operator()(const List& c) const { return "LIST" + number(c.message); }
    std::string operator()(const Retr& c) const { return "RETR" + number(c.message); }
    std::string operator()(const Dele& c) const { return "DELE" + number(c.message); }
    std::string operator()(const Noop&) const { return "NOOP"; }
    std::string operator()(const Rset&) const { return "RSET"; }
    std::string operator()(const Top& c) const { return fmt::format("TOP {} {}", c.message, c.lines); }
    std::string operator()(const Uidl& c) const { return "UIDL" + number(c.message); }
    std::string operator()(const Capa&) const { return "CAPA"; }
    std::string operator()(const Stls&) const { return "STLS"; }
    std::string operator()(const Utf8&) const { return "UTF8"; }
    std::string operator()(const Lang& c) const { return fmt::format("LANG [{}]", c.range); }
    std::string operator()(const Auth& c) const {
        auto initial = c.initial_response ? fmt::format(" [{}]", *c.initial_response) : std::string();
        return fmt::format("AUTH [{}]{}", c.mechanism, initial);
    }
};

TEST(Pop3Command, ReadsEveryCommand) {
    struct Case {
        std::string_view line, expected;
    };
    for (auto [line, expected] : {Case{"USER fred", "USER [fred]"},
                                  {"user  fred@example.test ", "USER [fred@example.test]"},
                                  {"USER bj\xc3\xb6rn", "USER [bj\xc3\xb6rn]"},
                                  {"USER a b", "USER [a b]"},
                                  {"PASS secret", "PASS [secret]"},
                                  {"PASS  two  spaces ", "PASS [ two  spaces ]"},
                                  {"PASS ", "PASS []"},
                                  {"pass \t", "PASS [\t]"},
                                  {"APOP mrose c4c9334b", "APOP [mrose] [c4c9334b]"},
                                  {"apop  a b  x ", "APOP [a b] [x]"},
                                  {"QUIT", "QUIT"},
                                  {"quit ", "QUIT"},
                                  {"Stat", "STAT"},
                                  {"LIST", "LIST"},
                                  {"LIST ", "LIST"},
                                  {"LIST 1", "LIST 1"},
                                  {"LIST 0", "LIST 0"},
                                  {"UIDL", "UIDL"},
                                  {"UIDL 007", "UIDL 7"},
                                  {"RETR 4294967295", "RETR 4294967295"},
                                  {"DELE  2 ", "DELE 2"},
                                  {"NOOP", "NOOP"},
                                  {"RSET", "RSET"},
                                  {"TOP 1 0", "TOP 1 0"},
                                  {"top  1  20", "TOP 1 20"},
                                  {"TOP 1 99999999999999999999", "TOP 1 18446744073709551615"},
                                  {"CAPA", "CAPA"},
                                  {"STLS", "STLS"},
                                  {"utf8", "UTF8"},
                                  {"LANG", "LANG []"},
                                  {"lang  de-CH ", "LANG [de-CH]"},
                                  {"LANG *", "LANG [*]"},
                                  {"AUTH", "AUTH []"},
                                  {"AUTH PLAIN", "AUTH [PLAIN]"},
                                  {"AUTH plain =", "AUTH [plain] [=]"},
                                  {"AUTH PLAIN AGEAYg==", "AUTH [PLAIN] [AGEAYg==]"}}) {
        auto command = parse_command(line);
        ASSERT_TRUE(command) << line;
        EXPECT_EQ(std::visit(Show{}, *command), expected);
    }
}

TEST(Pop3Command, TellsUnknownCommandsFromWrongArguments) {
    struct Case {
        std::string_view line;
        bool known;
    };
    for (auto [line, known] : {Case{"", false},
                               {" ", false},
                               {" QUIT", false},
                               {"QUI", false},
                               {"QUITS", false},
                               {"RETRO 1", false},
                               {"RETR\t1", false},
                               {"GET / HTTP/1.1", false},
                               {"\xff\xfe", false},
                               {std::string_view("ST\0T", 4), false},
                               {std::string_view("\0TOP 1 1", 8), false},
                               {"T\xcf\x90P 1 1", false},
                               {"QUIT now", true},
                               {"STAT 1", true},
                               {"USER", true},
                               {"USER ", true},
                               {"USER   ", true},
                               {"PASS", true},
                               {"RETR", true},
                               {"RETR ", true},
                               {"RETR x", true},
                               {"RETR -1", true},
                               {"RETR +1", true},
                               {"RETR 1x", true},
                               {"RETR 1 2", true},
                               {"RETR 4294967296", true},
                               {"RETR 0x1", true},
                               {"LIST 1 2", true},
                               {"LIST all", true},
                               {"TOP", true},
                               {"TOP 1", true},
                               {"TOP 1 -1", true},
                               {"TOP 1 1 1", true},
                               {"TOP x 1", true},
                               {"NOOP x", true},
                               {"STLS x", true},
                               {"AUTH PLAIN a b", true}}) {
        auto command = parse_command(line);
        ASSERT_FALSE(command) << line;
        EXPECT_EQ(command.error() != kUnknownCommand, known) << line;
    }
}

TEST(Pop3Command, TakesAnyOctetInTheKeywordWithoutConfusion) {
    for (int octet = 0; octet < 256; ++octet) {
        std::string line = "QUIT";
        for (auto& c : line) {
            auto before = std::exchange(c, static_cast<char>(octet));
            bool same = octet == before || octet == before - 'A' + 'a';
            EXPECT_EQ(parse_command(line).has_value(), same) << octet;
            c = before;
        }
    }
}

}  // namespace
