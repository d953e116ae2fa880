// The way to a login: USER and PASS, AUTH, STLS, and their order.
#include "auth/device_password.h"
#include "tests/pop3/world.h"
#include "tests/support/set_settings.h"

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

/// fred's mailboxes, and what devices of his see of them.
class Pop3Mailboxes : public test::Pop3World {
protected:
    Pop3Mailboxes() {
        for (auto [name, use] : {std::pair("Spam", mailstore::SpecialUse::junk), {"Lists/asio", {}}})
            ids_[name] = test::run(store_.add_mailbox(fred_, name, use))->id;
        deliver(mailstore::kInbox, 1);
        deliver(ids_["Spam"], 2);
        deliver(ids_["Lists/asio"], 3);
    }
    /// A message of so many octets.
    void deliver(mailstore::MailboxId mailbox, std::size_t octets) {
        auto writer = store_.stage();
        ASSERT_TRUE(test::run(writer->write(std::string(octets, 'x'))));
        mailstore::NewMessage message{"", *test::run(writer->finish(octets, 1)), ""};
        message.mailbox = mailbox;
        ASSERT_TRUE(test::run(store_.append(fred_, std::move(message))));
        clock_.advance(std::chrono::seconds(1));
    }
    /// The answer to PASS.
    std::string log_in(const std::string& name, const std::string& password = " pass word ") {
        auto output = say("USER " + name + "\r\nPASS " + password + "\r\nQUIT\r\n");
        output.erase(0, output.find("\r\n") + 2);
        return output.substr(0, output.find("\r\n") + 2);
    }
    /// With a view of its own of these mailboxes. Returns its password.
    std::string add_device(const std::vector<std::string>& mailboxes, bool own_view = true) {
        auto password = auth::make_device_password(*test::run(directory_.free_device_id(fred_)));
        directory::Device device{.id = password.device, .name = std::to_string(password.device)};
        device.secret = auth::hash_device_secret(password.secret);
        device.own_view = own_view;
        for (const auto& name : mailboxes) device.mailboxes.push_back(ids_.at(name).value);
        EXPECT_TRUE(test::run(directory_.add_device(fred_, device)));
        auto its = mailboxes;
        if (its.empty()) its = {"INBOX"};
        for (const auto& name : its)
            EXPECT_TRUE(test::run(store_.make_view(fred_, {mailstore::view_of_device(device.id), ids_.at(name)},
                                                   mailstore::kFromTheFirst)));
        return auth::grouped(password);
    }

    static constexpr std::string_view kNone = "-ERR [AUTH] there is no such mailbox\r\n";
    std::map<std::string, mailstore::MailboxId> ids_{{"INBOX", mailstore::kInbox}};
};

TEST_F(Pop3Mailboxes, AreOpenedByTheDetailOfTheLoginName) {
    EXPECT_EQ(log_in("fred@example.test"), "+OK 1 messages (1 octets)\r\n");
    EXPECT_EQ(log_in("fred+spam@example.test"), "+OK 1 messages (2 octets)\r\n");
    EXPECT_EQ(log_in("Fred+JUNK@example.test"), "+OK 1 messages (2 octets)\r\n") << "by its use";
    EXPECT_EQ(log_in("fred+lists/ASIO@example.test"), "+OK 1 messages (3 octets)\r\n");
    EXPECT_EQ(log_in("fred+inbox@example.test"), "+OK 1 messages (1 octets)\r\n");
    // base64 of NUL "fred+spam@example.test" NUL " pass word "
    EXPECT_TRUE(say("AUTH PLAIN AGZyZWQrc3BhbUBleGFtcGxlLnRlc3QAIHBhc3Mgd29yZCA=\r\n").contains("(2 octets)"));
}

TEST_F(Pop3Mailboxes, AnUnknownOneIsToldToNobodyWithoutThePassword) {
    for (std::string detail : {"nowhere", "", "trash", "spam/", "%", "none"}) {
        const auto name = "fred+" + detail + "@example.test";
        EXPECT_EQ(log_in(name), kNone) << "never INBOX";
        EXPECT_EQ(log_in(name, "wrong"), kWrong);
    }
    EXPECT_EQ(log_in("fred+spam@example.test", "wrong"), kWrong);
    EXPECT_EQ(log_in("nobody+spam@example.test"), kWrong);
}

TEST_F(Pop3Mailboxes, HaveDeletionsOfTheirOwn) {
    EXPECT_EQ(say("USER fred+spam@example.test\r\nPASS  pass word \r\nDELE 1\r\nQUIT\r\n"),
              "+OK send the password\r\n+OK 1 messages (2 octets)\r\n+OK deleted\r\n"
              "+OK goodbye, messages deleted: 1\r\n");
    EXPECT_EQ(log_in("fred+spam@example.test"), "+OK 0 messages (0 octets)\r\n");
    EXPECT_EQ(log_in("fred@example.test"), "+OK 1 messages (1 octets)\r\n");
    EXPECT_EQ(test::run(store_.list_retained(fred_, 0, 10))->front().mailbox, "Spam");
}

