// Tests of the language, a row each: what is asked of kLetter, and the answer.
#include <gtest/gtest.h>

#include "tests/sieve/bench_of_scripts.h"

namespace poplar::test {
namespace {

struct Row {
    std::string_view test, expected;
};

void expect_all(const std::vector<Row>& rows) {
    Bench bench;
    bench.job.envelope.auth = "jane@example.org";
    bench.job.environment.spam_percent = 40;
    bench.world.annotations = {{"INBOX /private/x", "on"}, {" /shared/motd", "hi"}};
    bench.world.lists = {{"urn:ietf:params:sieve:addrbook:default", {"jane.doe@example.org", "x@example.org"}},
                         {"tag:example.com,2026:vip", {"boss@example.com"}}};
    for (const auto& [test, expected] : rows) EXPECT_EQ(bench.holds(test), expected) << test;
}

TEST(SieveTests, CompareHeaders) {
    expect_all({
        {R"(header "subject" "[list] Hello Wörld")", "true"},
        {R"(header :is "SUBJECT" "[LIST] hello Wörld")", "true"},
        {R"(header :is :comparator "i;octet" "subject" "[LIST] hello Wörld")", "false"},
        {R"(header :is "subject" "[list] hello WÖRLD")", "false"},
        {R"(header :is :comparator "i;unicode-casemap" "subject" "[list] hello WÖRLD")", "true"},
        {R"(header :contains "subject" "")", "true"},
        {R"(header :contains "x-none" "")", "false"},
        {R"(header :contains "x-empty" "")", "true"},
        {R"(header :is "x-empty" "")", "true"},
        {R"(header :is "x-folded" "one two")", "true"},
        {R"(header :contains ["x-none", "subject"] ["nothing", "hello"])", "true"},
        {R"(header :matches "subject" "*wörld")", "true"},
        {R"(header :matches "subject" "[list] hello w??rld")", "true"},
        {R"(header :matches "subject" "[list] hello w?rld")", "false"},
        {R"(header :matches :comparator "i;unicode-casemap" "subject" "[list] hello w?rld")", "true"},
        {R"(header :matches :comparator "i;unicode-casemap" "subject" "*W?R*")", "true"},
        {R"(header :matches "subject" "\\[list\\]*")", "true"},
        {R"(header :matches "subject" "*")", "true"},
        {R"(header :matches "x-empty" "?*")", "false"},
        {R"(header :matches "x-empty" "*")", "true"},
        {R"(header :matches "x-many" "s*d")", "true"},
        {R"(header :matches "x-many" "s*dx")", "false"},
        {R"(header :is "x-many" "third")", "true"},
        {R"(header :regex "subject" "hello.*RLD$")", "true"},
        {R"(header :regex :comparator "i;octet" "subject" "hello")", "false"},
        {R"(header :regex "x-number" "^[0-9]+ apples$")", "true"},
        {R"(header :regex "subject" "(")", "wrong"},
        {R"(header "subject: x" "y")", "false"},
    });
}

TEST(SieveTests, CompareNumbersAndCounts) {
    expect_all({
        {R"(header :value "gt" :comparator "i;ascii-numeric" "x-number" "41")", "true"},
        {R"(header :value "eq" :comparator "i;ascii-numeric" "x-number" "042")", "true"},
        {R"(header :is :comparator "i;ascii-numeric" "x-number" "42 pears")", "true"},
        {R"(header :value "lt" :comparator "i;ascii-numeric" "x-number" "100000000000000000000000")", "true"},
        {R"(header :value "lt" "x-number" "5")", "true"},
        {R"(header :value "gt" :comparator "i;ascii-numeric" "subject" "99999")", "true"},
        {R"(header :value "eq" :comparator "i;ascii-numeric" "subject" "none")", "true"},
        {R"(header :count "eq" :comparator "i;ascii-numeric" "x-many" "3")", "true"},
        {R"(header :count "ge" :comparator "i;ascii-numeric" ["x-many", "received"] "5")", "true"},
        {R"(header :count "eq" :comparator "i;ascii-numeric" "x-none" "0")", "true"},
        {R"(header :count "ne" :comparator "i;ascii-numeric" "x-many" "3")", "false"},
        {R"(header :value "xx" "x-many" "3")", "wrong"},
        {R"(header :contains :comparator "i;ascii-numeric" "x-many" "3")", "wrong"},
        {R"(header :comparator "i;none" "x-many" "3")", "wrong"},
        {R"(address :count "eq" :comparator "i;ascii-numeric" ["to", "cc"] "4")", "true"},
        {R"(envelope :count "eq" :comparator "i;ascii-numeric" "from" "1")", "true"},
        {R"(string :count "eq" :comparator "i;ascii-numeric" ["", "a", "b"] "2")", "true"},
    });
}

TEST(SieveTests, IndexFields) {
    expect_all({
        {R"(header :index 2 "x-many" "second")", "true"},
        {R"(header :index 1 :last "x-many" "third")", "true"},
        {R"(header :last :index 3 "x-many" "first")", "true"},
        {R"(header :index 4 "x-many" "third")", "false"},
        {R"(header :index 4 ["x-many", "x-number"] "42 apples")", "true"},
        {R"(header :last "x-many" "third")", "wrong"},
        {R"(header :index 0 "x-many" "third")", "wrong"},
        {R"(date :index 2 :zone "+0000" "received" "second" "59")", "true"},
    });
}

TEST(SieveTests, CompareAddresses) {
    expect_all({
        {R"(address "from" "jane.doe@example.org")", "true"},
        {R"(address :localpart "from" "JANE.DOE")", "true"},
        {R"(address :domain :is ["from", "to"] "example.com")", "true"},
        {R"(address :user "to" "tom")", "true"},
        {R"(address :detail "to" "lists")", "true"},
        {R"(address :detail :contains "from" "")", "false"},
        {R"(address :user "from" "jane.doe")", "true"},
        {R"(address "cc" "bob@sub.example.org")", "true"},
        {R"(address :all :contains "cc" "friends")", "false"},
        {R"(address :matches "to" "*@example.net")", "true"},
        {R"(address "from" "Jane")", "false"},
        {R"(address "subject" "x")", "wrong"},
        {R"(address :localpart :domain "to" "x")", "wrong"},
        {R"(address :list "from" ":addrbook:default")", "true"},
        {R"(address :list "from" ":AddrBook:%44efault")", "true"},
        {R"(address :list "from" "tag:example.com,2026:vip")", "false"},
        {R"(address :list "from" ":addrbook:none")", "error"},
        {R"(valid_ext_list ":addrbook:default")", "true"},
        {R"(valid_ext_list [":addrbook:default", "tag:example.com,2026:none"])", "false"},
    });
}

TEST(SieveTests, CompareTheEnvelope) {
    expect_all({
        {R"(envelope "from" "jane@example.org")", "true"},
        {R"(envelope "TO" "tom+lists@example.com")", "true"},
        {R"(envelope :detail "to" "lists")", "true"},
        {R"(envelope :localpart "from" "jane")", "true"},
        {R"(envelope "auth" "jane@example.org")", "true"},
        {R"(envelope "cc" "x")", "wrong"},
        {R"(envelope :contains "notify" "")", "false"},
        {R"(envelope :domain "ret" "x")", "wrong"},
    });
    Bench bench;
    bench.job.envelope.from = "";
    EXPECT_EQ(bench.holds(R"(envelope :localpart "from" "")"), "true");
    EXPECT_EQ(bench.holds(R"(envelope :count "eq" :comparator "i;ascii-numeric" "from" "0")"), "true");
    bench.job.envelope.notify = {"SUCCESS", "DELAY"};
    bench.job.envelope.deliver_by = sieve::Envelope::DeliverBy{3600, true, false};
    EXPECT_EQ(bench.holds(R"(envelope "notify" "delay")"), "true");
    EXPECT_EQ(bench.holds(R"(envelope :count "eq" :comparator "i;ascii-numeric" "notify" "2")"), "true");
    EXPECT_EQ(bench.holds(R"(envelope "bymode" "return")"), "true");
    EXPECT_EQ(bench.holds(R"(envelope :zone "+0100" "bytimeabsolute" "2026-12-01T14:00:00+01:00")"), "true");
}

TEST(SieveTests, TellDates) {
    expect_all({
        {R"(date :originalzone "date" "hour" "11")", "true"},
        {R"(date :zone "+0000" "date" "hour" "09")", "true"},
        {R"(date :zone "-0130" "date" "iso8601" "2026-12-01T08:00:00-01:30")", "true"},
        {R"(date :originalzone "date" "zone" "+0200")", "true"},
        {R"(date :zone "+0000" "date" "date" "2026-12-01")", "true"},
        {R"(date :zone "+0000" "date" "time" "09:30:00")", "true"},
        {R"(date :zone "+0000" "date" "julian" "61375")", "true"},
        {R"(date :zone "+0000" "date" "weekday" "2")", "true"},
        {R"(date :zone "+0000" "date" "year" "2026")", "true"},
        {R"(date :zone "+0000" "received" "second" "05")", "true"},
        {R"(date :zone "+0000" "date" "std11" "tue, 01 dec 2026 09:30:00 +0000")", "true"},
        {R"(date "subject" "year" "2026")", "false"},
        {R"(date :count "eq" :comparator "i;ascii-numeric" "subject" "year" "0")", "true"},
        {R"(date :zone "+0000" :originalzone "date" "hour" "1")", "wrong"},
        {R"(date :zone "0000" "date" "hour" "1")", "wrong"},
        {R"(date "date" "century" "20")", "wrong"},
        {R"(currentdate :zone "+0100" "hour" "13")", "true"},
        {R"(currentdate :value "ge" "date" "2026-12-01")", "true"},
        {R"(currentdate :zone "+0000" "iso8601" "2026-12-01T12:00:00Z")", "true"},
    });
}

TEST(SieveTests, AskForWhatIsAround) {
    expect_all({
        {"true", "true"},
        {"false", "false"},
        {"not false", "true"},
        {"anyof (false, true)", "true"},
        {"allof (true, false)", "false"},
        {R"(exists ["from", "to"])", "true"},
        {R"(exists ["from", "x-none"])", "false"},
        {"size :over 100", "true"},
        {"size :over 1M", "false"},
        {"size :under 1K", "true"},
        {"size :over 1 :under 2", "wrong"},
        {"size 100", "wrong"},
        {R"(mailboxexists ["INBOX", "Work"])", "true"},
        {R"(mailboxexists ["Work", "None"])", "false"},
        {R"(mailboxidexists "F3")", "true"},
        {R"(mailboxidexists ["F3", "F9"])", "false"},
        {R"(specialuse_exists "\\Junk")", "true"},
        {R"(specialuse_exists "Spam" "\\Junk")", "true"},
        {R"(specialuse_exists "Work" "\\Junk")", "false"},
        {R"(specialuse_exists ["\\Junk", "\\Drafts"])", "false"},
        {R"(metadata "INBOX" "/private/x" "on")", "true"},
        {R"(metadata "INBOX" "/private/y" "on")", "false"},
        {R"(metadataexists "INBOX" "/private/x")", "true"},
        {R"(servermetadata :contains "/shared/motd" "h")", "true"},
        {R"(servermetadataexists ["/shared/motd", "/shared/none"])", "false"},
        {R"(environment "name" "poplar")", "true"},
        {R"(environment :contains "remote-ip" "192.0.2")", "true"},
        {R"(environment "location" "MDA")", "true"},
        {R"(environment :contains "vnd.none" "")", "false"},
        {R"(spamtest :value "ge" :comparator "i;ascii-numeric" "4")", "true"},
        {R"(spamtest :percent :is "40")", "true"},
        {R"(spamtest :count "eq" :comparator "i;ascii-numeric" "1")", "true"},
        {R"(virustest "0")", "true"},
        {R"(virustest :count "eq" :comparator "i;ascii-numeric" "0")", "true"},
        {R"(valid_notify_method "mailto:a@example.org?subject=x")", "true"},
        {R"(valid_notify_method ["mailto:a@example.org", "tel:1"])", "false"},
        {R"(notify_method_capability "mailto:a@example.org" "Online" "maybe")", "true"},
        {R"(notify_method_capability "tel:1" "online" "maybe")", "false"},
        {R"(string :matches "abc" "a*")", "true"},
        {R"(string " a " "a")", "false"},
        {R"(string "${hex:41 42}${unicode:e9}" "ABé")", "true"},
        {R"(string "${unicode:d800}" "x")", "wrong"},
        {R"(string "${hex:400}" "${hex:400}")", "true"},
        {R"(hasflag "\\Seen")", "false"},
    });
}

TEST(SieveTests, LookIntoTheBody) {
    Bench bench;
    bench.message = crlf(
        "From: whomever@example.org\n"
        "Content-Type: multipart/mixed; boundary=outer\n\n"
        "In front of all parts.\n"
        "--outer\n"
        "Content-Type: multipart/alternative; boundary=inner\n\n"
        "In front of the inner ones.\n"
        "--inner\n"
        "Content-Type: text/plain; charset=iso-8859-1\n"
        "Content-Transfer-Encoding: quoted-printable\n\n"
        "Gr=FC=\n=DFe\n"
        "--inner\n"
        "Content-Type: text/html\n"
        "Content-Transfer-Encoding: base64\n\n"
        "PGI+aGVsbG88L2I+\n"
        "--inner--\n"
        "Behind the inner ones.\n"
        "--outer\n"
        "Content-Type: message/rfc822\n\n"
        "From: else@example.org\n"
        "Subject: inside\n\n"
        "Please answer.\n"
        "--outer\n"
        "Content-Type: application/pdf; name*0=\"re\"; name*1=\"port.pdf\"\n"
        "Content-Disposition: attachment; filename*=utf-8''gr%C3%BC%C3%9Fe.pdf\n\n"
        "%PDF\n"
        "--outer--\n"
        "Behind all parts.\n");
    for (const auto& [test, expected] : std::vector<Row>{
             {R"(body :text :contains "Grüße")", "true"},
             {R"(body :contains "hello")", "true"},
             {R"(body :raw :contains "Gr=FC")", "true"},
             {R"(body :raw :contains "whomever")", "false"},
             {R"(body :content "text/html" :contains "<b>hello</b>")", "true"},
             {R"(body :content "text/plain" :contains "hello")", "false"},
             {R"(body :content "multipart" :contains "Behind all")", "true"},
             {R"(body :content "multipart" :contains "Please")", "false"},
             {R"(body :content "message/rfc822" :contains "Subject: inside")", "true"},
             {R"(body :content "message/rfc822" :contains "Please")", "false"},
             {R"(body :content "application" :contains "%PDF")", "true"},
             {R"(body :content "" :contains "Please")", "true"},
             {R"(body :content "text/" :contains "")", "false"},
             {R"(body :content "a/b/c" :contains "")", "false"},
             {R"(body :raw :text :contains "x")", "wrong"},
             {R"(header :mime :type "content-type" "multipart")", "true"},
             {R"(header :mime :anychild :contenttype "content-type" "text/html")", "true"},
             {R"(header :mime :anychild :subtype "content-type" "pdf")", "true"},
             {R"(header :mime :anychild :param "name" "content-type" "report.pdf")", "true"},
             {R"(header :mime :anychild :param "filename" "content-disposition" "grüße.pdf")", "true"},
             {R"(header :mime :anychild :type "content-disposition" "attachment")", "true"},
             {R"(header :mime :param "boundary" :count "eq" "content-type" "1")", "true"},
             {R"(header :type "content-type" "multipart")", "wrong"},
             {R"(header :anychild "content-type" "multipart")", "wrong"},
             {R"(exists :mime :anychild "content-disposition")", "true"},
             {R"(exists "content-disposition")", "false"},
             {R"(address :mime :anychild "from" "else@example.org")", "true"},
         })
        EXPECT_EQ(bench.holds(test), expected) << test;
}

}  // namespace
}  // namespace poplar::test
