// Sessions of SMTP: the order of commands, recipients, sizes, limits, STARTTLS.
#include "smtp/session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;
using Script = ScriptConnection::Script;

std::string repeat(std::string_view text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
}

TEST(SmtpSession, GreetsAndListsItsExtensions) {
    World world;
    auto options = options_for(Protocol::smtp);
    EXPECT_EQ(talk(world, kHello + "QUIT\r\n", options).output,
              "220 mail.example.test ESMTP Poplar\r\n"
              "250-mail.example.test\r\n"
              "250-PIPELINING\r\n"
              "250-SIZE 52428800\r\n"
              "250-8BITMIME\r\n"
              "250-SMTPUTF8\r\n"
              "250-CHUNKING\r\n"
              "250-DSN\r\n"
              "250-ENHANCEDSTATUSCODES\r\n"
              "250 HELP\r\n"
              "221 2.0.0 Bye\r\n");
    options.greeting = "welcome";
    options.tls = any_tls;
    auto with_tls = talk(world, kHello + "QUIT\r\n", options).output;
    EXPECT_TRUE(with_tls.starts_with("220 mail.example.test welcome\r\n")) << with_tls;
    EXPECT_NE(with_tls.find("250-STARTTLS\r\n"), std::string::npos);
}

TEST(SmtpSession, GreetsBeforeTheClientSpeaks) {
    World world;
    auto transcript = talk(world, Script{.flights = {}});
    EXPECT_EQ(transcript.output, "220 mail.example.test ESMTP Poplar\r\n");
}

TEST(SmtpSession, AnswersEachCommandWithItsCode) {
    World world;
    world.add("off@example.test");
    world.disable("off@example.test");
    world.alias("shared@example.test", {"demo@example.test"});
    struct Case {
        std::string input, replies;  // after the reply to EHLO
    };
    const std::string mail = "MAIL FROM:<sender@remote.example>\r\n";
    for (const auto& [input, replies] : {
             Case{"NOOP\r\n", "250 2.0.0"},
             {"HELP\r\n", "214 2.0.0"},
             {"VRFY demo\r\n", "252 2.0.0"},
             {"EXPN list\r\n", "502 5.5.1"},
             {"RSET\r\n", "250 2.0.0"},
             {"QUIT\r\n", "221 2.0.0"},
             {"QUIT\r\nNOOP\r\n", "221 2.0.0"},
             {"HELO again\r\n", "250"},
             {"LHLO client.example\r\n", "500"},  // RFC 2034 s3: no enhanced code here
             {"EHLO\r\n", "501"},
             {"HELO two words\r\n", "501"},
             {"FOO\r\n", "500 5.5.2"},
             {"AUTH PLAIN AGEAYg==\r\n", "502 5.5.1"},
             {"STARTTLS\r\n", "502 5.5.1"},
             {"RCPT TO:<demo@example.test>\r\n", "503 5.5.1"},
             {"DATA\r\n", "503 5.5.1"},
             {mail + "DATA\r\n", "250 2.1.0, 503 5.5.1"},
             {mail + mail, "250 2.1.0, 503 5.5.1"},
             {mail + "EHLO again\r\n" + mail, "250 2.1.0, 250, 250 2.1.0"},
             {mail + "RSET\r\n" + mail, "250 2.1.0, 250 2.0.0, 250 2.1.0"},
             {"MAIL FROM:<>\r\n", "250 2.1.0"},
             {"MAIL FROM:<a@b.example> SIZE=52428800 BODY=8BITMIME RET=HDRS ENVID=x\r\n", "250 2.1.0"},
             {"MAIL FROM:<a@b.example> SIZE=52428801\r\n", "552 5.3.4"},
             {"MAIL FROM:<a@b.example> AUTH=<>\r\n", "555 5.5.4"},
             {"MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n", "504 5.5.4"},
             {"MAIL FROM:<nodomain>\r\n", "501 5.1.7"},
             {"MAIL FROM:<j\xc3\xb6@b.example>\r\n", "550 5.6.7"},
             {"MAIL FROM:<j\xc3\xb6@b.example> SMTPUTF8\r\n", "250 2.1.0"},
             {"MAIL FROM:<j@b.example> REQUIRETLS\r\n", "555 5.5.4"},
             {mail + "RCPT TO:<demo@example.test>\r\n", "250 2.1.0, 250 2.1.5"},
             {mail + "RCPT TO:<DEMO+x@EXAMPLE.test> NOTIFY=NEVER\r\n", "250 2.1.0, 250 2.1.5"},
             {mail + "RCPT TO:<shared@example.test>\r\n", "250 2.1.0, 250 2.1.5"},
             {mail + "RCPT TO:<@relay.example:demo@example.test>\r\n", "250 2.1.0, 250 2.1.5"},
             {mail + "RCPT TO:<nobody@example.test>\r\n", "250 2.1.0, 550 5.1.1"},
             {mail + "RCPT TO:<demo@elsewhere.example>\r\n", "250 2.1.0, 550 5.7.1"},
             {mail + "RCPT TO:<demo%elsewhere.example@example.test>\r\n", "250 2.1.0, 550 5.1.1"},
             {mail + "RCPT TO:<\"demo@elsewhere.example\"@example.test>\r\n", "250 2.1.0, 550 5.1.1"},
             {mail + "RCPT TO:<demo@[192.0.2.1]>\r\n", "250 2.1.0, 550 5.7.1"},
             {mail + "RCPT TO:<off@example.test>\r\n", "250 2.1.0, 550 5.2.1"},
             {mail + "RCPT TO:<d\xc3\xa9mo@example.test>\r\n", "250 2.1.0, 553 5.6.7"},
             {mail + "RCPT TO:<>\r\n", "250 2.1.0, 501 5.1.3"},
             {mail + "RCPT TO:<demo@example.test> SIZE=1\r\n", "250 2.1.0, 555 5.5.4"},
             {mail + "RCPT TO:<nobody@example.test>\r\nDATA\r\n", "250 2.1.0, 550 5.1.1, 503 5.5.1"},
             {kEnvelope + "DATA\r\n.\r\n", "250 2.1.0, 250 2.1.5, 354, 250 2.0.0"},
             {kEnvelope + "DATA\r\n" + kText + ".\r\nDATA\r\n", "250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 503 5.5.1"},
             {"GET / HTTP/1.1\r\nNOOP\r\n", "421 4.7.0"},
             {std::string(5000, 'x') + "\r\nNOOP\r\n", "500 5.5.2, 250 2.0.0"},
         })
        EXPECT_EQ(after_hello(talk(world, kHello + input).output), replies) << input;
}

