// A client's view of what extensions add to a session: APPEND's other forms, parts of results, annotations, events.
#include "base/fair_pool.h"
#include "tests/imap/world.h"

namespace poplar::test {
namespace {

class ImapExtensions : public ImapWorld {};

// RFC 3502.
TEST_F(ImapExtensions, SeveralMessagesAreAppendedTogetherOrNoneIs) {
    const auto said = say_logged_in(
        "a APPEND INBOX (\\Seen) {3+}\r\none \"17-Jul-1996 02:44:25 -0700\" {3+}\r\ntwo {5}\r\nthree\r\nb NOOP\r\n");
    EXPECT_EQ(said, "+ go on\r\na OK [APPENDUID " + std::to_string(uid_validity()) + " 1:3] done\r\nb OK done\r\n");
    auto stored = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 10));
    ASSERT_EQ(stored->size(), 3u);
    EXPECT_TRUE(stored->front().flags.has(mailstore::Flag::seen));
    EXPECT_EQ(stored->at(1).received.time_since_epoch().count(), 837'596'665'000);
    // The client gives up, a message is too large, or what follows is nonsense: nothing is stored, nothing is a
    // command.
    EXPECT_EQ(say_logged_in("a APPEND INBOX {3+}\r\none {0+}\r\n\r\nb NOOP\r\n"),
              "a NO [CANNOT] a message has at least one octet\r\nb OK done\r\n");
    options_.append_limit = 10;
    EXPECT_EQ(say_logged_in("a APPEND INBOX {3+}\r\none {11+}\r\nx CREATE evi {2+}\r\nxx\r\nb NOOP\r\n"),
              "a NO [TOOBIG] a message has at most 10 octets\r\nb OK done\r\n");
    for (std::string wrong : {"", " ", "x", " (", " (\\Foo) ", "  ", " CATENATE (", " CATENATE (TEXT)"})
        EXPECT_TRUE(
            say_logged_in("a APPEND INBOX {3+}\r\none" + wrong + "{3+}\r\ntwo)\r\nb NOOP\r\n").contains("a BAD "))
            << wrong;
    EXPECT_EQ(inbox_messages(), 3u);
}

// RFC 4469.
TEST_F(ImapExtensions, AMessageIsMadeOfOthers) {
    append("Subject: old\r\nFrom: a@example.test\r\n\r\nbody\r\n");
    const auto validity = std::to_string(uid_validity());
    const auto appended = [&] {
        const auto all = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 100));
        auto reader = run(store_.open(fred_, all->back()));
        return std::string(*run((*reader)->next()));
    };
    EXPECT_EQ(say_logged_in("a APPEND INBOX CATENATE (TEXT {14+}\r\nSubject: new\r\n URL "
                            "\"/INBOX;UIDVALIDITY=" +
                            validity +
                            "/;UID=1/;SECTION=HEADER.FIELDS%20(From)\" "
                            "URL {27+}\r\n/inbox/;uid=1/;section=text TEXT {2}\r\n.\n)\r\n"),
              "+ go on\r\na OK [APPENDUID " + validity + " 2] done\r\n");
    EXPECT_EQ(appended(), "Subject: new\r\nFrom: a@example.test\r\n\r\nbody\r\n..\r\n");
    EXPECT_TRUE(
        say_selected("a APPEND INBOX CATENATE (URL ;UID=1) (\\Seen) CATENATE (URL \"/INBOX/;UID=1/;PARTIAL=0.7\")"
                     "\r\n")
            .ends_with("a OK [APPENDUID " + validity + " 3:4] done\r\n"));
    EXPECT_EQ(appended(), "Subject\r\n");
    for (std::string url : {"/INBOX/;UID=9", "/Nowhere/;UID=1", "/INBOX;UIDVALIDITY=1/;UID=1", "imap://x/INBOX/;UID=1",
                            "/INBOX/;UID=1/;SECTION=7", "/INBOX", ";UID=1", "\"a b]\""})
        EXPECT_TRUE(say_logged_in("a APPEND INBOX CATENATE (URL " + url + ")\r\n").starts_with("a NO [BADURL ")) << url;
    EXPECT_EQ(inbox_messages(), 4u);
}

