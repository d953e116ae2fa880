// Whole scripts, a row each, in the order of the RFCs that they are from. Every capability is required but ihave.
#include <gtest/gtest.h>

#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

struct Row {
    std::string_view script, expected;
};

/// "wrong" stands for any place.
void expect_all(std::initializer_list<Row> rows) {
    static const auto require = require_all({"ihave"});
    for (const auto& [script, expected] : rows) {
        Bench bench;
        bench.world.lists = {{"tag:example.com,2026:two", {"a@x.example", "b@x.example"}},
                             {"tag:example.com,2026:none", {}}};
        auto summary = bench.summary(require + std::string(script));
        if (summary.starts_with("wrong ")) summary = "wrong";
        EXPECT_EQ(summary, expected) << script;
    }
}

TEST(Rfc5228, Grammar) {
    expect_all({
        {"keep /* a */ ; # b\r\n", "keep"},
        {"/* a /* b */ keep;", "keep"},
        {"/* never ends", "wrong"},
        {"keep; # no line end", "keep"},
        {"\"a\";", "wrong"},
        {"1;", "wrong"},
        {"[\"a\"];", "wrong"},
        {"{ keep; }", "wrong"},
        {"keep(true);", "wrong"},
        {"keep true;", "wrong"},
        {"keep {}", "wrong"},
        {"keep :flags;", "wrong"},
        {"stop true;", "wrong"},
        {"stop {}", "wrong"},
        {"if {}", "wrong"},
        {"if true; keep;", "wrong"},
        {"if true {} {}", "wrong"},
        {"if true, false {}", "wrong"},
        {"if true {} elsif {}", "wrong"},
        {"if true {} else true {}", "wrong"},
        {"else { keep; }", "wrong"},
        {"if true {} else {} else {}", "wrong"},
        {"if true {} else {} elsif true {}", "wrong"},
        {"if true { require \"fileinto\"; }", "wrong"},
        {"keep; require \"fileinto\";", "wrong"},
        {"fileinto;", "wrong"},
        {"fileinto \"a\" \"b\";", "wrong"},
        {"fileinto 1;", "wrong"},
        {"fileinto \"a\" :copy;", "wrong"},
        {"fileinto :copy :copy \"a\";", "wrong"},
        {"redirect;", "wrong"},
        {"redirect [\"a@b.example\"];", "wrong"},
        {"redirect \"\";", "wrong"},
        {"redirect \"a@b.example, c@d.example\";", "wrong"},
        {"redirect \"a b@c.example\";", "wrong"},
        {"discard \"a\";", "wrong"},
        {"Keep;", "keep"},
        {"IF TRUE { DISCARD; }", "discard"},
    });
}

TEST(Rfc5228, Control) {  // s3
    expect_all({
        {"if false {} elsif false {} else { discard; }", "discard"},
        {"if true {} else { discard; }", "+keep"},
        {"if false { discard; } elsif true {} else { discard; }", "+keep"},
        {"if true { if false {} else { discard; } }", "discard"},
        {"if false {} if true { discard; }", "discard"},
        {"if true { stop; } discard;", "+keep"},
        {"if false { stop; } discard;", "discard"},
        {"keep; stop; discard;", "keep"},
        {"fileinto \"a\"; stop;", "into a"},
        {"if true {}", "+keep"},
    });
}

TEST(Rfc5228, Actions) {  // s4, s2.10
    expect_all({
        {"keep; keep;", "keep"},
        {"discard; discard;", "discard"},
        {"discard; keep;", "keep"},
        {"fileinto \"a\"; keep;", "into a; keep"},
        {"keep; fileinto \"a\";", "keep; into a"},
        {"fileinto \"a\"; fileinto \"b\";", "into a; into b"},
        {"fileinto \"a\"; fileinto \"A\";", "into a; into A"},
        {"fileinto \"INBOX\";", "into INBOX"},
        {"keep; fileinto \"inbox\";", "keep"},
        {"redirect \"x@y.example\";", "to x@y.example"},
        {"redirect \"x@y.example\"; keep;", "to x@y.example; keep"},
        {"redirect \"a@y.example\"; redirect \"b@y.example\"; redirect \"c@y.example\"; redirect \"d@y.example\"; "
         "redirect \"e@y.example\";",
         "to a@y.example; to b@y.example; to c@y.example; to d@y.example; to e@y.example"},
        {"redirect \"a@y.example\"; redirect \"b@y.example\"; redirect \"c@y.example\"; redirect \"d@y.example\"; "
         "redirect \"e@y.example\"; redirect \"f@y.example\";",
         "error"},
        {"redirect \"Tom <x@y.example>\";", "to x@y.example"},
        {"redirect :copy \"x@y.example\"; discard;", "to x@y.example"},
        {"fileinto :copy \"a\"; discard;", "into a"},
        {"fileinto :copy \"a\"; fileinto \"b\";", "into a; into b"},
    });
}