// RFC 5321 s2.3.8.
TEST(SmtpSession, TakesABareLfForNoEndOfACommand) {
    for (auto protocol : {Protocol::smtp, Protocol::lmtp})
        for (std::size_t cut : {0, 1, 2, 3}) {
            auto options = options_for(protocol);
            auto hello = std::string(protocol == Protocol::smtp ? "EHLO c.example\r\n" : "LHLO c.example\r\n");
            auto said = [&](World& world, const std::string& input) {
                return after_hello(talk(world, Script{.flights = {hello + input}, .cut = cut}, options).output);
            };
            World world;
            EXPECT_EQ(said(world, "NOOP\n"), "") << "it is not over";
            EXPECT_EQ(said(world, "NOOP\nNOOP\r\nNOOP\r\n"), "500 5.5.2, 250 2.0.0") << "one line, one reply";
            EXPECT_EQ(said(world, "NOOP\rNOOP\r\nNOOP\r\n"), "500 5.5.2, 250 2.0.0");
            EXPECT_EQ(said(world, "NOOP\r\r\nNOOP\r\n"), "500 5.5.2, 250 2.0.0");
            EXPECT_EQ(said(world, repeat("NOOP\nNOOP\r\n", 20)), repeat("500 5.5.2, ", 19) + "421 4.7.0") << "counted";
            // A client that ends commands with LF sends its message, whatever we answered.
            auto rest = "Subject: x\r\n" + kEnvelope + "DATA\r\ninjected\r\n.\r\n";
            for (auto begin : {"DATA\n", "BDAT 90 LAST\n", "RCPT TO:<demo@example.test>\nDATA\n"})
                EXPECT_EQ(said(world, kEnvelope + begin + rest), "250 2.1.0, 250 2.1.5, 500 5.5.2, 421 4.7.0") << begin;
            EXPECT_TRUE(world.inbox("demo@example.test").empty());

            options.bare_lf_commands = true;
            auto message = "MAIL FROM:<a@b.example>\nRCPT TO:<demo@example.test>\nDATA\n" + kText + ".\r\nNOOP\n";
            EXPECT_EQ(said(world, message), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0") << "for old devices";
            EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
        }
}

TEST(SmtpSession, WantsToBeGreetedFirst) {
    World world;
    auto input = "MAIL FROM:<a@b.example>\r\n";
    EXPECT_EQ(codes(talk(world, input).output), (std::vector<std::string>{"220", "503 5.5.1"}));
}

// RFC 5321 s4.5.1.
TEST(SmtpSession, TakesMailForAPostmasterWhomNobodyNamed) {
    World world;
    for (auto address : {"PostMaster", "postmaster@example.test", "POSTMASTER@Example.Test"}) {
        auto input = kHello + "MAIL FROM:<>\r\nRCPT TO:<" + address + ">\r\nDATA\r\n" + kText + ".\r\n";
        EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0") << address;
    }
    auto kept = run(world.store.list(directory::kPostmasterMailbox, mailstore::OrderKey{0}, 10));
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->size(), 3u);
    EXPECT_EQ(after_hello(talk(world, kHello + "MAIL FROM:<>\r\nRCPT TO:<postmaster@elsewhere.example>\r\n").output),
              "250 2.1.0, 550 5.7.1");
}

