// A client's view of a session: framing, states, and each family of commands.
#include "base/fair_pool.h"
#include "tests/imap/world.h"

namespace poplar::test {
namespace {

using testing::Test;

class Imap : public ImapWorld {};

TEST_F(Imap, GreetsAndSaysGoodbye) { EXPECT_EQ(say("a LOGOUT\r\n"), "* BYE goodbye\r\na OK done\r\n"); }

TEST_F(Imap, OctetsOfALiteralAreNeverACommand) {
    for (std::string begin : {"a FOO {19+}\r\n", "a \"{19+}\r\n", "() {19+}\r\n", "a LOGIN x{19+}\r\n"}) {
        const auto output = say(begin + "x LOGIN fred secret" + "\r\nz NOOP\r\n");
        EXPECT_FALSE(output.contains("x ")) << begin << output;
        EXPECT_TRUE(output.ends_with("z OK done\r\n")) << begin << output;
    }
}

TEST_F(Imap, ALiteralThatIsTooLargeIsRefusedAndPassedOver) {
    EXPECT_EQ(say("a LOGIN {20000}\r\nb NOOP\r\n"), "a NO [TOOBIG] the literal is too large\r\nb OK done\r\n");
    EXPECT_EQ(say("a LOGIN {20000+}\r\n" + std::string(20000, 'x') + " {1+}\r\ny\r\nb NOOP\r\n"),
              "a NO [TOOBIG] the literal is too large\r\nb OK done\r\n");
    EXPECT_TRUE(say("a LOGIN {99999999999+}\r\n").starts_with("* BYE [TOOBIG]"));
}

TEST_F(Imap, ALineThatIsTooLongEndsTheSession) {
    EXPECT_EQ(say(std::string(20000, 'x') + "{5+}\r\nb NOOP\r\n"), "* BYE [TOOBIG] the command is too long\r\n");
}

TEST_F(Imap, RefusesWhatIsNotOfTheGrammar) {
    for (std::string command : {"NOOP ",
                                "NOOP x",
                                "SELECT",
                                "SELECT  INBOX",
                                "SELECT INBOX ",
                                "SELECT INBOX x",
                                "SELECT INBOX ()",
                                "LIST \"\"",
                                "LIST \"\" * x",
                                "LIST (FOO) \"\" *",
                                "LIST (RECURSIVEMATCH) \"\" *",
                                "STATUS INBOX",
                                "STATUS INBOX ()",
                                "STATUS INBOX (FOO)",
                                "STATUS INBOX (MESSAGES ",
                                "CREATE",
                                "CREATE a b",
                                "CREATE a (USE (\\Sent)",
                                "RENAME a",
                                "RENAME a b c",
                                "APPEND INBOX",
                                "APPEND INBOX x",
                                "ENABLE",
                                "ENABLE (x)",
                                "ID",
                                "ID ()x",
                                "ID (\"a\")",
                                "GETQUOTA",
                                "IDLE x",
                                "UID",
                                "UID NOOP",
                                "UID SELECT INBOX",
                                "NAMESPACE x",
                                "LOGIN a b",
                                "STARTTLS",
                                "EXPUNGE",
                                "FETCH 1 FLAGS",
                                "{}",
                                "(",
                                ""}) {
        const auto output = say_logged_in("a " + command + "\r\n");
        EXPECT_TRUE(output.starts_with("a BAD ") || output.starts_with("* BAD ")) << command << '\n' << output;
    }
}

TEST_F(Imap, RefusesSetsAndItemsThatAreNotOfTheGrammar) {
    append_several(2);
    for (std::string command : {"FETCH 0 FLAGS",
                                "FETCH 1, FLAGS",
                                "FETCH ,1 FLAGS",
                                "FETCH 1: FLAGS",
                                "FETCH 01 FLAGS",
                                "FETCH 3 FLAGS",
                                "FETCH 1:3 FLAGS",
                                "FETCH 1 ()",
                                "FETCH 1 (FLAGS",
                                "FETCH 1 FLAGS ",
                                "FETCH 1 FLAGS x",
                                "FETCH 1  FLAGS",
                                "FETCH 1 FLAGS (CHANGEDSINCE)",
                                "UID FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)",
                                "STORE 1 FLAGS",
                                "STORE 1 FLAGS (\\Recent)",
                                "STORE 1 FLAGS (\\Foo)",
                                "STORE 1 FLAGS (\\Seen",
                                "STORE 1 FOO (\\Seen)",
                                "STORE 3 FLAGS (\\Seen)",
                                "COPY 1",
                                "COPY 3 INBOX",
                                "COPY 1 INBOX x",
                                "EXPUNGE 1",
                                "UID EXPUNGE",
                                "UID EXPUNGE 1 2",
                                "SEARCH",
                                "SEARCH RETURN (FOO) ALL",
                                "CLOSE x",
                                "UNSELECT x"}) {
        const auto output = say_selected("a " + command + "\r\n");
        EXPECT_TRUE(output.starts_with("a BAD ")) << command << '\n' << output;
    }
}

TEST_F(Imap, TheLastOfTooManyBadCommandsClosesTheSession) {
    options_.bad_commands = 3;
    EXPECT_EQ(say("a X\r\nb X\r\nc X\r\nd NOOP\r\n"),
              "a BAD unknown command\r\nb BAD unknown command\r\nc BAD unknown command\r\n* BYE too many bad "
              "commands\r\n");
}

TEST_F(Imap, LogsInByPasswordOnlyWherePasswordsMayBeSent) {
    EXPECT_TRUE(say("a LOGIN fred@example.test wrong\r\n").starts_with("a NO [AUTHENTICATIONFAILED] "));
    EXPECT_TRUE(say("a LOGIN {17}\r\nfred@example.test {6+}\r\nsecret\r\n").contains("+ go on\r\na OK [CAPABILITY "));
    logins_.allow_plaintext = session::AllowPlaintext::never;
    options_.tls = [] { return any_tls(); };
    const auto output = talk({.flights = {"a LOGIN fred@example.test secret\r\n"}}).output;
    EXPECT_TRUE(output.contains(" STARTTLS LOGINDISABLED")) << output;
    EXPECT_TRUE(output.contains("a NO [PRIVACYREQUIRED] ")) << output;
}

TEST_F(Imap, AuthenticatesWithAndWithoutAnInitialResponse) {
    // \0fred@example.test\0secret
    const std::string plain = "AGZyZWRAZXhhbXBsZS50ZXN0AHNlY3JldA==";
    EXPECT_TRUE(say("a AUTHENTICATE PLAIN " + plain + "\r\n").starts_with("a OK [CAPABILITY "));
    EXPECT_TRUE(say("a AUTHENTICATE PLAIN\r\n" + plain + "\r\n").starts_with("+ \r\na OK [CAPABILITY "));
    EXPECT_TRUE(say("a AUTHENTICATE PLAIN ***\r\n").starts_with("a BAD "));
    EXPECT_EQ(say("a AUTHENTICATE PLAIN\r\n*\r\n"), "+ \r\na BAD cancelled\r\n");
}

TEST_F(Imap, NothingFromBeforeTheHandshakeIsBelieved) {
    options_.tls = [] { return any_tls(); };
    auto transcript = talk({.flights = {"a STARTTLS\r\nb LOGIN fred@example.test secret\r\n", "c NOOP\r\n"}});
    EXPECT_TRUE(transcript.tls);
    EXPECT_TRUE(transcript.output.ends_with("a OK begin TLS\r\nc OK done\r\n")) << transcript.output;
}

TEST_F(Imap, SelectSaysWhatTheMailboxHas) {
    append_several(2);
    const auto output = say_logged_in("a SELECT inbox\r\n");
    for (std::string_view line :
         {"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\r\n", "* 2 EXISTS\r\n", "* 0 RECENT\r\n",
          "* OK [UNSEEN 1] ", "* OK [UIDVALIDITY ", "* OK [UIDNEXT 3] ", "* OK [HIGHESTMODSEQ ", "* OK [MAILBOXID (",
          "\\*)] kept\r\n", "a OK [READ-WRITE] done\r\n"})
        EXPECT_TRUE(output.contains(line)) << line << output;
    EXPECT_TRUE(say_logged_in("a EXAMINE INBOX\r\nb STORE 1 FLAGS (\\Seen)\r\nc EXPUNGE\r\nd MOVE 1 Trash\r\n")
                    .ends_with("a OK [READ-ONLY] done\r\nb NO [CANNOT] the mailbox is open read-only\r\n"
                               "c NO [CANNOT] the mailbox is open read-only\r\n"
                               "d NO [CANNOT] the mailbox is open read-only\r\n"));
    EXPECT_EQ(say_logged_in("a SELECT Nowhere\r\n"), "a NO [NONEXISTENT] no such mailbox\r\n");
}

TEST_F(Imap, StoreAnswersWithTheFlagsUnlessSilent) {
    append_several(2);
    EXPECT_EQ(say_selected("a STORE 1 +FLAGS (\\Seen)\r\n"), "* 1 FETCH (FLAGS (\\Seen))\r\na OK done\r\n");
    EXPECT_EQ(say_selected("a STORE 1 -FLAGS.SILENT (\\Seen)\r\nb STORE 1 FLAGS \\Draft $Work\r\n"),
              "a OK done\r\n* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work)\r\n"
              "* OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Work \\*)] kept\r\n"
              "* 1 FETCH (FLAGS (\\Draft $Work))\r\nb OK done\r\n");
    EXPECT_EQ(say_selected("a UID STORE 9 FLAGS (\\Seen)\r\n"), "a OK done\r\n");
}

TEST_F(Imap, AConditionalStoreSaysWhatItRefused) {
    append_several(2);
    const auto output =
        say_selected("a STORE 1 +FLAGS.SILENT (\\Flagged)\r\nb STORE 1:2 (UNCHANGEDSINCE 2) +FLAGS (\\Seen)\r\n");
    EXPECT_TRUE(output.contains("b OK [MODIFIED 1] ")) << output;
    EXPECT_TRUE(output.contains("* 2 FETCH (MODSEQ (")) << output;
    EXPECT_FALSE(output.contains("* 1 FETCH (MODSEQ (5) FLAGS (\\Seen")) << output;
}

TEST_F(Imap, ExpungeRemovesWhatIsMarkedAndTellsTheirNumbers) {
    append_several(4);
    EXPECT_EQ(say_selected("a STORE 1,3:4 +FLAGS.SILENT (\\Deleted)\r\nb UID EXPUNGE 4\r\nc EXPUNGE\r\n"),
              "a OK done\r\n* 4 EXPUNGE\r\nb OK done\r\n* 1 EXPUNGE\r\n* 2 EXPUNGE\r\nc OK done\r\n");
    EXPECT_EQ(inbox_messages(), 1u);
}

TEST_F(Imap, CloseRemovesSilentlyAndUnselectNothing) {
    append_several(2);
    EXPECT_EQ(say_selected("a STORE 1 +FLAGS.SILENT (\\Deleted)\r\nb UNSELECT\r\nc FETCH 1 FLAGS\r\n"),
              "a OK done\r\nb OK done\r\nc BAD select a mailbox first\r\n");
    EXPECT_EQ(inbox_messages(), 2u);
    EXPECT_EQ(say_selected("a CLOSE\r\n"), "a OK done\r\n");
    EXPECT_EQ(inbox_messages(), 1u);
}

TEST_F(Imap, AppendTakesAMessageWithFlagsAndTime) {
    const std::string message = "Subject: x\r\n\r\nhello\r\n";
    const auto literal = "{" + std::to_string(message.size()) + "+}\r\n" + message + "\r\n";
    const auto appended = say_logged_in("a APPEND INBOX (\\Seen $Work) \"17-Jul-1996 02:44:25 -0700\" " + literal);
    EXPECT_EQ(appended, "a OK [APPENDUID " + std::to_string(uid_validity()) + " 1] done\r\n");
    auto stored = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 10));
    ASSERT_EQ(stored->size(), 1u);
    EXPECT_EQ(stored->front().octets, message.size());
    EXPECT_EQ(stored->front().received.time_since_epoch().count(), 837'596'665'000);
    EXPECT_TRUE(stored->front().flags.has(mailstore::Flag::seen));
    EXPECT_EQ(say_logged_in("a APPEND Nowhere " + literal + "b NOOP\r\n"),
              "a NO [TRYCREATE] no such mailbox\r\nb OK done\r\n");
    EXPECT_EQ(say_logged_in("a APPEND INBOX {0+}\r\n\r\nb NOOP\r\n"),
              "a NO [CANNOT] a message has at least one octet\r\nb OK done\r\n");
    EXPECT_EQ(say_logged_in(std::string("a APPEND INBOX {3+}\r\na") + '\0' + "b\r\nb NOOP\r\n"),
              "a BAD a message has no NUL\r\nb OK done\r\n");
}

// RFC 3502.
TEST_F(Imap, SeveralMessagesAreAppendedTogetherOrNoneIs) {
    const auto said = say_logged_in(
        "a APPEND INBOX (\\Seen) {3+}\r\none \"17-Jul-1996 02:44:25 -0700\" {3+}\r\ntwo {5}\r\nthree\r\nb NOOP\r\n");
    EXPECT_EQ(said,
              "+ go on\r\na OK [APPENDUID " + std::to_string(uid_validity()) + " 1:3] done\r\nb OK done\r\n");
    auto stored = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 10));
    ASSERT_EQ(stored->size(), 3u);
    EXPECT_TRUE(stored->front().flags.has(mailstore::Flag::seen));
    EXPECT_EQ(stored->at(1).received.time_since_epoch().count(), 837'596'665'000);
    // The client gives up, a message is too large, or what follows is nonsense: nothing is stored, nothing is a command.
    EXPECT_EQ(say_logged_in("a APPEND INBOX {3+}\r\none {0+}\r\n\r\nb NOOP\r\n"),
              "a NO [CANNOT] a message has at least one octet\r\nb OK done\r\n");
    options_.append_limit = 10;
    EXPECT_EQ(say_logged_in("a APPEND INBOX {3+}\r\none {11+}\r\nx CREATE evi {2+}\r\nxx\r\nb NOOP\r\n"),
              "a NO [TOOBIG] a message has at most 10 octets\r\nb OK done\r\n");
    for (std::string wrong : {"", " ", "x", " (", " (\\Foo) ", "  ", " UTF8 (", " CATENATE (", " CATENATE (TEXT)"})
        EXPECT_TRUE(say_logged_in("a APPEND INBOX {3+}\r\none" + wrong + "{3+}\r\ntwo)\r\nb NOOP\r\n")
                        .contains("a BAD ")) << wrong;
    EXPECT_EQ(inbox_messages(), 3u);
}

