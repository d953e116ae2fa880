// Actions, control structures and what scripts may not be: a row each.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "sieve/dates.h"
#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

struct Row {
    std::string_view script, expected;
};

void expect_all(const std::vector<Row>& rows) {
    for (const auto& [script, expected] : rows) {
        Bench bench;
        bench.world.scripts = {{"personal/keeps", "keep;"},
                               {"personal/stops", "stop;"},
                               {"personal/returns", "require \"include\"; return; discard;"},
                               {"personal/self", "require \"include\"; include \"self\";"},
                               {"personal/a", "require \"include\"; include \"b\";"},
                               {"personal/b", "require \"include\"; include \"a\";"},
                               {"personal/sets", "require [\"include\",\"variables\"]; global \"x\"; set \"x\" \"1\";"},
                               {"personal/wrong", "keep"},
                               {"global/keeps", "discard;"}};
        EXPECT_EQ(bench.summary(script), expected) << script;
    }
}

TEST(SieveScript, IsReadByItsGrammar) {
    expect_all({
        {"", "+keep"},
        {"# nothing\r\n/* at\nall */", "+keep"},
        {"keep;", "keep"},
        {"KEEP ;", "keep"},
        {"keep", "wrong 1:5"},
        {"keep;;", "wrong 1:6"},
        {"keep }", "wrong 1:6"},
        {"if true { keep;", "wrong 1:9"},
        {"if true keep;", "wrong 1:1"},
        {"if (true) { keep; }", "wrong 1:1"},
        {"if anyof true { keep; }", "wrong 1:4"},
        {"if anyof () { keep; }", "wrong 1:11"},
        {"if true { keep; };", "wrong 1:18"},
        {"elsif true { keep; }", "wrong 1:1"},
        {"if true {} keep; else {}", "wrong 1:18"},
        {"if false { discard; } elsif true { keep; } else { discard; }", "keep"},
        {"if false { discard; } else { keep; }", "keep"},
        {"stop; discard;", "+keep"},
        {"nothing;", "wrong 1:1"},
        {"true;", "wrong 1:1"},
        {"if keep { }", "wrong 1:4"},
        {"keep \"x\";", "wrong 1:6"},
        {"keep :none;", "wrong 1:6"},
        {"require \"none\";", "wrong 1:9"},
        {"keep; require \"fileinto\";", "wrong 1:7"},
        {"fileinto \"x\";", "wrong 1:1"},
        {"require \"fileinto\"; fileinto [\"x\"];", "wrong 1:30"},
        {"require \"fileinto\"; fileinto \"x", "wrong 1:30"},
        {"require [\"fileinto\",];", "wrong 1:21"},
        {"require \"fileinto\"; fileinto \"x\" :copy;", "wrong 1:34"},
        {"redirect \"nobody\";", "wrong 1:1"},
        {"redirect text:\r\na@b.example\r\n.\r\n;", "to a@b.example"},
        {"if size :over 1x {}", "wrong 1:16"},
        {"if size :over 99999999999999999999 {}", "wrong 1:15"},
        {"if size :over 1G { discard; }", "+keep"},
        {"keep; \x01", "wrong 1:7"},
        {"if header \"a\" \"\xff\" {}", "wrong 1:15"},
    });
}