TEST(SmtpSession, TakesMailForPostmasterWithoutADomain) {
    World world;
    world.add("postmaster@example.test");
    auto input = kHello + "MAIL FROM:<>\r\nRCPT TO:<PostMaster>\r\nDATA\r\n" + kText + ".\r\n";
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    auto inbox = world.inbox("postmaster@example.test");
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_TRUE(inbox[0].starts_with("Return-Path: <>\r\nDelivered-To: PostMaster\r\nReceived: ")) << inbox[0];
}

TEST(SmtpSession, StoresTheMessageUnderTheIdItAnswersWith) {
    World world;
    auto output = talk(world, kHello + kEnvelope + "DATA\r\n" + kText + "..dots\r\n.\r\nQUIT\r\n").output;
    auto inbox = world.inbox("demo@example.test");
    ASSERT_EQ(inbox.size(), 1u);
    EXPECT_EQ(content_of(inbox[0]), kText + "..dots\r\n");
    EXPECT_TRUE(
        inbox[0].starts_with("Return-Path: <sender@remote.example>\r\nDelivered-To: demo@example.test\r\n"
                             "Received: from client.example"))
        << inbox[0];
    std::string prefix = "250 2.0.0 Ok: stored as ";
    auto at = output.find(prefix);
    ASSERT_NE(at, std::string::npos) << output;
    auto id = output.substr(at + prefix.size(), 12);
    for (auto part : {"id " + id, std::string("192.0.2.7"), std::string("by mail.example.test"),
                      std::string("with ESMTP"), std::string("for <demo@example.test>")})
        EXPECT_NE(inbox[0].find(part), std::string::npos) << part << " in\n" << inbox[0];
}

TEST(SmtpSession, SaysHowTheMessageCame) {
    struct Case {
        Protocol protocol;
        std::string hello, parameters, with;
    };
    for (const auto& [protocol, hello, parameters, with] :
         {Case{Protocol::smtp, "HELO c.example", "", "with SMTP"},
          {Protocol::smtp, "EHLO c.example", "", "with ESMTP"},
          {Protocol::smtp, "EHLO c.example", " SMTPUTF8", "with UTF8SMTP"},
          {Protocol::lmtp, "LHLO c.example", "", "with LMTP"},
          {Protocol::lmtp, "LHLO c.example", " SMTPUTF8", "with UTF8LMTP"}})
        for (bool tls : {false, true}) {
            World world;
            auto options = options_for(protocol);
            options.tls = any_tls;
            std::vector<std::string> flights;
            if (tls) flights.push_back(hello + "\r\nSTARTTLS\r\n");
            flights.push_back(hello + "\r\nMAIL FROM:<a@b.example>" + parameters +
                              "\r\nRCPT TO:<demo@example.test>\r\nDATA\r\n.\r\n");
            talk(world, Script{.flights = flights}, options);
            auto inbox = world.inbox("demo@example.test");
            ASSERT_EQ(inbox.size(), 1u);
            // HELO has no keyword for TLS; the comment still tells.
            auto expected = with + (tls && with != "with SMTP" ? "S" : "");
            auto at = inbox[0].find("with ", inbox[0].find("by mail.example.test"));
            ASSERT_NE(at, std::string::npos);
            EXPECT_EQ(inbox[0].substr(at, inbox[0].find_first_of(" \r", at + 5) - at), expected);
            EXPECT_EQ(inbox[0].find("TLSv1.3") != std::string::npos, tls) << inbox[0];
        }
}