// RFC 4469.
TEST_F(Imap, AMessageIsMadeOfOthers) {
    append("Subject: old\r\nFrom: a@example.test\r\n\r\nbody\r\n");
    const auto validity = std::to_string(uid_validity());
    const auto appended = [&] {
        const auto all = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 100));
        auto reader = run(store_.open(fred_, all->back()));
        return std::string(*run((*reader)->next()));
    };
    EXPECT_EQ(say_logged_in("a APPEND INBOX CATENATE (TEXT {14+}\r\nSubject: new\r\n URL "
                            "\"/INBOX;UIDVALIDITY=" + validity + "/;UID=1/;SECTION=HEADER.FIELDS%20(From)\" "
                            "URL {27+}\r\n/inbox/;uid=1/;section=text TEXT {2}\r\n.\n)\r\n"),
              "+ go on\r\na OK [APPENDUID " + validity + " 2] done\r\n");
    EXPECT_EQ(appended(), "Subject: new\r\nFrom: a@example.test\r\n\r\nbody\r\n..\r\n");
    EXPECT_TRUE(say_selected("a APPEND INBOX CATENATE (URL ;UID=1) (\\Seen) CATENATE (URL \"/INBOX/;UID=1/;PARTIAL=0.7\")"
                             "\r\n")
                    .ends_with("a OK [APPENDUID " + validity + " 3:4] done\r\n"));
    EXPECT_EQ(appended(), "Subject");
    for (std::string url : {"/INBOX/;UID=9", "/Nowhere/;UID=1", "/INBOX;UIDVALIDITY=1/;UID=1", "imap://x/INBOX/;UID=1",
                            "/INBOX/;UID=1/;SECTION=7", "/INBOX", ";UID=1", "\"a b]\""})
        EXPECT_TRUE(say_logged_in("a APPEND INBOX CATENATE (URL " + url + ")\r\n").starts_with("a NO [BADURL ")) << url;
    EXPECT_EQ(inbox_messages(), 4u);
}