TEST_F(Pop3Mailboxes, HaveLocksAndLoginDelaysOfTheirOwn) {
    options_.policy.login_delay = std::chrono::seconds(900);
    auto held = test::run(store_.open_maildrop(fred_, {mailstore::kClassicView, {ids_["Spam"]}}));
    ASSERT_TRUE(held);
    EXPECT_TRUE(log_in("fred+spam@example.test").starts_with("-ERR [IN-USE] "));
    EXPECT_TRUE(log_in("fred@example.test").starts_with("+OK "));
    held->reset();
    EXPECT_TRUE(log_in("fred+spam@example.test").starts_with("+OK "));
    EXPECT_TRUE(log_in("fred+spam@example.test").starts_with("-ERR [LOGIN-DELAY] "));
    EXPECT_TRUE(log_in("fred+junk@example.test").starts_with("-ERR [LOGIN-DELAY] ")) << "by whatever name";
    EXPECT_TRUE(log_in("fred@example.test").starts_with("-ERR [LOGIN-DELAY] "));
    EXPECT_TRUE(log_in("fred+lists@example.test").starts_with("+OK "));
    EXPECT_TRUE(log_in("fred@example.test", add_device({"INBOX", "Spam"})).starts_with("+OK ")) << "other views";
    EXPECT_TRUE(log_in("fred@example.test", add_device({"INBOX", "Spam"}, false)).starts_with("-ERR [LOGIN-DELAY] "));
}

TEST_F(Pop3Mailboxes, OfADeviceAreItsMaildrop) {
    const auto phone = add_device({}), filter = add_device({"Spam"}), all = add_device({"Spam", "INBOX", "Lists/asio"});
    EXPECT_EQ(log_in("fred@example.test", phone), "+OK 1 messages (1 octets)\r\n");
    EXPECT_EQ(log_in("fred@example.test", filter), "+OK 1 messages (2 octets)\r\n");
    EXPECT_EQ(log_in("fred@example.test", all), "+OK 3 messages (6 octets)\r\n");
    EXPECT_EQ(log_in("fred+junk@example.test", all), "+OK 1 messages (2 octets)\r\n");
    EXPECT_EQ(log_in("fred+junk@example.test", filter), "+OK 1 messages (2 octets)\r\n");
    EXPECT_EQ(log_in("fred+inbox@example.test", phone), "+OK 1 messages (1 octets)\r\n");
    EXPECT_EQ(log_in("fred+junk@example.test", phone), kNone) << "it was not given to it";
    EXPECT_EQ(log_in("fred+inbox@example.test", filter), kNone);
    ASSERT_TRUE(test::run(store_.remove_mailbox(fred_, "Spam", "imap")));
    EXPECT_TRUE(log_in("fred@example.test", filter).starts_with("-ERR [SYS/PERM] ")) << "never INBOX in its place";
    EXPECT_EQ(log_in("fred@example.test", all), "+OK 2 messages (4 octets)\r\n");
}

TEST_F(Pop3Mailboxes, OfADeviceAreListedInOrderOfArrivalAndCutAtTheEnd) {
    const auto password = add_device({"Lists/asio", "Spam", "INBOX"});
    deliver(mailstore::kInbox, 4);
    auto say_as_device = [&](const std::string& input) {
        auto output = say("USER fred@example.test\r\nPASS " + password + "\r\n" + input + "QUIT\r\n");
        return output.substr(output.find("\r\n", output.find("\r\n") + 2) + 2);
    };
    const std::string first = say_as_device("LIST\r\nUIDL\r\n");
    EXPECT_TRUE(first.starts_with("+OK number and octets follow\r\n1 1\r\n2 2\r\n3 3\r\n4 4\r\n.\r\n")) << first;
    EXPECT_EQ(say_as_device("LIST\r\nUIDL\r\n"), first) << "as it was kept";
    EXPECT_EQ(say_as_device("DELE 2\r\nDELE 4\r\n"),
              "+OK deleted\r\n+OK deleted\r\n+OK goodbye, messages deleted: 2\r\n");
    EXPECT_EQ(say_as_device("LIST\r\nRETR 2\r\n"),
              "+OK number and octets follow\r\n1 1\r\n2 3\r\n.\r\n+OK 3 octets\r\nxxx.\r\n+OK goodbye\r\n");
    EXPECT_EQ(log_in("fred+spam@example.test"), "+OK 1 messages (2 octets)\r\n") << "hidden in the device's view alone";
}

TEST_F(Pop3Mailboxes, KeepWhatIsDeletedWhereTheAccountWantsIt) {
    ASSERT_TRUE(test::run(test::set_settings(directory_, "fred@example.test", {.keep_deleted = true})));
    for (auto name : {"fred@example.test", "fred+spam@example.test"}) {
        say("USER " + std::string(name) + "\r\nPASS  pass word \r\nDELE 1\r\nQUIT\r\n");
        EXPECT_EQ(log_in(name), "+OK 0 messages (0 octets)\r\n");
    }
    EXPECT_EQ(stored_messages(), 3u);
    EXPECT_TRUE(test::run(store_.list_retained(fred_, 0, 10))->empty());
}

}  // namespace