TEST(SmtpSession, AnswersThePipelinedTheSameHoweverItIsCut) {
    World world;
    auto input = kHello + kEnvelope + "RCPT TO:<nobody@example.test>\r\nDATA\r\n" + kText + "..\r\n.\r\n" + kEnvelope +
                 "BDAT 5\r\n12\r\n5BDAT 0 LAST\r\nRSET\r\nFOO\r\nVRFY x\r\n" + kEnvelope + "DATA\r\n.\r\nQUIT\r\n";
    auto whole = talk(world, input);
    EXPECT_EQ(after_hello(whole.output),
              "250 2.1.0, 250 2.1.5, 550 5.1.1, 354, 250 2.0.0, 250 2.1.0, 250 2.1.5, 250 2.0.0, 250 2.0.0, 250 2.0.0, "
              "500 5.5.2, 252 2.0.0, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0");
    EXPECT_EQ(whole.flights.size(), 2u) << "the greeting, then all replies in one write";
    EXPECT_EQ(whole.unread, 0u);
    for (std::size_t cut : {1, 2, 3, 5, 7, 64}) {
        World other;
        auto pieces = talk(other, Script{.flights = {input}, .cut = cut});
        EXPECT_EQ(codes(pieces.output), codes(whole.output)) << cut;
        auto inbox = other.inbox("demo@example.test");
        ASSERT_EQ(inbox.size(), 3u) << cut;
        EXPECT_EQ(content_of(inbox[0]), kText + "..\r\n");
        EXPECT_EQ(text_alone_of(inbox[1]), "12\r\n5\r\n");
        EXPECT_EQ(content_of(inbox[2]), "");
    }
}

TEST(SmtpSession, AsksForTheDataBeforeItWaitsForIt) {
    World world;
    auto transcript = talk(world, Script{.flights = {kHello, kEnvelope + "DATA\r\n", kText + ".\r\n", "QUIT\r\n"}});
    ASSERT_EQ(transcript.flights.size(), 5u);
    EXPECT_TRUE(transcript.flights[2].ends_with("354 End data with <CR><LF>.<CR><LF>\r\n")) << transcript.flights[2];
}

TEST(SmtpSession, IsNoRelayWhateverTheSenderClaims) {
    World world;
    for (auto sender : {"<demo@example.test>", "<>", "<postmaster@example.test>"}) {
        auto input = kHello + "MAIL FROM:" + sender + "\r\nRCPT TO:<victim@elsewhere.example>\r\nDATA\r\n";
        EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 550 5.7.1, 503 5.5.1");
        auto local = Script{.flights = {input}, .peer = {"127.0.0.1", 1, true}};
        EXPECT_EQ(after_hello(talk(world, local).output), "250 2.1.0, 550 5.7.1, 503 5.5.1");
    }
}

TEST(SmtpSession, RefusesTheTooLargeAfterItsLastOctetAndGoesOn) {
    World world({.message_octets = 100});
    std::string fits = repeat("..345678\r\n", 11) + "A\r\n";  // 11 * 9 octets unstuffed, and 3
    fits.erase(0, 3);                                         // one hundred
    for (bool chunks : {false, true}) {
        auto over = fits + "x\r\n";
        auto size = std::to_string(over.size());
        auto sent = chunks ? "BDAT " + size + " LAST\r\n" + over : "DATA\r\n" + over + ".\r\n";
        auto output = talk(world, kHello + kEnvelope + sent + kEnvelope + "DATA\r\n" + fits + ".\r\nQUIT\r\n").output;
        EXPECT_EQ(after_hello(output), std::string("250 2.1.0, 250 2.1.5, ") + (chunks ? "" : "354, ") +
                                           "552 5.3.4, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0");
    }
    EXPECT_EQ(world.inbox("demo@example.test").size(), 2u);
}

TEST(SmtpSession, TakesUtf8AddressesAndHeadersWithSmtputf8) {
    World world;
    world.add("j\xc3\xb6rg@example.test");
    auto input = kHello + "MAIL FROM:<\xc3\xa9@remote.example> SMTPUTF8\r\nRCPT TO:<j\xc3\xb6rg@example.test>\r\n" +
                 "DATA\r\nSubject: gr\xc3\xbc\xc3\x9f\x65\r\n\r\n.\r\n";
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    EXPECT_EQ(world.inbox("j\xc3\xb6rg@example.test").size(), 1u);
    // An 8-bit header without SMTPUTF8 is the sender's mistake, but no reason to lose the message.
    input = kHello + kEnvelope + "DATA\r\nSubject: gr\xfc\xdf\x65\r\n\r\n.\r\n";
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
}