// RFC 8508.
TEST_F(Imap, AMessageTakesThePlaceOfAnother) {
    append_several(3);
    const auto code = "* OK [APPENDUID " + std::to_string(uid_validity());
    EXPECT_EQ(say_selected("a REPLACE 2 INBOX (\\Draft) {3+}\r\nnew\r\nb UID REPLACE 4 INBOX CATENATE (URL ;UID=4)\r\n"),
              code + " 4] it is there\r\n* 2 EXPUNGE\r\n* 3 EXISTS\r\na OK done\r\n" + code +
                  " 5] it is there\r\n* 3 EXPUNGE\r\n* 3 EXISTS\r\nb OK done\r\n");
    EXPECT_TRUE(say_selected("a REPLACE 1 Nowhere {3+}\r\nnew\r\nb REPLACE 1 INBOX {1+}\r\nx {1+}\r\ny\r\n"
                             "c REPLACE 1:2 INBOX {1+}\r\nx\r\nd UID REPLACE 2 INBOX {1+}\r\nx\r\n"
                             "e REPLACE 9 INBOX {1+}\r\nx\r\nf UNSELECT\r\ng REPLACE 1 INBOX {1+}\r\nx\r\n")
                    .contains("a NO [TRYCREATE] no such mailbox\r\nb BAD arguments are missing, malformed or too many\r\n"
                              "c BAD arguments are missing, malformed or too many\r\nd NO [NONEXISTENT] no such message\r\n"
                              "e BAD arguments are missing, malformed or too many\r\nf OK done\r\n"
                              "g BAD select a mailbox first\r\n"));
    EXPECT_EQ(inbox_messages(), 3u);
}