// RFC 8508.
TEST_F(ImapExtensions, AMessageTakesThePlaceOfAnother) {
    append_several(3);
    const auto code = "* OK [APPENDUID " + std::to_string(uid_validity());
    EXPECT_EQ(
        say_selected("a REPLACE 2 INBOX (\\Draft) {3+}\r\nnew\r\nb UID REPLACE 4 INBOX CATENATE (URL ;UID=4)\r\n"),
        code + " 4] it is there\r\n* 2 EXPUNGE\r\n* 3 EXISTS\r\na OK done\r\n" + code +
            " 5] it is there\r\n* 3 EXPUNGE\r\n* 3 EXISTS\r\nb OK done\r\n");
    EXPECT_TRUE(
        say_selected("a REPLACE 1 Nowhere {3+}\r\nnew\r\nb REPLACE 1 INBOX {1+}\r\nx {1+}\r\ny\r\n"
                     "c REPLACE 1:2 INBOX {1+}\r\nx\r\nd UID REPLACE 2 INBOX {1+}\r\nx\r\n"
                     "e REPLACE 9 INBOX {1+}\r\nx\r\nf UNSELECT\r\ng REPLACE 1 INBOX {1+}\r\nx\r\n")
            .contains("a NO [TRYCREATE] no such mailbox\r\nb BAD arguments are missing, malformed or too many\r\n"
                      "c BAD arguments are missing, malformed or too many\r\nd NO [NONEXISTENT] no such message\r\n"
                      "e BAD arguments are missing, malformed or too many\r\nf OK done\r\n"
                      "g BAD select a mailbox first\r\n"));
    EXPECT_EQ(inbox_messages(), 3u);
}