TEST(SieveActions, DecideWhereMailGoes) {
    const std::string f = "require [\"fileinto\",\"copy\",\"imap4flags\",\"mailbox\",\"mailboxid\",\"special-use\"]; ";
    for (const auto& [script, expected] : std::vector<Row>{
             {"fileinto \"Work\";", "into Work"},
             {"fileinto \"Work\"; fileinto \"Work\";", "into Work"},
             {"fileinto \"inbox\"; keep;", "into INBOX"},
             {"fileinto :copy \"Work\";", "into Work; +keep"},
             {"fileinto :copy \"INBOX\";", "+keep"},
             {"keep; discard;", "keep"},
             {"discard;", "discard"},
             {"discard; fileinto \"Work\";", "into Work"},
             {"redirect \"x@example.org\"; redirect \"X@example.org\";", "to x@example.org"},
             {"redirect :copy \"Tom <x@example.org>\";", "to x@example.org; +keep"},
             {"fileinto :create \"New\";", "into New create"},
             {"fileinto :mailboxid \"F3\" \"Work\";", "into Old/2025"},
             {"fileinto :mailboxid \"F9\" \"Work\";", "into Work"},
             {"fileinto :specialuse \"\\\\Junk\" \"Work\";", "into Spam"},
             {"fileinto :specialuse \"\\\\Sent\" \"Work\";", "into Work"},
             {"fileinto :specialuse \"Junk\" \"Work\";", "error"},
             {"fileinto :specialuse \"\\\\Junk\" :mailboxid \"F1\" \"Work\";", "wrong 1:109"},
             {"fileinto \"\";", "wrong 1:79"},
             {"setflag \"\\\\Seen\";", "+keep [\\Seen]"},
             {"setflag \"\\\\seen \\\\Flagged\"; addflag [\"b\", \"\\\\SEEN\"]; keep;", "keep [\\seen \\Flagged b]"},
             {"addflag \"a b\"; removeflag \"A\"; fileinto \"Work\"; addflag \"c\";", "into Work [b]"},
             {"addflag \"a\"; keep :flags [\"x\", \"y x\"];", "keep [x y]"},
             {"keep :flags \"a\"; keep :flags \"b\";", "keep [b]"},
             {"keep :flags \"\\\\Recent \\\\Odd (\";", "keep"},
             {"setflag \"v\" \"a\";", "wrong 1:79"},
         })
        EXPECT_EQ(Bench().summary(f + std::string(script)), expected) << script;
}

TEST(SieveActions, RejectOnceAndAlone) {
    const std::string r = "require [\"reject\",\"ereject\",\"fileinto\",\"vacation\"]; ";
    for (const auto& [script, expected] : std::vector<Row>{
             {"reject \"no\";", "reject no"},
             {"ereject \"no\";", "ereject no"},
             {"reject \"no\"; reject \"no\";", "error"},
             {"reject \"no\"; keep;", "error"},
             {"fileinto \"Work\"; ereject \"no\";", "error"},
             {"redirect \"a@b.example\"; reject \"no\";", "error"},
             {"vacation \"away\"; reject \"no\";", "error"},
             {"reject \"no\"; discard;", "reject no"},
         })
        EXPECT_EQ(Bench().summary(r + std::string(script)), expected) << script;
    Bench bench;
    const auto outcome = bench.outcome("require \"reject\"; reject \"Grüße\";");
    ASSERT_EQ(outcome.actions.size(), 1u);
    const auto& message = outcome.actions[0].message;
    EXPECT_NE(message.find("report-type=disposition-notification"), std::string::npos);
    EXPECT_NE(message.find("MDN-sent-automatically; deleted"), std::string::npos);
    EXPECT_NE(message.find("Grüße"), std::string::npos);
    EXPECT_NE(message.find("Original-Message-ID: <one@example.org>"), std::string::npos);
}