TEST(SmtpSession, RefusesLoopsAndHugeHeaders) {
    World world({.hops = 100, .header_octets = 10'000, .header_fields = 200});
    struct Case {
        std::string header, reply;
    };
    for (const auto& [header, reply] : {Case{repeat("Received: x\r\n", 100), "250 2.0.0"},
                                        {repeat("Received: x\r\n", 101), "554 5.4.6"},
                                        {repeat("X: y\r\n", 201), "554 5.6.0"},
                                        {"X: " + std::string(10'001, 'y') + "\r\n", "554 5.6.0"}}) {
        auto input = kHello + kEnvelope + "DATA\r\n" + header + kText + ".\r\nNOOP\r\n";
        EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 354, " + reply + ", 250 2.0.0");
    }
}

TEST(SmtpSession, AnswersStorageTroubleWithATemporaryCodeAndRecovers) {
    struct Case {
        Errc error;
        std::string reply;
    };
    auto message = kEnvelope + "DATA\r\n" + kText + ".\r\n";
    for (const auto& [error, reply] :
         {Case{Errc::no_space, "452 4.3.1"}, {Errc::io, "451 4.3.0"}, {Errc::cancelled, "451 4.3.2"}})
        for (bool while_writing : {true, false}) {
            World world;
            if (while_writing)
                world.engine.fail_next_writes(1, error);
            else
                world.engine.fail_next_commits(1, error);
            EXPECT_EQ(after_hello(talk(world, kHello + message + message).output),
                      "250 2.1.0, 250 2.1.5, 354, " + reply + ", 250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
            EXPECT_EQ(world.inbox("demo@example.test").size(), 1u);
        }
}

TEST(SmtpSession, AnswersATroubledDirectoryWithATemporaryCode) {
    World world;
    world.engine.fail_next_reads(1, Errc::io);
    auto input = kHello + kEnvelope + "RCPT TO:<demo@example.test>\r\n";
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 451 4.3.0, 250 2.1.5");
}

TEST(SmtpSession, HasOneAnswerForAllRecipients) {
    World world;
    world.add("other@example.test");
    auto input = kHello + kEnvelope + "RCPT TO:<other@example.test>\r\nDATA\r\n" + kText + ".\r\nQUIT\r\n";
    world.engine.fail_commits_after(1, Errc::io);
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 451 4.3.0, 221 2.0.0");
    world.engine.fail_next_commits(0, Errc::io);
    EXPECT_EQ(after_hello(talk(world, input).output), "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0, 221 2.0.0");
    EXPECT_EQ(world.inbox("other@example.test").size(), 1u);
}

TEST(SmtpSession, DeliversToAHundredRecipientsInAHundredCommits) {
    World world;
    std::string input = kHello + "MAIL FROM:<sender@remote.example>\r\n", expected = "250 2.1.0, ";
    for (int i = 0; i < 100; ++i) {
        auto address = "user" + std::to_string(i) + "@example.test";
        world.add(address);
        input += "RCPT TO:<" + address + ">\r\n";
        expected += "250 2.1.5, ";
    }
    auto before = world.engine.commits();
    EXPECT_EQ(after_hello(talk(world, input + "DATA\r\n" + kText + ".\r\n").output), expected + "354, 250 2.0.0");
    EXPECT_EQ(world.engine.commits() - before, 100u);
    for (int i = 0; i < 100; ++i) {
        auto inbox = world.inbox("user" + std::to_string(i) + "@example.test");
        ASSERT_EQ(inbox.size(), 1u);
        EXPECT_EQ(content_of(inbox[0]), kText);
        EXPECT_EQ(inbox[0].find("for <"), std::string::npos) << "tells one recipient of another";
    }
}

TEST(SmtpSession, KeepsItsLimits) {
    struct Case {
        Limits limits;
        std::string input, replies;
    };
    World world;
    auto mail = std::string("MAIL FROM:<a@b.example>\r\n");
    auto rcpt = std::string("RCPT TO:<demo@example.test>\r\n"), unknown = std::string("RCPT TO:<no@example.test>\r\n");
    auto elsewhere = std::string("RCPT TO:<a@elsewhere.example>\r\n");
    for (const auto& [limits, input, replies] :
         {Case{{.recipients = 2}, mail + rcpt + rcpt + rcpt, "250 2.1.0, 250 2.1.5, 250 2.1.5, 452 4.5.3"},
          {{.accounts = 1}, mail + rcpt + rcpt, "250 2.1.0, 250 2.1.5, 452 4.5.3"},
          {{.messages = 1},
           mail + rcpt + "DATA\r\n.\r\n" + mail + "NOOP\r\n",
           "250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 421 4.7.0"},
          {{.bad_commands = 3}, "A\r\nB\r\nC\r\nNOOP\r\n", "500 5.5.2, 500 5.5.2, 421 4.7.0"},
          {{.idle_commands = 3}, "NOOP\r\nRSET\r\nVRFY x\r\nNOOP\r\n", "250 2.0.0, 250 2.0.0, 421 4.7.0"},
          {{.idle_commands = 2},
           "NOOP\r\n" + mail + rcpt + "DATA\r\n.\r\nNOOP\r\nNOOP\r\nNOOP\r\n",
           "250 2.0.0, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0, 250 2.0.0, 421 4.7.0"},
          {{.unknown_recipients = 2},
           mail + unknown + elsewhere + rcpt + unknown + rcpt,
           "250 2.1.0, 550 5.1.1, 550 5.7.1, 250 2.1.5, 421 4.7.0"},
          {{.line_octets = 30},
           "NOOP " + std::string(23, 'x') + "\r\nNOOP " + std::string(24, 'x') + "\r\n",
           "250 2.0.0, 500 5.5.2"}}) {
        auto options = options_for(Protocol::smtp);
        options.limits = limits;
        EXPECT_EQ(after_hello(talk(world, kHello + input, options).output), replies) << input;
    }
}

TEST(SmtpSession, CountsEveryRecipientItRefuses) {
    World world;
    world.alias("circle@example.test", {"demo@example.test"});
    world.alias("back@example.test", {"circle@example.test"});
    ASSERT_TRUE(run(world.directory.remove_alias("circle@example.test")));
    world.alias("circle@example.test", {"back@example.test"});
    auto options = options_for(Protocol::smtp);
    options.limits.refused_recipients = 3;
    options.limits.recipients = 1;
    const auto demo = std::string("RCPT TO:<demo@example.test>\r\n");
    for (const auto& refused :
         {std::string("RCPT TO:<\xc3\xa9@example.test>\r\n"), demo, std::string("RCPT TO:<circle@example.test>\r\n")}) {
        auto input = kHello + "MAIL FROM:<a@b.example>\r\n" + (refused == demo ? demo : "") + repeat(refused, 10);
        auto found = codes(talk(world, input, options).output);
        EXPECT_EQ(found.back(), "421 4.7.0") << refused;
        EXPECT_EQ(found.size(), refused == demo ? 8u : 7u) << refused;
    }
    // A front server may hand over any number of wrong recipients.
    auto lmtp = options_for(Protocol::lmtp);
    lmtp.limits.refused_recipients = 3;
    auto input = "LHLO c.example\r\nMAIL FROM:<a@b.example>\r\n" + repeat("RCPT TO:<no@example.test>\r\n", 10);
    EXPECT_EQ(codes(talk(world, input, lmtp).output).back(), "550 5.1.1");
}

TEST(SmtpSession, LooksUpNoRecipientThatItRefusesAnyway) {
    World world;
    world.alias("all@example.test", {"demo@example.test"});
    for (auto limits : {Limits{.accounts = 1}, Limits{.recipients = 1}}) {
        auto options = options_for(Protocol::smtp);
        options.limits = limits;
        auto said = [&](int times) {
            const auto before = world.engine.reads();
            auto input = kHello + "MAIL FROM:<a@b.example>\r\n" + repeat("RCPT TO:<all@example.test>\r\n", times);
            EXPECT_EQ(codes(talk(world, input, options).output).back(), times > 1 ? "452 4.5.3" : "250 2.1.5");
            return world.engine.reads() - before;
        };
        said(1);
        EXPECT_EQ(said(1), said(50));
    }
}

TEST(SmtpSession, OneNetworksUnfinishedMessagesLeaveRoomForOthers) {
    constexpr std::uint64_t kMiB = 1 << 20;
    World world;
    Budget unfinished(2 * kMiB, 0);
    auto said = [&](std::size_t lines) {  // of a hundred octets
        auto script = Script{
            .flights = {kHello + kEnvelope + "DATA\r\n" + repeat(std::string(98, 'x') + "\r\n", lines) + ".\r\n"}};
        auto reply =
            codes(talk(world, script, options_for(Protocol::smtp), nullptr, nullptr, &unfinished).output).back();
        EXPECT_EQ(unfinished.held_by(network_key("192.0.2.7")), 0u) << "given back";
        return reply;
    };
    EXPECT_EQ(said(10'000), "250 2.0.0");
    EXPECT_EQ(said(15'000), "452 4.3.1") << "more than half";
    auto others = unfinished.open(network_key("198.51.100.1"));
    ASSERT_TRUE(others.resize(kMiB));
    EXPECT_EQ(said(10'000), "452 4.3.1");
    EXPECT_EQ(said(5'000), "250 2.0.0");
    auto more = unfinished.open(network_key("203.0.113.1"));
    ASSERT_TRUE(more.resize(kMiB / 2));
    EXPECT_EQ(said(6'000), "452 4.3.1");
    EXPECT_EQ(said(2'000), "250 2.0.0") << "what is small is not counted";
}

TEST(SmtpSession, HasBoundedMemoryForEnvelopesAndGivesItBack) {
    World world;
    Budget envelopes(200'000, 0);
    const auto recipients = "MAIL FROM:<a@b.example>\r\n" + repeat("RCPT TO:<demo@example.test>\r\n", 1000);
    auto said = [&](const std::string& input) {
        auto script = Script{.flights = {kHello + input}};
        return codes(talk(world, script, options_for(Protocol::smtp), nullptr, &envelopes).output);
    };
    auto found = said(recipients);
    const auto taken = std::ranges::count(found, "250 2.1.5");
    EXPECT_GT(taken, 300);
    EXPECT_LT(taken, 1000);
    EXPECT_EQ(found.back(), "452 4.5.3") << "for another transaction";
    EXPECT_EQ(envelopes.held(), 0u);
    EXPECT_EQ(std::ranges::count(said(recipients + "RSET\r\n" + recipients), "250 2.1.5"), 2 * taken);
    EXPECT_EQ(said(recipients + "DATA\r\n.\r\n" + kEnvelope + "DATA\r\n.\r\n").back(), "250 2.0.0");
    EXPECT_EQ(envelopes.held(), 0u);
}

TEST(SmtpSession, SlowsDownAPeerThatNamesManyUnknownRecipientsOnAllItsConnections) {
    World world;
    UnknownRecipients unknown({.free = 20});
    auto options = options_for(Protocol::smtp);
    const auto mail = kHello + "MAIL FROM:<a@b.example>\r\n";
    auto paused = [&](const std::string& input, net::Peer peer = {"192.0.2.7", 1, false}) {
        auto transcript = talk(world, Script{.flights = {input}, .peer = std::move(peer)}, options, &unknown);
        return std::chrono::duration<double>(transcript.paused).count();
    };
    EXPECT_EQ(paused(mail + repeat("RCPT TO:<no@example.test>\r\n", 10)), 0);
    EXPECT_EQ(paused(mail + repeat("RCPT TO:<no@elsewhere.example>\r\n", 10)), 0);
    EXPECT_NEAR(paused(mail + repeat("RCPT TO:<no@example.test>\r\n", 10)), 10, 5) << "a second each";
    EXPECT_GT(paused(mail + "RCPT TO:<demo@example.test>\r\n"), 0) << "the wait must not tell who is known";
    EXPECT_EQ(paused(mail + "RCPT TO:<demo@example.test>\r\n", {"192.0.2.8", 1, false}), 0);
    EXPECT_EQ(paused(mail + "RCPT TO:<demo@example.test>\r\n", {"127.0.0.1", 1, true}), 0);
    const auto message = kHello + repeat(kEnvelope + "DATA\r\n.\r\n", 15);
    paused(message);
    EXPECT_EQ(paused(message), 0) << "brought enough mail to make up for it";
}

TEST(SmtpSession, CutsAClientWhoseMessageDripsIn) {
    for (auto [octets, cut] : {std::pair(10u, true), {60'000u, false}})
        for (bool chunks : {false, true}) {
            World world;
            std::vector<std::string> flights = {kHello + kEnvelope + (chunks ? "" : "DATA\r\n")};
            for (int i = 0; i < 30; ++i)
                flights.push_back((chunks ? "BDAT " + std::to_string(octets) + "\r\n" : "") + std::string(octets, 'x'));
            flights.push_back(chunks ? "BDAT 0 LAST\r\n" : "\r\n.\r\n");
            Script script{.flights = flights, .apart = std::chrono::minutes(1)};
            auto transcript = talk(world, script);
            EXPECT_EQ(codes(transcript.output).back(), cut ? "421 4.4.2" : "250 2.0.0") << octets << chunks;
            if (cut) EXPECT_GT(transcript.unread, 250u) << "cut after three minutes, not thirty";
        }
}

TEST(SmtpSession, SaysGoodbyeWhenItHasToGo) {
    auto data = kEnvelope + "DATA\r\nSubject: half";
    auto chunk = kEnvelope + "BDAT 100 LAST\r\nSubject: half";
    for (const auto& input : {std::string(), kEnvelope, std::string("NOO"), data, chunk}) {
        World world;
        auto timed_out = talk(world, Script{.flights = {kHello + input}, .end = Errc::timed_out});
        EXPECT_EQ(codes(timed_out.output).back(), "421 4.4.2") << input;
        auto stopped = talk(world, Script{.flights = {kHello + input}, .end = Errc::cancelled});
        EXPECT_EQ(codes(stopped.output).back(), "421 4.3.2") << input;
        auto gone = talk(world, Script{.flights = {kHello + input}, .end = Errc::closed});
        EXPECT_NE(codes(gone.output).back().substr(0, 3), "421") << input;
        EXPECT_TRUE(world.inbox("demo@example.test").empty()) << "half a message was stored";
    }
}

TEST(SmtpSession, WritesUtf8IntoReceivedOnlyWithSmtputf8) {  // RFC 6531 s3.7.3
    for (auto [parameter, from] : {std::pair{"", "from b??cher.example"},
                                   {" SMTPUTF8",
                                    "from b\xc3\xbc"
                                    "cher.example"}}) {
        World world;
        talk(world, std::string("EHLO b\xc3\xbc") + "cher.example\r\nMAIL FROM:<a@b.example>" + parameter +
                        "\r\nRCPT TO:<demo@example.test>\r\nDATA\r\n.\r\n");
        EXPECT_NE(world.inbox("demo@example.test").at(0).find(from), std::string::npos) << parameter;
    }
}

TEST(SmtpSession, GivesAMessageOnlySoMuchTime) {
    World world;
    auto options = options_for(Protocol::smtp);
    options.timeouts.message = std::chrono::seconds(0);
    for (auto message : {std::string("DATA\r\n.\r\n"), std::string("BDAT 2 LAST\r\n\r\n")})
        EXPECT_EQ(codes(talk(world, kHello + kEnvelope + message, options).output).back(), "421 4.4.2");
}

TEST(SmtpSession, StartTlsForgetsWhatWasSaidInTheClear) {
    World world;
    auto options = options_for(Protocol::smtp);
    options.tls = any_tls;
    Script script{.flights = {kHello + kEnvelope + "STARTTLS\r\nRSET\r\nNOOP\r\n", "MAIL FROM:<a@b.example>\r\n",
                              kHello + "DATA\r\nSTARTTLS\r\nQUIT\r\n"}};
    auto transcript = talk(world, script, options);
    EXPECT_TRUE(transcript.tls);
    // Nothing answers the commands that were smuggled in behind STARTTLS; EHLO and the envelope are forgotten.
    EXPECT_EQ(after_hello(transcript.output),
              "250 2.1.0, 250 2.1.5, 220 2.0.0, 503 5.5.1, 250, 503 5.5.1, 503 5.5.1, 221 2.0.0");
    auto second = transcript.output.substr(transcript.output.find("220 2.0.0"));
    EXPECT_EQ(second.find("STARTTLS\r\n"), std::string::npos) << "offered again";
}

TEST(SmtpSession, EndsSilentlyWhenTheHandshakeFails) {
    World world;
    auto options = options_for(Protocol::smtp);
    options.tls = any_tls;
    auto transcript = talk(world, Script{.flights = {kHello + "STARTTLS\r\n"}, .tls_works = false}, options);
    EXPECT_EQ(after_hello(transcript.output), "220 2.0.0");
}

}  // namespace
}  // namespace poplar::smtp