TEST(Rfc5229, Variables) {
    expect_all({
        {"set \"a\" \"x\"; fileinto \"${a}\";", "into x"},
        {"set \"A\" \"x\"; fileinto \"${a}\";", "into x"},
        {"set \"a_1\" \"x\"; fileinto \"${a_1}\";", "into x"},
        {"set \"_a\" \"x\"; fileinto \"${_a}\";", "into x"},
        {"if true { set \"a\" \"1\"; } fileinto \"${a}\";", "into 1"},
        {"set \"a\" \"1\"; set \"a\" \"${a}2\"; fileinto \"${a}\";", "into 12"},
        {"set \"a\" \"b\"; set \"b\" \"c\"; fileinto \"${${a}}\";", "into ${b}"},
        {"set \"c\" \"ACME\"; fileinto \"x${President, ${C} Inc.}\";", "into x${President, ACME Inc.}"},
        {"fileinto \"&%${}!\";", "into &%${}!"},
        {"fileinto \"$ {a}x\";", "into $ {a}x"},
        {"fileinto \"${ a}x\";", "into ${ a}x"},
        {"fileinto \"$${a}x\";", "into $x"},
        {"set :length \"n\" \"\"; fileinto \"${n}\";", "into 0"},
        {"set :upper \"n\" \"abc\"; fileinto \"${n}\";", "into ABC"},
        {"set :lower \"n\" \"ABC\"; fileinto \"${n}\";", "into abc"},
        {"set :upperfirst \"n\" \"abc\"; fileinto \"${n}\";", "into Abc"},
        {"set :lowerfirst \"n\" \"ABC\"; fileinto \"${n}\";", "into aBC"},
        {"set :quotewildcard \"n\" \"a?\\\\b\"; fileinto \"${n}\";", "into a\\?\\\\b"},
        {"set :upperfirst :lowerfirst \"n\" \"a\";", "wrong"},
        {"set :upper :upper \"n\" \"a\";", "wrong"},
        {"set \"n\";", "wrong"},
        {"set \"\" \"a\";", "wrong"},
        {"set \"a-b\" \"x\";", "wrong"},
        {"set [\"a\"] \"x\";", "wrong"},
        {"set \"a\" [\"x\"];", "wrong"},
        {"set \"1\" \"x\";", "wrong"},
        {"if string :matches \"a-b\" \"*-*\" { if string :is \"q\" \"q\" { fileinto \"${2}${1}\"; } }", "into ba"},
        {"if string :matches \"ab\" \"a*\" {} fileinto \"${1}\";", "into b"},
        {"if not string :matches \"ab\" \"a*\" {} else { fileinto \"${0}\"; }", "into ab"},
        {"if string :matches \"one\" \"*e\" { if string :matches \"two\" \"t*\" {} fileinto \"${1}\"; }", "into wo"},
        {"if header :matches \"x-many\" \"?hird\" { fileinto \"${1}\"; }", "into t"},
        {"if header :matches [\"x-none\", \"x-number\"] \"* *\" { fileinto \"${2}\"; }", "into apples"},
        {"if address :matches \"from\" \"*@*\" { fileinto \"${1}\"; }", "into Jane.Doe"},
        {"if address :matches :domain \"from\" \"*.*\" { fileinto \"${2}\"; }", "into org"},
        {"if envelope :matches \"to\" \"*+*@*\" { fileinto \"${2}\"; }", "into lists"},
        {"if currentdate :zone \"+0000\" :matches \"year\" \"*\" { fileinto \"${1}\"; }", "into 2026"},
        {"if currentdate :zone \"+0000\" :matches \"date\" \"*-*-*\" { fileinto \"${1}/${2}\"; }", "into 2026/12"},
        {"if environment :matches \"domain\" \"*\" { fileinto \"${1}\"; }", "into example.com"},
        {"set \"k\" \"he*o\"; if string :matches \"hello\" \"${k}\" { discard; }", "discard"},
        {"set \"k\" \"hello\"; if string \"${k}\" \"HELLO\" { discard; }", "discard"},
        {"if string :is \"${unset}\" \"\" { discard; }", "discard"},
    });
}