TEST(SieveVariables, HoldTexts) {
    const std::string v =
        "require [\"variables\",\"fileinto\",\"encoded-character\",\"regex\",\"enotify\",\"relational\"]; ";
    for (const auto& [script, expected] : std::vector<Row>{
             {"set \"a\" \"x\"; fileinto \"${A}${a}\";", "into xx"},
             {"fileinto \"a${none}b\";", "into ab"},
             {"fileinto \"${doh!}${}\";", "into ${doh!}${}"},
             {"set \"company\" \"ACME\"; fileinto \"${BAD${Company}\";", "into ${BADACME"},
             {"set :length \"b\" \"jumbled\"; fileinto \"${b}\";", "into 7"},
             {"set :length \"b\" \"äö\"; fileinto \"${b}\";", "into 2"},
             {"set :upperfirst :lower \"b\" \"juMBlEd\"; fileinto \"${b}\";", "into Jumbled"},
             {"set :lowerfirst :upper \"b\" \"juMB\"; fileinto \"${b}\";", "into jUMB"},
             {"set :quotewildcard \"b\" \"Rock*\"; fileinto \"${b}\";", "into Rock\\*"},
             {"set :quoteregex \"b\" \"a.b\"; fileinto \"${b}\";", "into a\\.b"},
             {"set :encodeurl \"b\" \"a b&\"; fileinto \"${b}\";", "into a%20b%26"},
             {"set :length :upper \"b\" \"abc\"; fileinto \"${b}\";", "into 3"},
             {"set :lower :upper \"b\" \"x\";", "wrong 1:97"},
             {"set \"1a\" \"x\";", "wrong 1:86"},
             {"set \"a.b\" \"x\";", "wrong 1:86"},
             {"set \"${a}\" \"x\";", "wrong 1:90"},
             {"fileinto \"${a.b}\";", "wrong 1:95"},
             {"fileinto \"${200}\";", "wrong 1:95"},
             {"if header :matches \"subject\" \"[*] *\" { fileinto \"${1}-${2}\"; }", "into list-Hello Wörld"},
             {"if header :matches \"x-number\" \"*\" { fileinto \"${0}${01}${9}\"; }", "into 42 apples42 apples"},
             {"if string :matches \"abcabc\" \"*b*\" { fileinto \"${1}.${2}\"; }", "into a.cabc"},
             {"if string :matches \"a.b.c\" \"?.*\" { fileinto \"${1}-${2}\"; }", "into a-b.c"},
             {"if string :matches \"ACME.Example.COM\" \"**.com\" { fileinto \"<${1}><${2}>\"; }",
              "into <><ACME.Example>"},
             {"if string :regex \"abc-12\" \"([a-z]+)-([0-9]+)\" { fileinto \"${2}${1}${0}\"; }", "into 12abcabc-12"},
             {"if string :matches \"a\" \"*\" {} if string :matches \"b\" \"x*\" {} fileinto \"${1}\";", "into a"},
             {"if anyof (true, string :matches \"a\" \"*\") { fileinto \"x${1}\"; }", "into x"},
             {"set \"name\" \"E\"; fileinto \"dear${hex:20 24 7b 4e}ame}\";", "into dear E"},
             {"set \"d\" \"$\"; fileinto \"${d}{beep}\";", "into ${beep}"},
             {"if string :count \"eq\" \"${none}\" \"0\" { discard; }", "discard"},
         })
        EXPECT_EQ(Bench().summary(v + std::string(script)), expected) << script;
}

TEST(SieveInclude, RunsOtherScripts) {
    const std::string i = "require [\"include\",\"variables\",\"fileinto\"]; ";
    std::vector<std::string> scripts;
    std::vector<Row> rows;
    const std::vector<Row> short_rows = {
        {"include \"keeps\";", "keep"},
        {"include :personal \"keeps\";", "keep"},
        {"include :global \"keeps\";", "discard"},
        {"include \"none\";", "error"},
        {"include :optional \"none\";", "+keep"},
        {"include \"stops\"; discard;", "+keep"},
        {"include \"returns\"; discard;", "discard"},
        {"include \"self\";", "error"},
        {"include \"a\";", "error"},
        {"include \"wrong\";", "error"},
        {"include :once \"keeps\"; include :once \"keeps\";", "keep"},
        {"global \"x\"; include \"sets\"; fileinto \"${x}\";", "into 1"},
        {"include \"sets\"; fileinto \"${global.x}\";", "into 1"},
        {"include \"sets\"; fileinto \"x${x}\";", "into x"},
        {"set \"global.y\" \"2\"; fileinto \"${GLOBAL.Y}\";", "into 2"},
        {"set \"x\" \"1\"; global \"x\";", "error"},
        {"return; discard;", "+keep"},
        {"include \"a/b\";", "wrong 1:45"},
    };
    scripts.reserve(short_rows.size());
    for (const auto& row : short_rows) {
        scripts.push_back(i + std::string(row.script));
        rows.push_back({scripts.back(), row.expected});
    }
    expect_all(rows);
}

TEST(SieveIhave, BringsCapabilitiesAtRunTime) {
    expect_all({
        {"require \"ihave\"; if ihave \"fileinto\" { fileinto \"x\"; }", "into x"},
        {"require \"ihave\"; fileinto \"x\";", "error"},
        {"require \"ihave\"; if ihave [\"fileinto\", \"none\"] { fileinto \"x\"; }", "+keep"},
        {"require \"ihave\"; if not ihave \"none\" { keep; } else { unknown :a 1 \"x\"; }", "keep"},
        {"require \"ihave\"; unknown \"x\";", "error"},
        {"require \"ihave\"; if ihave \"variables\" { discard; }", "+keep"},
        {"require [\"ihave\", \"variables\"]; if ihave \"variables\" { discard; }", "discard"},
        {"require \"ihave\"; error \"no\";", "error"},
    });
}