TEST_F(Imap, ARefusedMessageIsPassedOver) {
    options_.append_limit = 10;
    EXPECT_EQ(say_logged_in("a APPEND INBOX {11+}\r\n01234567890\r\nb APPEND INBOX {11}\r\nc NOOP\r\n"),
              "a NO [TOOBIG] a message has at most 10 octets\r\nb NO [TOOBIG] a message has at most 10 octets\r\n"
              "c OK done\r\n");
    EXPECT_EQ(inbox_messages(), 0u);
}

TEST_F(Imap, CopyAndMoveSayTheNewUids) {
    append_several(3);
    const auto output = say_selected("a CREATE Work\r\nb COPY 1,3 Work\r\nc UID MOVE 2 Work\r\n");
    const auto work = run(store_.mailbox(fred_, "Work"));
    ASSERT_TRUE(work);
    const auto code = "[COPYUID " + std::to_string(work->uid_validity);
    EXPECT_TRUE(output.contains("b OK " + code + " 1,3 1:2] done\r\n* OK " + code + " 2 3] moved\r\n* 2 EXPUNGE\r\n"))
        << output;
    EXPECT_EQ(work->totals.messages, 3u);
    EXPECT_EQ(inbox_messages(), 2u);
    EXPECT_TRUE(say_selected("a UID COPY 1 Work\r\nb MOVE 1 Work\r\nc COPY 1 Nowhere\r\n")
                    .ends_with("b OK done\r\nc NO [TRYCREATE] no such mailbox\r\n"));
}

