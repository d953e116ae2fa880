// The way to a login: USER and PASS, AUTH, STLS, and their order.
#include "tests/pop3/world.h"

namespace {

using namespace poplar;
using namespace poplar::pop3;
using test::kLogin;
using Pop3Login = test::Pop3World;

const std::string kWrong = "-ERR [AUTH] wrong name or password\r\n";

// base64 of NUL "fred@example.test" NUL " pass word "
const std::string kPlain = "AGZyZWRAZXhhbXBsZS50ZXN0ACBwYXNzIHdvcmQg";

TEST_F(Pop3Login, TheEmptyPollIsAnsweredInOneFlight) {
    auto transcript = talk({.flights = {std::string(kLogin) + "STAT\r\nQUIT\r\n"}});
    EXPECT_EQ(transcript.output,
              "+OK Poplar ready\r\n+OK send the password\r\n+OK 0 messages (0 octets)\r\n+OK 0 0\r\n+OK goodbye\r\n");
    EXPECT_LE(transcript.flights.size(), 2u);
}

TEST_F(Pop3Login, KeepsEverySpaceOfAPassword) {
    EXPECT_TRUE(say("USER fred@example.test\r\nPASS  pass word \r\n").ends_with("+OK 0 messages (0 octets)\r\n"));
    for (std::string_view wrong : {"pass word", " pass word", "pass word ", " pass  word ", ""})
        EXPECT_TRUE(say("USER fred@example.test\r\nPASS " + std::string(wrong) + "\r\n").ends_with(kWrong)) << wrong;
}

TEST_F(Pop3Login, AWrongNameAndAWrongPasswordLookTheSame) {
    auto wrong_name = say("USER nobody@example.test\r\nPASS x\r\nQUIT\r\n");
    auto wrong_password = say("USER fred@example.test\r\nPASS x\r\nQUIT\r\n");
    EXPECT_EQ(wrong_name, wrong_password);
    EXPECT_EQ(wrong_name, "+OK send the password\r\n" + kWrong + "+OK goodbye\r\n");
}

TEST_F(Pop3Login, EndsAfterTooManyFailures) {
    options_.login_failures = 2;
    auto attempt = "USER fred@example.test\r\nPASS x\r\n";
    auto transcript = talk({.flights = {std::string(attempt) + attempt + std::string(kLogin)}});
    EXPECT_TRUE(transcript.output.ends_with(kWrong));
    EXPECT_EQ(transcript.unread, kLogin.size());
}

TEST_F(Pop3Login, PassNeedsAUserJustBefore) {
    EXPECT_EQ(say("PASS x\r\n"), "-ERR send USER first\r\n");
    EXPECT_TRUE(say("USER fred@example.test\r\nPASS x\r\nPASS  pass word \r\n").ends_with("-ERR send USER first\r\n"));
    for (std::string_view between : {"NOOP", "CAPA", "XYZZY", "LANG en", "AUTH XYZZY"}) {
        auto said = say("USER fred@example.test\r\n" + std::string(between) + "\r\nPASS  pass word \r\n");
        EXPECT_TRUE(said.ends_with("-ERR send USER first\r\n")) << between;
    }
}

TEST_F(Pop3Login, CommandsOfTheTransactionStateHaveToWait) {
    for (std::string_view command : {"STAT", "LIST", "UIDL 1", "RETR 1", "DELE 1", "TOP 1 1", "NOOP", "RSET"})
        EXPECT_EQ(say(std::string(command) + "\r\n"), "-ERR log in first\r\n") << command;
}

TEST_F(Pop3Login, HangsUpOnABrowserBeforeItsFormCanLogIn) {
    const std::string form = std::string(kLogin) + "DELE 1\r\nQUIT\r\n";
    for (const std::string& request :
         {std::string("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("GET /a?b=c HTTP/1.0\r\n"),
          std::string("PRI * HTTP/2.0\r\n"), "POST /" + std::string(9000, 'x') + " HTTP/1.1\r\nhost: x\r\n\r\n"}) {
        auto transcript = talk({.flights = {request + form}});
        EXPECT_TRUE(transcript.output.ends_with("-ERR this is POP3, not HTTP\r\n")) << request;
        EXPECT_GE(transcript.unread, form.size()) << request;
    }
}

TEST_F(Pop3Login, AuthPlainTakesTheResponseAtOnceOrAfterAnEmptyChallenge) {
    auto at_once = say("AUTH PLAIN " + kPlain + "\r\n");
    EXPECT_EQ(at_once, "+OK 0 messages (0 octets)\r\n");
    auto transcript = talk({.flights = {"auth plain\r\n", kPlain + "\r\n"}});
    EXPECT_EQ(transcript.output, "+OK Poplar ready\r\n+ \r\n+OK 0 messages (0 octets)\r\n");
}

TEST_F(Pop3Login, AuthAnswersWhateverElseComesWithErr) {
    struct Case {
        std::string_view sent, expected;
    };
    for (auto [sent, expected] : {
             Case{"AUTH PLAIN\r\n*\r\n", "+ \r\n-ERR cancelled\r\n"},
             {"AUTH PLAIN =\r\n", "-ERR not a valid response for this mechanism\r\n"},
             {"AUTH PLAIN ====\r\n", "-ERR not valid base64\r\n"},
             {"AUTH PLAIN =AAA\r\n", "-ERR not valid base64\r\n"},
             {"AUTH PLAIN AGE!\r\n", "-ERR not valid base64\r\n"},
             {"AUTH PLAIN\r\nAGEAYg=\r\n", "+ \r\n-ERR not valid base64\r\n"},
             {"AUTH PLAIN\r\n\r\n", "+ \r\n-ERR not a valid response for this mechanism\r\n"},
             {"AUTH PLAIN YWJj\r\n", "-ERR not a valid response for this mechanism\r\n"},
             {"AUTH PLAIN AGEAYg==\r\n", "-ERR [AUTH] wrong name or password\r\n"},
             {"AUTH CRAM-MD5\r\n", "-ERR unknown mechanism\r\n"},
             {"AUTH PLAI\r\n", "-ERR unknown mechanism\r\n"},
             // "boss" NUL "fred@example.test" NUL " pass word ": acting for somebody else
             {"AUTH PLAIN Ym9zcwBmcmVkQGV4YW1wbGUudGVzdAAgcGFzcyB3b3JkIA==\r\n",
              "-ERR [AUTH] wrong name or password\r\n"},
             {"AUTH\r\n", "+OK mechanisms follow\r\nPLAIN\r\nLOGIN\r\n.\r\n"},
         })
        EXPECT_EQ(say(std::string(sent)), expected) << sent;
}

TEST_F(Pop3Login, AuthResponsesMayBeLongAndAreBounded) {
    auto exchange = [&](std::size_t size) { return say("AUTH PLAIN\r\n" + std::string(size, 'A') + "\r\nQUIT\r\n"); };
    EXPECT_EQ(exchange(12'000), "+ \r\n-ERR not a valid response for this mechanism\r\n+OK goodbye\r\n");
    EXPECT_EQ(exchange(13'000), "+ \r\n-ERR line too long\r\n+OK goodbye\r\n");
}

TEST_F(Pop3Login, AnOverLongLineIsAnsweredAndNotObeyed) {
    std::string fits = "USER " + std::string(255 - 7, 'a') + "\r\n",
                longer = "USER " + std::string(255 - 6, 'a') + "\r\n";
    EXPECT_EQ(say(fits + "QUIT\r\n"), "+OK send the password\r\n+OK goodbye\r\n");
    EXPECT_EQ(say(longer + "QUIT\r\n"), "-ERR line too long\r\n+OK goodbye\r\n");
}

TEST_F(Pop3Login, WhoAlwaysHasAnotherCommandReadyIsNotGivenMoreTime) {
    options_.login_total = std::chrono::seconds(0);
    auto transcript = talk({.flights = {"CAPA\r\nCAPA\r\nQUIT\r\n"}});
    EXPECT_EQ(transcript.output, "+OK Poplar ready\r\n");
    EXPECT_EQ(talk({.flights = {std::string(kLogin)}}).output, "+OK Poplar ready\r\n");
}

TEST_F(Pop3Login, EndsAfterTooManyBadCommands) {
    options_.bad_commands = 3;
    EXPECT_EQ(say("FOO\r\nRETR\r\n" + std::string(300, 'x') + "\r\nQUIT\r\n"),
              "-ERR unknown command\r\n-ERR expected a message number\r\n-ERR too many bad commands, goodbye\r\n");
}

TEST_F(Pop3Login, RefusesPasswordsInTheClearAsConfigured) {
    struct Case {
        session::AllowPlaintext policy;
        bool loopback, allowed;
    };
    constexpr auto never = session::AllowPlaintext::never, always = session::AllowPlaintext::always;
    for (auto [policy, loopback, allowed] : {Case{never, true, false},
                                             {never, false, false},
                                             {always, true, true},
                                             {always, false, true},
                                             {session::AllowPlaintext::loopback, true, true},
                                             {session::AllowPlaintext::loopback, false, false}}) {
        logins_.allow_plaintext = policy;
        Script script{.flights = {"CAPA\r\nUSER fred\r\nPASS x\r\nAUTH PLAIN AGEAYg==\r\nAUTH\r\n"}};
        script.peer.loopback = loopback;
        auto output = talk(std::move(script)).output;
        EXPECT_EQ(output.contains("\r\nUSER\r\nSASL PLAIN LOGIN\r\n"), allowed);
        EXPECT_EQ(output.contains("+OK send the password"), allowed);
        EXPECT_EQ(output.contains("[AUTH]"), allowed);
        EXPECT_EQ(output.ends_with("PLAIN\r\nLOGIN\r\n.\r\n"), allowed);
    }
}

TEST_F(Pop3Login, StlsMakesPasswordsAcceptableAndStartsAnew) {
    logins_.allow_plaintext = session::AllowPlaintext::never;
    offer_tls();
    auto before = say("CAPA\r\nUSER fred@example.test\r\n");
    EXPECT_TRUE(before.contains("\r\nSTLS\r\n"));
    EXPECT_FALSE(before.contains("SASL"));
    EXPECT_TRUE(before.ends_with("-ERR use STLS first: no passwords in the clear\r\n"));

    auto transcript = talk({.flights = {"STLS\r\n", "CAPA\r\nSTLS\r\n" + std::string(kLogin) + "STLS\r\nQUIT\r\n"}});
    EXPECT_TRUE(transcript.tls);
    EXPECT_FALSE(transcript.output.contains("\r\nSTLS\r\n"));
    EXPECT_TRUE(transcript.output.contains("\r\nUSER\r\nSASL PLAIN LOGIN\r\n"));
    EXPECT_TRUE(
        transcript.output.ends_with(".\r\n-ERR TLS is active already\r\n+OK send the password\r\n"
                                    "+OK 0 messages (0 octets)\r\n-ERR you are logged in already\r\n+OK goodbye\r\n"))
        << transcript.output;
}

// RFC 2595 s4: nothing from before the handshake counts after it, neither a name nor commands sent too early.
TEST_F(Pop3Login, StlsForgetsWhatCameBefore) {
    offer_tls();
    auto transcript =
        talk({.flights = {"USER fred@example.test\r\nSTLS\r\nPASS  pass word \r\n", "PASS  pass word \r\n"}});
    EXPECT_EQ(transcript.output,
              "+OK Poplar ready\r\n+OK send the password\r\n+OK begin TLS\r\n-ERR send USER first\r\n");
}

TEST_F(Pop3Login, AFailedHandshakeEndsTheSession) {
    offer_tls();
    auto transcript = talk({.flights = {"STLS\r\n", "QUIT\r\n"}, .tls_works = false});
    EXPECT_TRUE(transcript.output.ends_with("+OK begin TLS\r\n"));
    EXPECT_EQ(transcript.unread, 6u);
}

TEST_F(Pop3Login, WithoutACertificateThereIsNoStls) {
    EXPECT_EQ(say("STLS\r\n"), "-ERR TLS is not available\r\n");
    EXPECT_FALSE(say("CAPA\r\n").contains("STLS"));
}

TEST_F(Pop3Login, AnnouncesTheSameInBothStatesExceptStls) {
    offer_tls();
    std::string common =
        "+OK capabilities follow\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nUTF8 USER\r\nLANG\r\n"
        "USER\r\nSASL PLAIN LOGIN\r\n";
    EXPECT_EQ(say("CAPA\r\n"), common + "STLS\r\nEXPIRE NEVER\r\nIMPLEMENTATION Poplar\r\n.\r\n");
    EXPECT_EQ(say_logged_in("CAPA\r\n"), common + "EXPIRE NEVER\r\nIMPLEMENTATION Poplar\r\n.\r\n");
}

TEST_F(Pop3Login, AMaildropInUseIsSaidSoAndCanBeTriedAgain) {
    auto held = test::run(store_.open_maildrop(fred_));
    ASSERT_TRUE(held);
    EXPECT_EQ(say(std::string(kLogin) + "QUIT\r\n"),
              "+OK send the password\r\n-ERR [IN-USE] another session has the maildrop open\r\n+OK goodbye\r\n");
    held->reset();
    EXPECT_TRUE(say(std::string(kLogin)).ends_with("+OK 0 messages (0 octets)\r\n"));
}

TEST_F(Pop3Login, AStoreThatFailsIsTemporary) {
    options_.login_failures = 1;
    engine_.fail_next_reads(100, Errc::io);
    auto output = say(std::string(kLogin) + "QUIT\r\n");
    EXPECT_TRUE(output.contains("-ERR [SYS/TEMP] ")) << output;
    EXPECT_TRUE(output.ends_with("+OK goodbye\r\n")) << output;
}

// RFC 3206 s4: clients drop the stored password at [AUTH].
TEST_F(Pop3Login, WhatIsNotJudgedAfterTooManyFailuresIsTemporary) {
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(say("USER fred@example.test\r\nPASS x" + std::to_string(i) + "\r\n").ends_with(kWrong));
    EXPECT_EQ(
        say(std::string(kLogin) + "QUIT\r\n"),
        "+OK send the password\r\n-ERR [SYS/TEMP] can't check the password now, try again later\r\n+OK goodbye\r\n");
    EXPECT_EQ(say("AUTH PLAIN " + kPlain + "\r\n"),
              "-ERR [SYS/TEMP] can't check the password now, try again later\r\n");
}

TEST_F(Pop3Login, SaysGoodbyeWhenTheServerStopsAndNothingWhenTheTimeIsUp) {
    EXPECT_EQ(talk({.flights = {}, .end = Errc::cancelled}).output,
              "+OK Poplar ready\r\n-ERR [SYS/TEMP] server is shutting down, try again later\r\n");
    EXPECT_EQ(talk({.flights = {}, .end = Errc::timed_out}).output, "+OK Poplar ready\r\n");
    EXPECT_EQ(talk({.flights = {"AUTH PLAIN\r\n"}, .end = Errc::cancelled}).output,
              "+OK Poplar ready\r\n+ \r\n-ERR [SYS/TEMP] server is shutting down, try again later\r\n");
}

}  // namespace