TEST(SieveEditheader, ChangesWhatLaterTestsSee) {
    const std::string e = "require [\"editheader\",\"fileinto\",\"copy\",\"variables\"]; ";
    struct Case {
        std::string_view script, in, out;  // what the header has at the end, and what it lacks
    };
    for (const auto& [script, in, out] : std::vector<Case>{
             {"addheader \"X-New\" \"a\";", "X-New: a\r\nReturn-Path:", "\x01"},
             {"addheader :last \"X-New\" \"a\";", "X-Many: third\r\nX-New: a\r\n\r\n", "\x01"},
             {"addheader \"Subject\" \"Grüße\";", "Subject: =?", "\x01"},
             {"deleteheader \"X-Many\";", "X-Number", "X-Many"},
             {"deleteheader :index 2 \"X-Many\";", "X-Many: first\r\nX-Many: third", "second"},
             {"deleteheader :index 1 :last \"X-Many\";", "second", "third"},
             {"deleteheader :index 1 \"X-Many\"; deleteheader :index 2 \"X-Many\";", "second", "third"},
             {"deleteheader :contains \"X-Many\" [\"ir\"];", "second", "first"},
             {"deleteheader :matches \"x-many\" \"s*\";", "first", "second"},
             {"deleteheader :index 1 :is \"x-many\" \"second\";", "second", "\x01"},
             {"deleteheader \"Received\";", "Received", "\x01"},
         }) {
        Bench bench;
        const auto outcome = bench.outcome(e + std::string(script));
        ASSERT_FALSE(outcome.error) << script << " " << outcome.error->message;
        const auto text = outcome.implicit_state.text(bench.message);
        EXPECT_NE(text.find(in), std::string::npos) << script << "\n" << text;
        EXPECT_EQ(text.find(out), std::string::npos) << script << "\n" << text;
        EXPECT_TRUE(text.ends_with("\r\n\r\nThe body, with a word.\r\n")) << script;
    }
    Bench bench;
    const auto outcome = bench.outcome(
        e + "fileinto \"A\"; addheader \"X-Hello\" \"World\"; if header \"x-hello\" \"world\" { fileinto \"B\"; }");
    ASSERT_EQ(outcome.actions.size(), 2u);
    EXPECT_FALSE(outcome.actions[0].state.changed());
    EXPECT_TRUE(outcome.actions[1].state.changed());
    EXPECT_EQ(bench.summary(e + "deleteheader :last \"X\";"), "wrong 1:55");
    EXPECT_EQ(bench.summary(e + "addheader \"X Y\" \"a\";"), "wrong 1:55");
    const auto failed = bench.outcome(e + "addheader \"X-A\" \"b\"; fileinto \"${none}\";");
    EXPECT_TRUE(failed.error);
    EXPECT_FALSE(failed.implicit_state.changed());
}