TEST_F(Imap, ListShowsWhatStandsAboveAMailboxThatIsThere) {
    const auto output = say_logged_in(
        "a CREATE a/b\r\nb DELETE a\r\nc LIST \"\" %\r\nd LIST \"\" a/%\r\ne LIST \"\" \"\"\r\nf CREATE a/\r\n");
    EXPECT_TRUE(output.contains("* LIST (\\HasNoChildren) \"/\" INBOX\r\n")) << output;
    EXPECT_TRUE(output.contains("* LIST (\\Noselect \\HasChildren) \"/\" a\r\n")) << output;
    EXPECT_TRUE(output.contains("* LIST (\\HasNoChildren) \"/\" a/b\r\n")) << output;
    EXPECT_TRUE(output.contains("* LIST (\\Noselect) \"/\" \"\"\r\n")) << output;
    EXPECT_TRUE(output.contains("f OK [MAILBOXID (M")) << output;
}

TEST_F(Imap, ListTellsStatusSubscriptionsAndUses) {
    append_several(1);
    const auto output = say_logged_in(
        "a CREATE Sent (USE (\\Sent))\r\nb SUBSCRIBE Sent\r\n"
        "c LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN SPECIAL-USE STATUS (MESSAGES))\r\n"
        "d LIST (SPECIAL-USE) \"\" *\r\ne LSUB \"\" *\r\nf STATUS INBOX (MESSAGES UNSEEN UIDNEXT)\r\n");
    EXPECT_TRUE(
        output.contains("* LIST (\\Subscribed \\HasNoChildren \\Sent) \"/\" Sent\r\n"
                        "* STATUS Sent (MESSAGES 0)\r\n"))
        << output;
    EXPECT_TRUE(output.contains("* LIST (\\Sent) \"/\" Sent\r\nd OK ")) << output;
    EXPECT_TRUE(output.contains("* LSUB () \"/\" Sent\r\ne OK ")) << output;
    EXPECT_TRUE(output.contains("* STATUS INBOX (MESSAGES 1 UIDNEXT 2 UNSEEN 1)\r\n")) << output;
}

// RFC 9051 s6.3.5.
TEST_F(Imap, ASubscriptionOutlivesItsMailbox) {
    const auto output = say_logged_in(
        "a CREATE up/Gone\r\nb SUBSCRIBE up/Gone\r\nc DELETE up/Gone\r\nd DELETE up\r\n"
        "e LIST (SUBSCRIBED) \"\" *\r\nf LSUB \"\" *\r\ng LSUB \"\" %\r\nh LIST \"\" *\r\n"
        "i UNSUBSCRIBE up/Gone\r\nj LSUB \"\" *\r\nk UNSUBSCRIBE up/Gone\r\n");
    EXPECT_TRUE(output.ends_with(
        "d OK done\r\n* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" up/Gone\r\ne OK done\r\n"
        "* LSUB () \"/\" up/Gone\r\nf OK done\r\n* LSUB (\\Noselect) \"/\" up\r\ng OK done\r\n"
        "* LIST (\\HasNoChildren) \"/\" INBOX\r\nh OK done\r\n"
        "i OK done\r\nj OK done\r\nk NO [NONEXISTENT] no such mailbox\r\n"))
        << output;
    EXPECT_TRUE(say_logged_in("a CREATE x\r\nb SUBSCRIBE x\r\nc DELETE x\r\nd CREATE x\r\ne LSUB \"\" *\r\n")
                    .ends_with("* LSUB () \"/\" x\r\ne OK done\r\n"));
}