TEST(Rfc5232, Flags) {
    expect_all({
        {R"(setflag "\\Deleted"; if hasflag "\\deleted" { discard; })", "discard"},
        {R"(addflag ["a","b"]; if hasflag ["c","B"] { discard; })", "discard"},
        {R"(addflag ["a","b"]; if hasflag "c" { discard; })", "+keep [a b]"},
        {R"(setflag "abc"; if hasflag :contains "b" { discard; })", "discard"},
        {R"(setflag "abc"; if hasflag :matches "a*" { discard; })", "discard"},
        {R"(setflag ["a b", "c"]; if hasflag :count "ge" :comparator "i;ascii-numeric" "3" { discard; })", "discard"},
        {R"(if hasflag :count "eq" :comparator "i;ascii-numeric" "0" { discard; })", "discard"},
        {R"(set "v" "a b"; if hasflag "v" "b" { discard; })", "discard"},
        {R"(setflag "v" "x y"; removeflag "v" "x"; fileinto :flags "${v}" "W";)", "into W [y]"},
        {R"(addflag "v" "z"; addflag "v" ["z", "y"]; keep :flags "${v}";)", "keep [z y]"},
        {R"(setflag "v" "a"; keep;)", "keep"},
        {R"(addflag "";)", "+keep"},
        {R"(removeflag "none";)", "+keep"},
        {R"(setflag "a"; setflag "b";)", "+keep [b]"},
        {R"(setflag "a"; setflag "";)", "+keep"},
        {R"(setflag ["a", "b", "c"]; removeflag ["B", "x"];)", "+keep [a c]"},
        {R"(setflag "a b c"; removeflag "a c";)", "+keep [b]"},
        {R"(addflag "\\Seen"; fileinto :copy "Work";)", "into Work [\\Seen]; +keep [\\Seen]"},
        {R"(addflag "\\Seen"; fileinto :flags "" "Work";)", "into Work"},
        {R"(fileinto :flags ["\\Seen", "\\Answered"] "Work";)", "into Work [\\Seen \\Answered]"},
        {R"(fileinto :flags "a" "Work"; fileinto :flags "b" "Work";)", "into Work [b]"},
        {R"(keep :flags "\\Seen"; setflag "\\Draft";)", "keep [\\Seen]"},
        {R"(keep; setflag "\\Draft";)", "keep"},
        {R"(setflag "\\Recent";)", "+keep"},
        {R"(addflag "$Forwarded NonJunk";)", "+keep [$Forwarded NonJunk]"},
        {R"(setflag;)", "wrong"},
        {R"(setflag 1;)", "wrong"},
        {R"(setflag ["v"] "a";)", "wrong"},
        {R"(keep :flags 1;)", "wrong"},
        {R"(hasflag "a";)", "wrong"},
    });
}

TEST(Rfc5293, HeadersThatChange) {
    expect_all({
        {R"(addheader "X-N" "v"; if exists "x-n" { discard; })", "discard"},
        {R"(addheader "X-A" " spaced "; if header "x-a" "spaced" { discard; })", "discard"},
        {R"(deleteheader "subject"; if exists "subject" { discard; })", "+keep"},
        {R"(deleteheader "x-none";)", "+keep"},
        {R"(deleteheader :is "x-many" ["first","third"]; if header :count "eq" :comparator "i;ascii-numeric" "x-many" "1" { discard; })",
         "discard"},
        {R"(deleteheader "received"; if exists "received" { discard; })", "discard"},
        {R"(addheader :last "X-Many" "fourth"; if header :index 4 "x-many" "fourth" { discard; })", "discard"},
        {R"(addheader "X-Many" "zero"; if header :index 1 "x-many" "zero" { discard; })", "discard"},
        {R"(deleteheader :index 1 "x-many"; if header :index 1 "x-many" "second" { discard; })", "discard"},
        {R"(deleteheader :index 9 "x-many"; if header "x-many" "first" { discard; })", "discard"},
        {R"(deleteheader :value "ge" "x-many" "second"; if header :count "eq" :comparator "i;ascii-numeric" "x-many" "1" { discard; })",
         "discard"},
        {R"(addheader "bad name" "x";)", "wrong"},
        {R"(addheader "" "x";)", "wrong"},
        {R"(addheader "X:Y" "x";)", "wrong"},
        {R"(addheader "X-A";)", "wrong"},
        {R"(addheader ["X-A"] "x";)", "wrong"},
        {R"(deleteheader;)", "wrong"},
        {R"(deleteheader :index 0 "x-many";)", "wrong"},
        {R"(deleteheader :last "x-many";)", "wrong"},
    });
}