TEST(SieveVacation, AnswersPeopleOnce) {
    const std::string v =
        "require [\"vacation\",\"vacation-seconds\",\"variables\",\"fcc\",\"mailbox\",\"imap4flags\"]; ";
    Bench bench;
    EXPECT_EQ(bench.summary_and_remember(v + "vacation \"away\";"), "answer jane@example.org; +keep");
    EXPECT_EQ(bench.summary_and_remember(v + "vacation \"away\";"), "+keep");
    EXPECT_EQ(bench.summary_and_remember(v + "vacation \"another\";"), "answer jane@example.org; +keep");
    EXPECT_EQ(bench.summary_and_remember(v + "vacation :handle \"h\" \"one\";"), "answer jane@example.org; +keep");
    EXPECT_EQ(bench.summary_and_remember(v + "vacation :handle \"h\" \"two\";"), "+keep");
    const auto varied = v + "if header :matches \"subject\" \"*\" { vacation :subject \"Re: ${1}\" \"gone\"; }";
    EXPECT_EQ(bench.summary_and_remember(varied), "answer jane@example.org; +keep");
    bench.message = crlf("To: tom@example.com\nSubject: other\n\n");
    EXPECT_EQ(bench.summary_and_remember(varied), "+keep");
    for (const auto& [script, expected] : std::vector<Row>{
             {"vacation \"a\"; vacation \"b\";", "error"},
             {"vacation :days 1 :seconds 2 \"a\";", "wrong 1:100"},
             {"vacation :seconds 0 \"a\";", "answer jane@example.org; +keep"},
             {"vacation :from \"nobody\" \"a\";", "wrong 1:83"},
             {"vacation :create \"a\";", "wrong 1:83"},
             {"vacation :fcc \"Sent\" :flags \"\\\\Seen\" \"a\";", "answer jane@example.org fcc Sent [\\Seen]; +keep"},
         })
        EXPECT_EQ(Bench().summary(v + std::string(script)), expected) << script;

    const auto says = [&](std::string_view from, std::string_view header, std::string_view options = "") {
        Bench one;
        one.job.envelope.from = from;
        one.message = crlf(fmt::format("Subject: x\n{}\nText\n", header));
        return one.summary(fmt::format("{}vacation {}\"away\";", v, options)) != "+keep";
    };
    EXPECT_TRUE(says("ann@example.org", "To: tom@example.com\n"));
    EXPECT_TRUE(says("ann@example.org", "Cc: TOM+lists@example.com\n"));
    EXPECT_FALSE(says("ann@example.org", "To: others@example.com\n"));
    EXPECT_TRUE(says("ann@example.org", "To: tommy@example.com\n", ":addresses \"tommy@example.com\" "));
    EXPECT_FALSE(says("", "To: tom@example.com\n"));
    EXPECT_FALSE(says("mailer-daemon@example.org", "To: tom@example.com\n"));
    EXPECT_FALSE(says("list-request@example.org", "To: tom@example.com\n"));
    EXPECT_FALSE(says("owner-list@example.org", "To: tom@example.com\n"));
    EXPECT_FALSE(says("tom@example.com", "To: tom@example.com\n"));
    EXPECT_FALSE(says("ann@example.org", "To: tom@example.com\nList-Id: <x>\n"));
    EXPECT_FALSE(says("ann@example.org", "To: tom@example.com\nAuto-Submitted: auto-generated\n"));
    EXPECT_TRUE(says("ann@example.org", "To: tom@example.com\nAuto-Submitted: no\n"));
    EXPECT_FALSE(says("ann@example.org", "To: tom@example.com\nPrecedence: bulk\n"));
}

TEST(SieveVacation, WritesAnAnswer) {
    Bench bench;
    const auto outcome =
        bench.outcome("require \"vacation\"; vacation :from \"Tom <tom@example.com>\" \"I am away, äh.\";");
    ASSERT_EQ(outcome.actions.size(), 1u);
    const auto& message = outcome.actions[0].message;
    for (const auto line :
         {"From: Tom <tom@example.com>\r\n", "To: jane@example.org\r\n", "In-Reply-To: <one@example.org>\r\n",
          "References: <one@example.org>\r\n", "Auto-Submitted: auto-replied",
          "Date: Tue, 01 Dec 2026 12:00:00 +0000\r\n", "Content-Type: text/plain; charset=utf-8\r\n",
          "\r\n\r\nI am away, äh.\r\n", "Subject: Auto: [list] Hello"})
        EXPECT_NE(message.find(line), std::string::npos) << line << "\n" << message;
    EXPECT_EQ(outcome.actions[0].envelope_from, "");
}

TEST(SieveDuplicate, CountsEarlierRunsOnly) {
    const std::string d = "require \"duplicate\"; ";
    Bench bench;
    EXPECT_EQ(bench.summary_and_remember(d + "if duplicate { discard; }"), "+keep");
    EXPECT_EQ(bench.summary_and_remember(d + "if duplicate { discard; }"), "discard");
    EXPECT_EQ(bench.summary(d + "if duplicate :header \"message-id\" { discard; }"), "discard");
    EXPECT_EQ(bench.summary(d + "if duplicate :uniqueid \"<one@example.org>\" { discard; }"), "discard");
    EXPECT_EQ(bench.summary(d + "if duplicate :handle \"h\" { discard; }"), "+keep");
    EXPECT_EQ(bench.summary(d + "if duplicate :seconds 0 { discard; }"), "+keep");
    EXPECT_EQ(bench.summary(d + "if anyof (duplicate :uniqueid \"n\", duplicate :uniqueid \"n\") { discard; }"),
              "+keep");
    EXPECT_EQ(bench.summary(d + "if duplicate :header \"x-none\" { discard; }"), "+keep");
    EXPECT_EQ(bench.summary(d + "if duplicate :header \"a b\" { discard; }"), "+keep");
    EXPECT_EQ(bench.summary(d + "if duplicate :header \"a\" :uniqueid \"b\" { discard; }"), "wrong 1:47");
}