// RFC 5465. Here all events are the session's own; tests/e2e has those of others.
TEST_F(ImapExtensions, TellsOfWhatAClientWantsToHear) {
    const auto output = say_selected(
        "a NOTIFY SET STATUS (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MessageNew "
        "MessageExpunge MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))\r\n"
        "b CREATE x\r\nc APPEND x {1+}\r\ny\r\nd APPEND INBOX {1+}\r\ny\r\ne SUBSCRIBE x\r\nf RENAME x z\r\n"
        "g SETMETADATA z (/private/comment \"c\")\r\nh SETMETADATA \"\" (/shared/comment \"c\")\r\ni DELETE z\r\n"
        "j NOTIFY NONE\r\nk APPEND INBOX {1+}\r\ny\r\nl NOOP\r\nm STORE 1 +FLAGS (\\Seen)\r\n"
        "n NOTIFY SET (selected (MessageNew MessageExpunge))\r\no CREATE x\r\n");
    const auto validity = std::to_string(uid_validity());
    EXPECT_TRUE(output.starts_with("a OK done\r\n* LIST (\\HasNoChildren) \"/\" x\r\nb OK [MAILBOXID (M")) << output;
    EXPECT_TRUE(output.contains("\r\n* STATUS x (MESSAGES 1 UIDNEXT 2 UIDVALIDITY ")) << output;
    EXPECT_TRUE(output.contains("\r\n* 1 EXISTS\r\n* 1 FETCH (UID 1 FLAGS ())\r\nd OK [APPENDUID " + validity +
                                " 1] done\r\n"
                                "* LIST (\\Subscribed \\HasNoChildren) \"/\" x\r\ne OK done\r\n"
                                "* LIST (\\Subscribed \\HasNoChildren) \"/\" z (\"OLDNAME\" (x))\r\nf OK done\r\n"
                                "* METADATA z /private/comment\r\ng OK done\r\n"
                                "* METADATA \"\" /shared/comment\r\nh OK done\r\n"
                                "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" z\r\ni OK done\r\n"
                                "j OK done\r\nk OK [APPENDUID " +
                                validity +
                                " 2] done\r\nl OK done\r\n"
                                "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\nm OK done\r\n"
                                "* 2 EXISTS\r\nn OK done\r\no OK [MAILBOXID (M"))
        << output;
    for (std::string wrong :
         {"", "NOTIFY", "NOTIFY SET", "NOTIFY NONE x", "NOTIFY SET (personal)", "NOTIFY SET (personal (MessageNew))",
          "NOTIFY SET (personal (FlagChange))", "NOTIFY SET (selected (MailboxName))",
          "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "NOTIFY SET (subtree (MailboxName))",
          "NOTIFY SET (selected NONE) (selected-delayed NONE)", "NOTIFY SET (nowhere (MailboxName))"})
        EXPECT_TRUE(say_selected("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
    EXPECT_TRUE(
        say_selected("a NOTIFY SET (personal (MailboxName Unheard))\r\n").starts_with("a NO [BADEVENT (MessageNew "));
}

// RFC 9586.
TEST_F(ImapExtensions, AClientMayWantUidsAlone) {
    append_several(4);
    EXPECT_TRUE(run(store_.expunge(fred_, mailstore::kInbox, {mailstore::Uid(1)}, "test")));
    EXPECT_EQ(say_selected("a ENABLE UIDONLY\r\nb UID FETCH 2:3 FLAGS\r\nc UID STORE 2 +FLAGS (\\Deleted)\r\n"
                           "d EXPUNGE\r\ne UID FETCH 3 (UID RFC822.SIZE)\r\nf UID SEARCH RETURN (ALL) UNSEEN\r\n"
                           "g UID REPLACE 3 INBOX {1+}\r\nx\r\n"),
              "* ENABLED UIDONLY\r\na OK done\r\n* 2 UIDFETCH (FLAGS ())\r\n* 3 UIDFETCH (FLAGS ())\r\nb OK done\r\n"
              "* 2 UIDFETCH (FLAGS (\\Deleted))\r\nc OK done\r\n* VANISHED 2\r\nd OK done\r\n"
              "* 3 UIDFETCH (UID 3 RFC822.SIZE 20)\r\ne OK done\r\n* ESEARCH (TAG \"f\") UID ALL 3:4\r\nf OK done\r\n"
              "* OK [APPENDUID " +
                  std::to_string(uid_validity()) +
                  " 5] it is there\r\n* VANISHED 3\r\n* 2 EXISTS\r\n"
                  "g OK done\r\n");
    for (std::string numbers :
         {"FETCH 1 FLAGS", "STORE 1 FLAGS ()", "SEARCH ALL", "COPY 1 INBOX", "MOVE 1 x", "SORT (DATE) UTF-8 ALL",
          "UID SEARCH 1", "UID SEARCH NOT (OR SEEN *)", "UID SORT (DATE) UTF-8 1", "REPLACE 1 INBOX {1+}\r\nx"})
        EXPECT_TRUE(say_selected("a ENABLE UIDONLY\r\nb " + numbers + "\r\n").contains("b BAD [UIDREQUIRED] "))
            << numbers;
    const auto opened = say_logged_in(
        "a ENABLE UIDONLY QRESYNC\r\nb SELECT INBOX\r\n"
        "c SELECT INBOX (QRESYNC (" +
        std::to_string(uid_validity()) + " 1 1:3 (1 2)))\r\n");
    EXPECT_FALSE(opened.contains("[UNSEEN ")) << opened;
    EXPECT_TRUE(opened.contains("c BAD [UIDREQUIRED] ")) << opened;
}

// RFC 5464.
TEST_F(ImapExtensions, AnnotationsAreKeptWithTheirMailboxes) {
    EXPECT_EQ(say_logged_in("a SETMETADATA INBOX (/private/comment \"my \\\"own\\\"\" /shared/a/b ~{3+}\r\nx" +
                            std::string(1, '\0') +
                            "y /Private/A/C \"z\")\r\n"
                            "b GETMETADATA INBOX (/PRIVATE/comment /private/none)\r\n"
                            "c GETMETADATA (DEPTH infinity) INBOX (/private /shared)\r\n"
                            "d GETMETADATA INBOX (DEPTH 1 MAXSIZE 1) (/private /shared/a)\r\n"
                            "e GETMETADATA \"\" /shared/comment\r\n"),
              "a OK done\r\n"
              "* METADATA \"INBOX\" (/private/comment \"my \\\"own\\\"\" /private/none NIL)\r\nb OK done\r\n"
              "* METADATA \"INBOX\" (/private/a/c \"z\" /private/comment \"my \\\"own\\\"\" /shared/a/b ~{3}\r\nx" +
                  std::string(1, '\0') +
                  "y)\r\nc OK done\r\n"
                  "d OK [METADATA LONGENTRIES 8] not all\r\n"
                  "* METADATA \"\" (/shared/comment NIL)\r\ne OK done\r\n");
    EXPECT_TRUE(say_logged_in("a CREATE x\r\nb SETMETADATA x (/private/comment \"here\")\r\nc RENAME x y\r\n"
                              "d GETMETADATA y /private/comment\r\ne DELETE y\r\nf CREATE y\r\n"
                              "g GETMETADATA y /private/comment\r\nh SETMETADATA INBOX (/private/comment NIL)\r\n"
                              "i GETMETADATA INBOX /private/comment\r\nj GETMETADATA z /private/comment\r\n")
                    .contains("* METADATA \"y\" (/private/comment \"here\")\r\nd OK done\r\ne OK done\r\n"));
    EXPECT_EQ(say_logged_in("g GETMETADATA y /private/comment\r\ni GETMETADATA INBOX /private/comment\r\n"
                            "j GETMETADATA z /private/comment\r\n"),
              "* METADATA \"y\" (/private/comment NIL)\r\ng OK done\r\n"
              "* METADATA \"INBOX\" (/private/comment NIL)\r\ni OK done\r\nj NO [NONEXISTENT] no such mailbox\r\n");
    for (std::string wrong :
         {"GETMETADATA INBOX", "GETMETADATA INBOX /x", "GETMETADATA INBOX (/private/comment",
          "GETMETADATA INBOX /private/a*", "GETMETADATA INBOX /private//a", "GETMETADATA INBOX /private/",
          "GETMETADATA (DEPTH 2) INBOX /private/a", "SETMETADATA INBOX (/private \"x\")",
          "SETMETADATA INBOX (/private/a x)", "SETMETADATA INBOX /private/a \"x\"", "SETMETADATA INBOX (/private/a)",
          "SETMETADATA INBOX ()"})
        EXPECT_TRUE(say_logged_in("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
}

TEST_F(ImapExtensions, AnnotationsHaveLimitsThatAreSaid) {
    const std::string large(64 * 1024 + 1, 'x');
    EXPECT_EQ(say_logged_in("a SETMETADATA INBOX (/private/small \"x\" /private/large {65537+}\r\n" + large +
                            ")\r\n"
                            "b GETMETADATA INBOX /private/small\r\n"),
              "a NO [METADATA MAXSIZE 65536] a value is too large\r\n"
              "* METADATA \"INBOX\" (/private/small NIL)\r\nb OK done\r\n");
    std::string many;
    for (int n = 0; n < 101; ++n) many += (n == 0 ? "" : " ") + ("/private/" + std::to_string(n)) + " \"x\"";
    EXPECT_EQ(
        say_logged_in("a SETMETADATA \"\" (" + many + ")\r\nb SETMETADATA \"\" (/shared/admin \"x\")\r\n"),
        "a NO [METADATA TOOMANY] there are too many annotations\r\nb NO [CANNOT] the server says that itself\r\n");
}

// RFC 9394.
TEST_F(ImapExtensions, AnswersWithAPartOfWhatIsFound) {
    append_several(5);
    EXPECT_EQ(say_selected("a SEARCH RETURN (PARTIAL 2:3) ALL\r\nb UID SEARCH RETURN (PARTIAL -1:-2 COUNT) ALL\r\n"
                           "c SEARCH RETURN (PARTIAL 6:9) ALL\r\nd SEARCH RETURN (SAVE PARTIAL 5:4 MIN) ALL\r\n"
                           "e FETCH $ UID\r\nf UID FETCH 2:* UID (PARTIAL -3:-9)\r\n"),
              "* ESEARCH (TAG \"a\") PARTIAL (2:3 2:3)\r\na OK done\r\n"
              "* ESEARCH (TAG \"b\") UID PARTIAL (-1:-2 4:5) COUNT 5\r\nb OK done\r\n"
              "* ESEARCH (TAG \"c\") PARTIAL (6:9 NIL)\r\nc OK done\r\n"
              "* ESEARCH (TAG \"d\") MIN 1 PARTIAL (4:5 4:5)\r\nd OK done\r\n"
              "* 1 FETCH (UID 1)\r\n* 4 FETCH (UID 4)\r\n* 5 FETCH (UID 5)\r\ne OK done\r\n"
              "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\nf OK done\r\n");
    for (std::string wrong :
         {"SEARCH RETURN (PARTIAL 1:2 ALL) ALL", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
          "SEARCH RETURN (PARTIAL 0:2) ALL", "SEARCH RETURN (PARTIAL -1:2) ALL", "SEARCH RETURN (PARTIAL 1:*) ALL",
          "SEARCH RETURN (PARTIAL 1) ALL", "FETCH 1 UID (PARTIAL 1:2)", "UID FETCH 1 UID (PARTIAL)"})
        EXPECT_TRUE(say_selected("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
}

// RFC 9585.
TEST_F(ImapExtensions, ALongCommandSaysHowFarItIs) {
    append_several(2);
    options_.progress = std::chrono::seconds(0);
    EXPECT_EQ(say_selected("a SEARCH BODY body\r\n"),
              "* OK [INPROGRESS (\"a\" NIL NIL)] going on\r\n* OK [INPROGRESS (\"a\" 2 2)] going on\r\n"
              "* SEARCH 1 2\r\na OK done\r\n");
}

TEST_F(ImapExtensions, MessagesAreLookedThroughByThePool) {
    FairPool pool(2, 100);
    services_.searches = &pool;
    append_several(300);
    append("Subject: large\r\n\r\n" + std::string(200'000, 'x') + "needle\r\n");
    EXPECT_EQ(say_selected("a SEARCH TEXT needle\r\nb SEARCH RETURN (COUNT) HEADER Subject 29 BODY body\r\n"),
              "* SEARCH 301\r\na OK done\r\n* ESEARCH (TAG \"b\") COUNT 13\r\nb OK done\r\n");
}

}  // namespace
}  // namespace poplar::test
