// Scripts and messages that want to cost much: every run ends within its bounds, and in little time.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <ctime>

#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

/// Of this thread, in milliseconds.
double cpu_time() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// The promise is 100 ms of an optimized build; a debug build with sanitizers is about ten times slower.
constexpr double kMilliseconds = 1000;

std::string repeated(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
}

struct Case {
    std::string name, script, message;
};

std::vector<Case> cases() {
    const auto letter =
        "To: tom@example.com\nSubject: " + std::string(60'000, 'a') + "\n\n" + std::string(500'000, 'a') + "\n";
    const auto all = require_all({"ihave"});
    std::vector<Case> out;
    out.push_back({"stars", all + "if header :matches \"subject\" \"" + repeated("*a", 200) + "b\" {}", letter});
    out.push_back(
        {"stars over a body", all + "if body :raw :matches \"" + repeated("*aaaaaaaaaa", 50) + "b*c\" {}", letter});
    out.push_back({"questions",
                   all + "if body :raw :matches \"*" + repeated("?", 500) + "b" + repeated("?", 500) + "*\" {}",
                   letter});
    out.push_back({"contains", all + "if body :raw :contains \"" + std::string(5000, 'a') + "b\" {}", letter});
    out.push_back(
        {"contains in any case", all + "if body :raw :contains \"" + repeated("aA", 2000) + "b\" {}", letter});
    out.push_back({"unicode", all + "if body :raw :comparator \"i;unicode-casemap\" :matches \"*a*a*a*b\" {}", letter});
    out.push_back({"regex", all + "if body :raw :regex \"(a*)*b\" {}", letter});
    out.push_back({"regex of counts", all + "if body :raw :regex \"(a{1,100}){1,10}b\" {}", letter});
    out.push_back({"regexes", all + repeated("if body :raw :regex \"(x+x+)+y\" {}", 40), letter});
    out.push_back({"regex of a variable",
                   all + "set \"r\" \"(a|aa)+$\";" + repeated("if body :raw :regex \"${r}b\" {}", 60), letter});
    out.push_back(
        {"doubling", all + "set \"a\" \"aaaaaaaa\";" + repeated("set \"a\" \"${a}${a}${a}${a}\";", 2000), letter});
    out.push_back({"flags",
                   all + "set \"f\" \"x\";" +
                       [] {
                           std::string flags;
                           for (int i = 0; i < 20'000; ++i) flags += fmt::format("flag{} ", i);
                           return "addflag \"" + flags + "\"; addflag \"" + flags + "\";";
                       }(),
                   letter});
    out.push_back({"strings", "if header \"subject\" [" + repeated("\"a\",", 200'000) + "\"b\"] {}", letter});
    out.push_back({"nesting", repeated("if true {", 10'000) + repeated("}", 10'000), letter});
    out.push_back({"tests within each other", "if " + repeated("not ", 50'000) + "true {}", letter});
    out.push_back({"headers", all + repeated("addheader \"X-A\" \"b\";", 4000), letter});
    out.push_back({"deleted headers", all + repeated("deleteheader :contains \"X-A\" \"b\";", 4000),
                   repeated("X-A: a\n", 2000) + "\n"});
    out.push_back({"many fields",
                   all + repeated("if header :contains [\"a\",\"b\",\"c\",\"d\",\"e\"] [\"x\",\"y\"] {}", 900),
                   repeated("A: a\n", 2000) + "\n"});
    out.push_back({"addresses", all + repeated("if address :matches \"to\" \"*x*y*\" {}", 900),
                   "To: " + repeated("a@b.example, ", 4000) + "a@b.example\n\n"});
    out.push_back(
        {"parts", all + "foreverypart { if header :mime :anychild :contains \"content-type\" \"x\" {} }",
         "Content-Type: multipart/mixed; boundary=b\n\n" + repeated("--b\nContent-Type: text/plain\n\nx\n", 3000)});
    out.push_back(
        {"parts within each other", all + "foreverypart { foreverypart { if body :contains \"zz\" {} } }", [] {
             std::string text;
             for (int i = 0; i < 60; ++i)
                 text += fmt::format("Content-Type: multipart/mixed; boundary=b{0}\n\n--b{0}\n", i);
             return text + "\nx\n";
         }()});
    out.push_back({"enclosures", all + repeated("enclose \"x\";", 100), letter});
    out.push_back({"replacements", all + repeated("replace text:\n" + std::string(1000, 'x') + "\n.\n;", 200), letter});
    out.push_back({"notifications",
                   all + repeated("notify \"mailto:a@b.example?body=" + std::string(3000, 'x') + "\";", 80), letter});
    out.push_back({"redirects",
                   all +
                       [] {
                           std::string script;
                           for (int i = 0; i < 2000; ++i) script += fmt::format("redirect \"a{}@b.example\";", i);
                           return script;
                       }(),
                   letter});
    out.push_back({"a glob of its own text",
                   all + "set \"a\" \"" + repeated("*a", 500) + "\"; if body :raw :matches [\"${a}b\", \"${a}c\"] {}",
                   letter});
    out.push_back(
        {"lists of lists",
         all + repeated("if header :contains [\"subject\", \"to\"] [" + repeated("\"aab\",", 100) + "\"b\"] {}", 40),
         letter});
    out.push_back(
        {"quoted again and again",
         all + "set \"a\" \"" + repeated("*", 1000) + "\";" + repeated("set :quotewildcard \"a\" \"${a}\";", 500),
         letter});
    out.push_back({"encoded words", all + repeated("if header :contains \"subject\" \"zz\" {}", 500),
                   "Subject: " + repeated("=?utf-8?b?YWFhYWFhYWFhYWFh?= ", 2000) + "\n\n"});
    out.push_back({"dates", all + repeated("if date \"date\" \"year\" \"1\" {}", 2000),
                   repeated("Date: Tue, 01 Dec 2026 11:30:00 +0200\n", 1500) + "\n"});
    out.push_back({"duplicates", all + repeated("if duplicate :uniqueid \"${0}\" {}", 3000), letter});
    out.push_back({"parts that are replaced", all + "foreverypart { replace \"x\"; foreverypart { enclose \"y\"; } }",
                   "Content-Type: multipart/mixed; boundary=b\n\n" + repeated("--b\n\nx\n", 2000)});
    out.push_back({"flags of flags",
                   all + "set \"f\" \"" + repeated("a b c d ", 3000) + "\";" +
                       repeated("addflag \"g\" \"${f}\"; if hasflag [\"g\", \"f\"] \"z\" {}", 300),
                   letter});
    out.push_back({"includes of itself", all + "include \"self\";", letter});
    out.push_back({"includes without end", all + "include \"a\";", letter});
    return out;
}

void expect_bounded(bool explained) {
    for (const auto& one : cases()) {
        Bench bench;
        bench.world.scripts = {{"personal/self", "require \"include\"; include \"self\";"},
                               {"personal/a", "require \"include\"; " + repeated("include \"b\";", 100)},
                               {"personal/b", "require \"include\"; " + repeated("include \"c\";", 100)},
                               {"personal/c", "require \"include\"; " + repeated("include \"d\";", 100)},
                               {"personal/d", "keep;"}};
        bench.message = crlf(one.message);
        bench.job.explain = explained;
        const auto begin = cpu_time();
        const auto outcome = bench.outcome(one.script);
        EXPECT_LT(cpu_time() - begin, kMilliseconds) << one.name;
        EXPECT_LE(outcome.instructions, bench.world.options.instructions + 10'000'000) << one.name;
        if (outcome.error) {
            EXPECT_TRUE(outcome.actions.empty() && outcome.implicit_keep) << one.name;
        }
    }
}

TEST(HostileScripts, EndInTimeAndKeepTheMail) { expect_bounded(false); }

TEST(HostileScripts, EndInTimeWhenTheyAreExplainedToo) { expect_bounded(true); }

TEST(HostileScripts, AreRefusedWhenTheyAreTooLarge) {
    Bench bench;
    EXPECT_EQ(bench.summary(std::string(300'000, ' ')), "wrong 1:1");
    EXPECT_EQ(bench.summary("if header \"a\" [" + repeated("\"\",", 20'001) + "\"\"] {}").substr(0, 5), "wrong");
    EXPECT_EQ(bench.summary(repeated("keep;", 5001)).substr(0, 5), "wrong");
    EXPECT_EQ(bench.summary(repeated("if true {", 16) + "keep;" + repeated("}", 16)), "keep") << "RFC 5228 s2.10.7";
    EXPECT_EQ(bench.summary("if " + repeated("not ", 16) + "true { keep; }"), "keep");
    EXPECT_EQ(
        bench.summary(require_all() + "if string :regex \"a\" \"" + std::string(1001, 'a') + "\" {}").substr(0, 5),
        "wrong");
}

TEST(HostileScripts, HaveTheVariablesThatRfc5229Promises) {
    Bench bench;
    std::string script = "require [\"variables\",\"fileinto\"];";
    for (int i = 0; i < 128; ++i) script += fmt::format("set \"variable_with_a_name_of_32_{:04}\" \"{}\";", i, i);
    script += "set \"variable_with_a_name_of_32_0000\" \"" + std::string(4000, 'x') + "\";";
    EXPECT_EQ(bench.summary(script + "fileinto \"${variable_with_a_name_of_32_0127}\";"), "into 127");
}

}  // namespace
}  // namespace poplar::test