TEST_F(Imap, NamesAreUtf7UntilTheClientSaysUtf8) {
    EXPECT_TRUE(say_logged_in("a CREATE Entw&APw-rfe\r\nb LIST \"\" E*\r\n")
                    .contains("* LIST (\\HasNoChildren) \"/\" Entw&APw-rfe\r\n"));
    EXPECT_TRUE(say_logged_in("a ENABLE UTF8=ACCEPT\r\nb LIST \"\" E*\r\n")
                    .contains("* LIST (\\HasNoChildren) \"/\" \"Entw\xc3\xbcrfe\"\r\n"));
    EXPECT_TRUE(say_logged_in("a CREATE A&B\r\n").starts_with("a NO [CANNOT] "));
}

TEST_F(Imap, RenamingInboxMovesItsMail) {
    append_several(2);
    EXPECT_TRUE(say_selected("a RENAME INBOX Old\r\n").ends_with("* 1 EXPUNGE\r\n* 1 EXPUNGE\r\na OK done\r\n"));
    EXPECT_EQ(run(store_.mailbox(fred_, "Old"))->totals.messages, 2u);
    EXPECT_EQ(say_logged_in("a DELETE INBOX\r\nb RENAME Nowhere x\r\nc RENAME Old INBOX\r\n"),
              "a NO [CANNOT] INBOX stays\r\nb NO [NONEXISTENT] no such mailbox\r\n"
              "c NO [ALREADYEXISTS] the mailbox can't be renamed so\r\n");
}