TEST(SieveNotify, ComposesMail) {
    const std::string n = "require [\"enotify\",\"variables\"]; ";
    for (const auto& [script, expected] : std::vector<Row>{
             {"notify \"mailto:a@b.example\";", "notify a@b.example; +keep"},
             {"notify \"mailto:a@b.example\"; notify \"mailto:a@b.example\";", "notify a@b.example; +keep"},
             {"notify :importance \"4\" \"mailto:a@b.example\";", "wrong 1:34"},
             {"notify :options \"x\" \"mailto:a@b.example\";", "wrong 1:34"},
             {"notify \"tel:1\";", "wrong 1:34"},
             {"set \"m\" \"tel:1\"; notify \"${m}\";", "error"},
         })
        EXPECT_EQ(Bench().summary(n + std::string(script)), expected) << script;
    Bench bench;
    const auto outcome = bench.outcome(n +
                                       "notify :importance \"1\" :message \"Mail!\" "
                                       "\"mailto:a@b.example?cc=c@d.example&body=Hi%20you&from=x@y.example\";");
    ASSERT_EQ(outcome.actions.size(), 1u);
    const auto& message = outcome.actions[0].message;
    for (const auto line :
         {"Auto-Submitted: auto-notified; owner-email=\"tom@example.com\"\r\n", "Subject: Mail!\r\n",
          "To: a@b.example\r\n", "Cc: c@d.example\r\n", "\r\n\r\nHi you\r\n", "From: tom+lists@example.com\r\n"})
        EXPECT_NE(message.find(line), std::string::npos) << line << "\n" << message;
    EXPECT_EQ(message.find("x@y.example"), std::string::npos);
}

TEST(SieveMime, WalksAndChangesParts) {
    const std::string m =
        "require "
        "[\"foreverypart\",\"mime\",\"variables\",\"extracttext\",\"replace\",\"enclose\",\"fileinto\",\"include\"]; ";
    const auto bench = [] {
        Bench one;
        one.message = crlf(
            "From: a@example.org\nSubject: parts\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n"
            "--b\nContent-Type: text/plain; charset=iso-8859-1\n\nGr\xfc\xdf"
            "e an alle\n--b\n"
            "Content-Type: application/x-bad; name=virus.exe\n\nMZ\n--b--\n");
        return one;
    };
    for (const auto& [script, expected] : std::vector<Row>{
             {"foreverypart { if header :mime :type \"content-type\" \"text\" { extracttext :first 5 \"t\"; fileinto "
              "\"${t}\"; break; } }",
              "into Grüße"},
             {"foreverypart { if header :mime :param \"name\" :matches \"content-type\" \"*.exe\" { discard; } }",
              "discard"},
             {"foreverypart :name \"o\" { foreverypart { break :name \"o\"; } } fileinto \"x\";", "into x"},
             {"foreverypart { break :name \"none\"; }", "error"},
             {"break;", "wrong 1:101"},
             {"extracttext \"t\"; fileinto \"x${t}\";", "into x"},
             {"replace :mime :subject \"x\" \"y\";", "wrong 1:101"},
         })
        EXPECT_EQ(bench().summary(m + std::string(script)), expected) << script;

    auto one = bench();
    auto outcome = one.outcome(
        m + "foreverypart { if header :mime :subtype \"content-type\" \"x-bad\" { replace \"removed\"; } }");
    auto text = outcome.implicit_state.text(one.message);
    EXPECT_EQ(text.find("MZ"), std::string::npos) << text;
    EXPECT_NE(text.find("removed\r\n--b--\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("e an alle\r\n--b\r\n"), std::string::npos) << text;

    outcome = one.outcome(m + "replace :subject \"new\" :from \"x@example.org\" \"All gone\";");
    text = outcome.implicit_state.text(one.message);
    for (const auto line : {"Subject: new\r\n", "Original-Subject: parts\r\n", "From: x@example.org\r\n",
                            "Original-From: a@example.org\r\n", "\r\n\r\nAll gone"})
        EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
    EXPECT_EQ(text.find("multipart"), std::string::npos) << text;

    outcome = one.outcome(
        m + "enclose :subject \"Careful\" \"Look out\"; if header \"subject\" \"careful\" { fileinto \"x\"; }");
    ASSERT_EQ(outcome.actions.size(), 1u);
    text = outcome.actions[0].state.text(one.message);
    EXPECT_NE(text.find("Content-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("Look out\r\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace poplar::test