TEST(Rfc5429, Refusals) {
    expect_all({
        {"reject \"a\"; stop;", "reject a"},
        {"ereject \"a\"; discard;", "ereject a"},
        {"reject \"a\"; ereject \"b\";", "error"},
        {"reject \"a\"; fileinto \"b\";", "error"},
        {"reject \"a\"; redirect \"b@c.example\";", "error"},
        {"keep; ereject \"a\";", "error"},
        {"if false { keep; } ereject \"a\";", "ereject a"},
        {"setflag \"a\"; reject \"b\";", "reject b"},
        {"set \"w\" \"no\"; reject \"${w}!\";", "reject no!"},
        {"reject;", "wrong"},
        {"reject [\"a\"];", "wrong"},
        {"reject :copy \"a\";", "wrong"},
    });
}

TEST(Rfc5230, AnswersAndTheirCopies) {
    expect_all({
        {"vacation \"away\";", "answer jane@example.org; +keep"},
        {"vacation \"away\"; discard;", "answer jane@example.org; discard"},
        {"vacation \"away\"; fileinto \"Work\";", "answer jane@example.org; into Work"},
        {"vacation \"a\"; vacation \"b\";", "error"},
        {"vacation :days 3 \"a\";", "answer jane@example.org; +keep"},
        {"vacation :seconds 60 \"a\";", "answer jane@example.org; +keep"},
        {"vacation :days 3 :seconds 60 \"a\";", "wrong"},
        {"vacation :days \"3\" \"a\";", "wrong"},
        {"vacation :addresses \"other@example.com\" \"a\";", "answer jane@example.org; +keep"},
        {"vacation :from \"Tom <tom@example.com>\" \"a\";", "answer jane@example.org; +keep"},
        {"vacation :from \"nobody\" \"a\";", "wrong"},
        {"vacation :subject \"s\" :handle \"h\" \"a\";", "answer jane@example.org; +keep"},
        {"vacation;", "wrong"},
        {"vacation :none \"a\";", "wrong"},
        {"vacation :fcc \"Sent\" \"a\";", "answer jane@example.org fcc Sent; +keep"},
        {"vacation :fcc \"Sent\" :flags \"\\\\Seen\" \"a\";", "answer jane@example.org fcc Sent [\\Seen]; +keep"},
        {"vacation :create \"a\";", "wrong"},
        {"vacation :fcc \"\" \"a\";", "wrong"},
    });
}

TEST(Rfc5435, Notifications) {
    expect_all({
        {"notify \"mailto:a@example.org\";", "notify a@example.org; +keep"},
        {"notify \"MAILTO:a@example.org\";", "notify a@example.org; +keep"},
        {"notify :importance \"1\" \"mailto:a@example.org\";", "notify a@example.org; +keep"},
        {"notify :importance \"4\" \"mailto:a@example.org\";", "wrong"},
        {"notify :importance \"high\" \"mailto:a@example.org\";", "wrong"},
        {"notify :message \"x\" \"mailto:a@example.org\"; discard;", "notify a@example.org; discard"},
        {"notify :fcc \"Sent\" \"mailto:a@example.org\";", "notify a@example.org fcc Sent; +keep"},
        {"notify \"tel:+1\";", "wrong"},
        {"notify \"mailto:\";", "wrong"},
        {"notify \"a@example.org\";", "wrong"},
        {"notify;", "wrong"},
        {"notify [\"mailto:a@example.org\"];", "wrong"},
    });
}

