// Told beside what a script does: warnings of what is probably not meant, and why each test came out as it did.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

/// "LINE:COLUMN text" of each, a line each.
std::string warnings_of(std::string_view script) {
    const auto compiled = sieve::compile(script, {});
    EXPECT_TRUE(compiled.script) << script;
    std::string out;
    for (const auto& one : compiled.warnings)
        out += fmt::format("{}{}:{} {}", out.empty() ? "" : "\n", one.at.line, one.at.column, one.message);
    return out;
}

TEST(SieveWarnings, TellWhatIsProbablyNotMeant) {
    struct Row {
        std::string_view script, warnings;
    };
    for (const auto& [script, warnings] : std::initializer_list<Row>{
             {"keep;", ""},
             {"stop;", ""},
             {"if true { stop; } keep;", ""},
             {"stop;\nkeep;", "2:1 nothing behind the \"stop\" of line 1 runs"},
             {"if true { stop; keep; }", "1:17 nothing behind the \"stop\" of line 1 runs"},
             {"require \"include\"; return; keep;", "1:28 nothing behind the \"return\" of line 1 runs"},
             {"require \"ihave\"; error \"x\"; keep;", "1:29 nothing behind the \"error\" of line 1 runs"},
             {"require \"foreverypart\"; foreverypart { break; keep; }",
              "1:47 nothing behind the \"break\" of line 1 runs"},
             {"if address \"from\" \"*@example.org\" { keep; }",
              "1:4 \"*@example.org\" stands for itself: \"*\" is a wildcard with \":matches\" alone"},
             {"if not address :contains \"from\" [\"a\", \"joe*\"] { keep; }",
              "1:8 \"joe*\" stands for itself: \"*\" is a wildcard with \":matches\" alone"},
             {"if address :matches \"from\" \"*@example.org\" { keep; }", ""},
             {"if header :contains \"subject\" \"***SPAM***\" { keep; }", ""},
             {"require \"vacation\"; vacation :days 90 \"x\";", ""},
             {"require \"vacation\"; vacation :days 91 \"x\";", "1:21 \":days\" is 90 at most here"},
             {"require \"vacation-seconds\"; vacation :seconds 7776001 \"x\";",
              "1:29 \":seconds\" is 7776000 at most here"},
             {"require \"duplicate\"; if duplicate :seconds 2592001 { keep; }",
              "1:25 \":seconds\" is 2592000 at most here"},
         })
        EXPECT_EQ(warnings_of(script), warnings) << script;
}

TEST(SieveWarnings, AreBounded) {
    std::string script;
    for (int n = 0; n < 100; ++n) script += "stop; ";
    EXPECT_EQ(sieve::compile(script, {}).warnings.size(), sieve::kMostErrors);
    EXPECT_TRUE(sieve::compile("stop; keep", {}).warnings.empty()) << "errors come first";
}

std::string explained(std::string_view script) {
    Bench bench;
    bench.job.explain = true;
    std::string out;
    for (const auto& line : bench.outcome(script).trace) out += line + "\n";
    return out;
}

TEST(SieveExplanation, TellsWhatWasComparedWithWhat) {
    struct Row {
        std::string_view script, trace;
    };
    for (const auto& [script, trace] : std::initializer_list<Row>{
             {"keep;", "1:1: keep\n"},
             {"if header :contains \"subject\" \"hello\" {\n discard; }",
              "1:4: header: true, because \"[list] Hello W\xc3\xb6rld\" contains \"hello\"\n2:2: discard\n"},
             {"if header \"x-many\" [\"none\", \"other\"] { discard; }",
              "1:4: header: false, because \"first\" is not \"none\", \"first\" is not \"other\", \"second\" is not "
              "\"none\", and 3 more\n"},
             {"if header \"x-none\" \"a\" { discard; }", "1:4: header: false\n"},
             {"if allof(true, not exists \"to\") { discard; }",
              "1:10: true: true\n1:20: exists: true\n1:16: not: false\n1:4: allof: false\n"},
             {"require \"relational\"; if header :count \"ge\" :comparator \"i;ascii-casemap\" \"x-many\" \"4\" "
              "{ keep; }",
              "1:26: header: false, because \"3\" not ge \"4\"\n"},
             {"require \"variables\"; set \"a\" \"hello\"; if string :matches \"${a}\" \"h*o\" { keep; }",
              "1:22: set\n1:42: string: true, because \"hello\" matches \"h*o\"\n1:73: keep\n"},
         })
        EXPECT_EQ(explained(script), trace) << script;
}

}  // namespace
}  // namespace poplar::test
