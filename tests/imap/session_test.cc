// A client's view of a session: framing, states, and each family of commands.
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
        "* LSUB (\\Noselect) \"/\" up\r\n* LSUB () \"/\" up/Gone\r\nf OK done\r\n* LSUB (\\Noselect) \"/\" up\r\ng OK "
        "done\r\n"
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