TEST(Rfc5490, MailboxesOfMarks) {  // and RFC 8579, RFC 9042
    expect_all({
        {"fileinto :create \"New\";", "into New create"},
        {"if mailboxexists \"Work\" { fileinto \"Work\"; }", "into Work"},
        {"if not mailboxexists \"Nope\" { fileinto :create \"Nope\"; }", "into Nope create"},
        {"fileinto :specialuse \"\\\\Junk\" :create \"X\";", "into Spam create"},
        {"fileinto :specialuse \"\\\\Trash\" :create \"X\";", "into X create"},
        {"fileinto :mailboxid \"F1\" \"X\";", "into Work"},
        {"fileinto :mailboxid \"F9\" :create \"X\";", "into X create"},
        {"if specialuse_exists \"\\\\Archive\" { fileinto :specialuse \"\\\\Archive\" \"X\"; }", "into Old/2025"},
        {"if mailboxexists [] {}", "wrong"},
        {"if specialuse_exists 1 {}", "wrong"},
        {"fileinto :create :create \"X\";", "wrong"},
    });
}

TEST(Rfc6134, Lists) {
    expect_all({
        {"redirect :list \"tag:example.com,2026:two\";", "to a@x.example; to b@x.example"},
        {"redirect :list :copy \"tag:example.com,2026:two\";", "to a@x.example; to b@x.example; +keep"},
        {"redirect :list \"tag:example.com,2026:none\";", "+keep"},
        {"redirect :list \"tag:example.com,2026:unknown\";", "error"},
        {"if string :list \"A@x.example\" \"tag:example.com,2026:two\" { discard; }", "discard"},
        {"if string :list \"c@x.example\" \"tag:example.com,2026:two\" { discard; }", "+keep"},
        {"if string :list \"x\" [\"tag:example.com,2026:none\", \"tag:example.com,2026:two\"] { discard; }", "+keep"},
    });
}

TEST(Rfc6009, RedirectsWithReports) {
    expect_all({
        {"redirect :notify \"SUCCESS,FAILURE\" \"a@b.example\";", "to a@b.example"},
        {"redirect :notify \"NEVER\" \"a@b.example\";", "to a@b.example"},
        {"redirect :notify \"NEVER,SUCCESS\" \"a@b.example\";", "wrong"},
        {"redirect :notify \"\" \"a@b.example\";", "wrong"},
        {"redirect :ret \"FULL\" \"a@b.example\";", "to a@b.example"},
        {"redirect :ret \"HDRS\" \"a@b.example\";", "to a@b.example"},
        {"redirect :ret \"SOME\" \"a@b.example\";", "wrong"},
        {"redirect :bytimerelative 60 \"a@b.example\";", "to a@b.example"},
        {"redirect :bytimerelative 60 :bymode \"notify\" :bytrace \"a@b.example\";", "to a@b.example"},
        {"redirect :bymode \"notify\" \"a@b.example\";", "wrong"},
        {"redirect :bytrace \"a@b.example\";", "wrong"},
        {"redirect :bytimeabsolute \"soon\" \"a@b.example\";", "wrong"},
        {"redirect :bytimeabsolute \"2026-12-02T10:00:00Z\" \"a@b.example\";", "to a@b.example"},
        {"redirect :bytimeabsolute \"2026-12-02T10:00:00Z\" :bytimerelative 60 \"a@b.example\";", "wrong"},
    });
}

TEST(Rfc5703, LoopsOverParts) {
    expect_all({
        {"foreverypart { discard; break; }", "discard"},
        {"foreverypart { break; discard; }", "+keep"},
        {"foreverypart :name \"a\" { foreverypart { break :name \"a\"; } discard; }", "discard"},
        {"foreverypart { if header :mime :type \"content-type\" \"text\" { discard; } }", "+keep"},
        {"break;", "wrong"},
        {"foreverypart;", "wrong"},
        {"foreverypart \"a\" {}", "wrong"},
        {"foreverypart { extracttext \"v\"; fileinto \"${v}\"; }", "error"},
        {"foreverypart { extracttext :first 8 \"v\"; fileinto \"${v}\"; }", "into The body"},
        {"extracttext \"v\"; fileinto \"x${v}\";", "into x"},  // s7: it sets the variable to nothing there
    });
}

}  // namespace
}  // namespace poplar::test