// RFC 5465. Here all events are the session's own; tests/e2e has those of others.
TEST_F(Imap, TellsOfWhatAClientWantsToHear) {
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
    EXPECT_TRUE(output.contains("\r\n* 1 EXISTS\r\n* 1 FETCH (UID 1 FLAGS ())\r\nd OK [APPENDUID " + validity + " 1] done\r\n"
                                "* LIST (\\Subscribed \\HasNoChildren) \"/\" x\r\ne OK done\r\n"
                                "* LIST (\\Subscribed \\HasNoChildren) \"/\" z (\"OLDNAME\" (x))\r\nf OK done\r\n"
                                "* METADATA z /private/comment\r\ng OK done\r\n"
                                "* METADATA \"\" /shared/comment\r\nh OK done\r\n"
                                "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) \"/\" z\r\ni OK done\r\n"
                                "j OK done\r\nk OK [APPENDUID " + validity + " 2] done\r\nl OK done\r\n"
                                "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\nm OK done\r\n"
                                "* 2 EXISTS\r\nn OK done\r\no OK [MAILBOXID (M"))
        << output;
    for (std::string wrong : {"", "NOTIFY", "NOTIFY SET", "NOTIFY NONE x", "NOTIFY SET (personal)", "NOTIFY SET (personal (MessageNew))",
                              "NOTIFY SET (personal (FlagChange))", "NOTIFY SET (selected (MailboxName))",
                              "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "NOTIFY SET (subtree (MailboxName))",
                              "NOTIFY SET (selected NONE) (selected-delayed NONE)", "NOTIFY SET (nowhere (MailboxName))"})
        EXPECT_TRUE(say_selected("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
    EXPECT_TRUE(say_selected("a NOTIFY SET (personal (MailboxName Unheard))\r\n").starts_with("a NO [BADEVENT (MessageNew "));
}

// RFC 9586.
TEST_F(Imap, AClientMayWantUidsAlone) {
    append_several(4);
    EXPECT_TRUE(run(store_.expunge(fred_, mailstore::kInbox, {mailstore::Uid(1)}, "test")));
    EXPECT_EQ(say_selected("a ENABLE UIDONLY\r\nb UID FETCH 2:3 FLAGS\r\nc UID STORE 2 +FLAGS (\\Deleted)\r\n"
                           "d EXPUNGE\r\ne UID FETCH 3 (UID RFC822.SIZE)\r\nf UID SEARCH RETURN (ALL) UNSEEN\r\n"
                           "g UID REPLACE 3 INBOX {1+}\r\nx\r\n"),
              "* ENABLED UIDONLY\r\na OK done\r\n* 2 UIDFETCH (FLAGS ())\r\n* 3 UIDFETCH (FLAGS ())\r\nb OK done\r\n"
              "* 2 UIDFETCH (FLAGS (\\Deleted))\r\nc OK done\r\n* VANISHED 2\r\nd OK done\r\n"
              "* 3 UIDFETCH (UID 3 RFC822.SIZE 20)\r\ne OK done\r\n* ESEARCH (TAG \"f\") UID ALL 3:4\r\nf OK done\r\n"
              "* OK [APPENDUID " + std::to_string(uid_validity()) + " 5] it is there\r\n* VANISHED 3\r\n* 2 EXISTS\r\n"
              "g OK done\r\n");
    for (std::string numbers : {"FETCH 1 FLAGS", "STORE 1 FLAGS ()", "SEARCH ALL", "COPY 1 INBOX", "MOVE 1 x", "SORT (DATE) UTF-8 ALL",
                                "UID SEARCH 1", "UID SEARCH NOT (OR SEEN *)", "UID SORT (DATE) UTF-8 1", "REPLACE 1 INBOX {1+}\r\nx"})
        EXPECT_TRUE(say_selected("a ENABLE UIDONLY\r\nb " + numbers + "\r\n").contains("b BAD [UIDREQUIRED] ")) << numbers;
    const auto opened = say_logged_in("a ENABLE UIDONLY QRESYNC\r\nb SELECT INBOX\r\n"
                                      "c SELECT INBOX (QRESYNC (" + std::to_string(uid_validity()) + " 1 1:3 (1 2)))\r\n");
    EXPECT_FALSE(opened.contains("[UNSEEN ")) << opened;
    EXPECT_TRUE(opened.contains("c BAD [UIDREQUIRED] ")) << opened;
}

// RFC 5464.
TEST_F(Imap, AnnotationsAreKeptWithTheirMailboxes) {
    EXPECT_EQ(say_logged_in("a SETMETADATA INBOX (/private/comment \"my \\\"own\\\"\" /shared/a/b ~{3+}\r\nx" + std::string(1, '\0') +
                            "y /Private/A/C \"z\")\r\n"
                            "b GETMETADATA INBOX (/PRIVATE/comment /private/none)\r\n"
                            "c GETMETADATA (DEPTH infinity) INBOX (/private /shared)\r\n"
                            "d GETMETADATA INBOX (DEPTH 1 MAXSIZE 1) (/private /shared/a)\r\n"
                            "e GETMETADATA \"\" /shared/comment\r\n"),
              "a OK done\r\n"
              "* METADATA \"INBOX\" (/private/comment \"my \\\"own\\\"\" /private/none NIL)\r\nb OK done\r\n"
              "* METADATA \"INBOX\" (/private/a/c \"z\" /private/comment \"my \\\"own\\\"\" /shared/a/b ~{3}\r\nx" +
                  std::string(1, '\0') + "y)\r\nc OK done\r\n"
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
    for (std::string wrong : {"GETMETADATA INBOX", "GETMETADATA INBOX /x", "GETMETADATA INBOX (/private/comment",
                              "GETMETADATA INBOX /private/a*", "GETMETADATA INBOX /private//a", "GETMETADATA INBOX /private/",
                              "GETMETADATA (DEPTH 2) INBOX /private/a", "SETMETADATA INBOX (/private \"x\")", "SETMETADATA INBOX (/private/a x)",
                              "SETMETADATA INBOX /private/a \"x\"", "SETMETADATA INBOX (/private/a)", "SETMETADATA INBOX ()"})
        EXPECT_TRUE(say_logged_in("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
}

TEST_F(Imap, AnnotationsHaveLimitsThatAreSaid) {
    const std::string large(64 * 1024 + 1, 'x');
    EXPECT_EQ(say_logged_in("a SETMETADATA INBOX (/private/small \"x\" /private/large {65537+}\r\n" + large + ")\r\n"
                            "b GETMETADATA INBOX /private/small\r\n"),
              "a NO [METADATA MAXSIZE 65536] a value is too large\r\n"
              "* METADATA \"INBOX\" (/private/small NIL)\r\nb OK done\r\n");
    std::string many;
    for (int n = 0; n < 101; ++n) many += (n == 0 ? "" : " ") + ("/private/" + std::to_string(n)) + " \"x\"";
    EXPECT_EQ(say_logged_in("a SETMETADATA \"\" (" + many + ")\r\nb SETMETADATA \"\" (/shared/admin \"x\")\r\n"),
              "a NO [METADATA TOOMANY] there are too many annotations\r\nb NO [CANNOT] the server says that itself\r\n");
}

// RFC 9394.
TEST_F(Imap, AnswersWithAPartOfWhatIsFound) {
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
    for (std::string wrong : {"SEARCH RETURN (PARTIAL 1:2 ALL) ALL", "SEARCH RETURN (PARTIAL 1:2 PARTIAL 1:2) ALL",
                              "SEARCH RETURN (PARTIAL 0:2) ALL", "SEARCH RETURN (PARTIAL -1:2) ALL",
                              "SEARCH RETURN (PARTIAL 1:*) ALL", "SEARCH RETURN (PARTIAL 1) ALL",
                              "FETCH 1 UID (PARTIAL 1:2)", "UID FETCH 1 UID (PARTIAL)"})
        EXPECT_TRUE(say_selected("a " + wrong + "\r\n").starts_with("a BAD ")) << wrong;
}

// RFC 9585.
TEST_F(Imap, ALongCommandSaysHowFarItIs) {
    append_several(2);
    options_.progress = std::chrono::seconds(0);
    EXPECT_EQ(say_selected("a SEARCH BODY body\r\n"),
              "* OK [INPROGRESS (\"a\" NIL NIL)] going on\r\n* OK [INPROGRESS (\"a\" 2 2)] going on\r\n"
              "* SEARCH 1 2\r\na OK done\r\n");
}

TEST_F(Imap, MessagesAreLookedThroughByThePool) {
    FairPool pool(2, 100);
    services_.searches = &pool;
    append_several(300);
    append("Subject: large\r\n\r\n" + std::string(200'000, 'x') + "needle\r\n");
    EXPECT_EQ(say_selected("a SEARCH TEXT needle\r\nb SEARCH RETURN (COUNT) HEADER Subject 29 BODY body\r\n"),
              "* SEARCH 301\r\na OK done\r\n* ESEARCH (TAG \"b\") COUNT 11\r\nb OK done\r\n");
}

TEST_F(Imap, AMessageThatCameBackIsFoundByItsNewUid) {
    append_several(3);
    const auto id = run(store_.list(fred_, mailstore::kInbox, mailstore::OrderKey(), 1))->front().unique_id;
    EXPECT_TRUE(run(store_.expunge(fred_, mailstore::kInbox, {mailstore::Uid(1)}, "test")));
    EXPECT_TRUE(run(store_.restore(fred_, id)));
    EXPECT_EQ(say_selected("a UID FETCH 1:* RFC822.SIZE\r\n"),
              "* 1 FETCH (UID 2 RFC822.SIZE 20)\r\n* 2 FETCH (UID 3 RFC822.SIZE 20)\r\n"
              "* 3 FETCH (UID 4 RFC822.SIZE 20)\r\na OK done\r\n");
}

TEST_F(Imap, DoneMayComeTogetherWithIdle) {
    EXPECT_EQ(say_selected("a IDLE\r\nDONE\r\nb NOOP\r\n"), "+ idling\r\na OK done\r\nb OK done\r\n");
    EXPECT_EQ(say_selected("a IDLE\r\nNOOP {4+}\r\nDONE\r\nb NOOP\r\n"),
              "+ idling\r\na BAD IDLE ends with DONE\r\nb OK done\r\n");
}

TEST_F(Imap, EnableTellsWhatItTurnedOn) {
    EXPECT_EQ(say_logged_in("a ENABLE CONDSTORE FOO\r\nb ENABLE QRESYNC\r\n"),
              "* ENABLED CONDSTORE\r\na OK done\r\n* ENABLED QRESYNC\r\nb OK done\r\n");
}

TEST_F(Imap, ASynchronizingClientLearnsWhatIsGoneAndChanged) {
    append_several(4);
    const auto number = run(store_.mailbox(fred_, "INBOX"))->changed.value;
    EXPECT_TRUE(run(store_.expunge(fred_, mailstore::kInbox, {mailstore::Uid(2)}, "test")));
    EXPECT_TRUE(run(store_.change_flags(fred_, mailstore::kInbox, {mailstore::Uid(3)},
                                        {.how = mailstore::FlagChange::How::add, .system = 1})));
    const auto begin = "a ENABLE QRESYNC\r\nb SELECT INBOX (QRESYNC (" + std::to_string(uid_validity());
    const auto output = say_logged_in(begin + " " + std::to_string(number) + " 1:4))\r\n");
    EXPECT_TRUE(output.contains("* VANISHED (EARLIER) 2\r\n* 2 FETCH (UID 3 MODSEQ (")) << output;
    EXPECT_TRUE(output.contains("FLAGS (\\Seen))\r\nb OK [READ-WRITE] done\r\n")) << output;
    // From the future: an older copy of the data was put back.
    const auto all = say_logged_in(begin + " 999999 1:9))\r\n");
    EXPECT_TRUE(all.contains("* VANISHED (EARLIER) 2,5:9\r\n* 1 FETCH (UID 1 ")) << all;
    EXPECT_EQ(say_logged_in("b SELECT INBOX (QRESYNC (1 5))\r\n"), "b BAD ENABLE QRESYNC first\r\n");
}

TEST_F(Imap, UnauthenticateGoesBackToTheLogin) {
    EXPECT_TRUE(say_logged_in("a UNAUTHENTICATE\r\nb SELECT INBOX\r\nc LOGIN fred@example.test secret\r\n")
                    .starts_with("a OK who is next?\r\nb BAD log in first\r\nc OK "));
}

TEST_F(Imap, TellsTheQuotaOfAnAccount) {
    EXPECT_EQ(say_logged_in("a GETQUOTAROOT INBOX\r\nb GETQUOTA x\r\n"),
              "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" ()\r\na OK done\r\nb NO [NONEXISTENT] no such quota root\r\n");
}

}  // namespace
}  // namespace poplar::test
