// Somebody logs in and submits mail (RFC 6409): what is taken, as whom, and what goes into the queue.
#include <gtest/gtest.h>

#include "auth/sasl.h"
#include "queue/queue.h"
#include "tests/session/world.h"
#include "tests/smtp/talk.h"
#include "tests/support/set_settings.h"

namespace poplar::smtp {
namespace {

using namespace std::string_literals;
using test::run;

const std::string kLogin = "AUTH PLAIN " + auth::base64_encode("\0fred@example.test\0pass word"s) + "\r\n";
const std::string kFrom = "MAIL FROM:<fred@example.test>\r\n";
const std::string kLetter = "From: fred@example.test\r\nSubject: x\r\n\r\ntext\r\n";

class Submission : public test::SessionWorld {
protected:
    std::string talk(const std::string& input) { return test::after_hello(whole(test::kHello + input)); }
    std::string whole(std::string input) {
        transcript_ = std::make_shared<test::Transcript>();
        auto options = test::options_for(Protocol::submission);
        change(options);
        Services services{delivery_, nullptr, nullptr, nullptr, &services_};
        test::ScriptConnection::Script script{.flights = {std::move(input)}};
        run(serve(connect(std::move(script)), services, options, "s1"));
        return transcript_->output;
    }
    std::vector<queue::Item> queued() { return *run(queue_.list("", 100, true)); }
    std::string text_of(const queue::Item& item) {
        auto reader = run(queue_.open(item.message));
        std::string text;
        for (;;) {
            auto chunk = run((*reader)->next());
            if (!chunk || chunk->empty()) return text;
            text += *chunk;
        }
    }

    std::function<void(Options&)> change = [](Options&) {};
    mailstore::MailStore store_{engine_, clock_, {}};
    quota::Quotas quotas_{directory_, store_, {}};
    queue::Queue queue_{engine_, clock_, {}};
    queue::SendingLimits limits_{engine_, clock_, {.messages_per_hour = 2, .new_recipients_per_day = 3}};
    delivery::Delivery delivery_{directory_, store_, quotas_, clock_, {}, &queue_, &limits_};
};

TEST_F(Submission, NothingIsTakenWithoutALogin) {
    EXPECT_EQ(talk(kFrom), "530 5.7.0");
    EXPECT_EQ(talk("AUTH PLAIN " + auth::base64_encode("\0fred@example.test\0wrong"s) + "\r\n" + kFrom),
              "535 5.7.8, 530 5.7.0");
    EXPECT_EQ(test::codes(whole(kLogin)), (std::vector<std::string>{"220", "503 5.5.1"})) << "EHLO comes first";
}

TEST_F(Submission, AMessageGoesIntoTheQueueAndIsComplete) {
    const auto said =
        talk(kLogin + kFrom + "RCPT TO:<Bob@Far.Example> NOTIFY=FAILURE ORCPT=rfc822;x@y.example\r\nDATA\r\n" +
             "Bcc: secret@far.example\r\n" + kLetter + ".\r\n");
    EXPECT_EQ(said, "235 2.7.0, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    auto items = queued();
    ASSERT_EQ(items.size(), 1u);
    EXPECT_EQ(items[0].message.sender, "fred@example.test");
    EXPECT_EQ(items[0].message.account, "fred@example.test");
    EXPECT_TRUE(transcript_->output.contains("stored as " + items[0].message.id));
    const auto& recipient = items[0].parts.at(0).recipients.at(0);
    EXPECT_EQ(recipient.address, "Bob@far.example") << "the local part is the other server's affair";
    EXPECT_TRUE(recipient.notify.failure && !recipient.notify.success);
    EXPECT_EQ(recipient.orcpt, "rfc822;x@y.example");
    const auto text = text_of(items[0]);
    EXPECT_EQ(text.size(), items[0].message.octets);
    EXPECT_TRUE(text.starts_with("Received: by mail.example.test with ESMTPA id " + items[0].message.id));
    EXPECT_FALSE(text.contains("192.0.2.7") || text.contains("client.example")) << "where the client was";
    EXPECT_TRUE(text.ends_with("\r\n" + kLetter));
    EXPECT_FALSE(text.contains("Bcc") || text.contains("secret"));
    EXPECT_TRUE(text.contains("\r\nDate: ") && text.contains("\r\nMessage-ID: <"));
}

TEST_F(Submission, LocalRecipientsGetTheirMailAtOnce) {
    talk(kLogin + kFrom +
         "RCPT TO:<fred@example.test>\r\nRCPT TO:<bob@far.example>\r\nRCPT TO:<no@example.test>\r\nDATA\r\n" + kLetter +
         ".\r\n");
    EXPECT_EQ(run(store_.totals(fred_))->messages, 1u);
    EXPECT_EQ(queued().size(), 1u);
    EXPECT_EQ(queued()[0].parts.size(), 1u);
}

TEST_F(Submission, OneSendsAsOneself) {
    ASSERT_TRUE(run(directory_.add_account("joe@example.test", "")));
    ASSERT_TRUE(run(directory_.add_alias("sales@example.test", {"fred@example.test"})));
    struct Case {
        std::string from, reply;
    };
    for (const auto& [from, reply] :
         {Case{"fred@example.test", "250 2.1.0"}, Case{"FRED+x@Example.Test", "250 2.1.0"}, Case{"", "250 2.1.0"},
          Case{"sales@example.test", "250 2.1.0"}, Case{"joe@example.test", "550 5.7.1"},
          Case{"x@far.example", "550 5.7.1"}, Case{"no@example.test", "550 5.7.1"}})
        EXPECT_EQ(talk(kLogin + "MAIL FROM:<" + from + ">\r\n"), "235 2.7.0, " + reply) << from;
    directory::AccountSettings settings{.may_send_as = {"news@far.example", "@shop.example"}};
    ASSERT_TRUE(run(test::set_settings(directory_, "fred@example.test", settings)));
    for (const auto* from : {"news@far.example", "any@shop.example"})
        EXPECT_EQ(talk(kLogin + "MAIL FROM:<" + from + ">\r\n"), "235 2.7.0, 250 2.1.0") << from;
    EXPECT_EQ(talk(kLogin + "MAIL FROM:<other@far.example>\r\n"), "235 2.7.0, 550 5.7.1");
}

TEST_F(Submission, TheAuthorIsHeldToTheSame) {
    const auto envelope = kLogin + kFrom + "RCPT TO:<bob@far.example>\r\nDATA\r\n";
    const std::string taken = "235 2.7.0, 250 2.1.0, 250 2.1.5, 354, ";
    for (const auto* from :
         {"joe@far.example", "fred@example.test, joe@far.example", "nonsense", "<fred@example.test"}) {
        EXPECT_EQ(talk(envelope + "From: " + from + "\r\n\r\nx\r\n.\r\n"), taken + "550 5.7.1") << from;
        EXPECT_TRUE(transcript_->output.contains("From")) << "the client is told why";
    }
    EXPECT_EQ(talk(envelope + "Subject: nobody\r\n\r\nx\r\n.\r\n"), taken + "550 5.7.1");
    const std::string spaces(20'000, ' ');
    for (const auto& header :
         {"From: fred@example.test" + spaces + ", joe@far.example", "From: joe@far.example <fred@example.test>"s,
          "From: joe@far.example: fred@example.test;"s, "From: fred@example.test\r\nSender: joe@far.example"s,
          "From: fred@example.test\r\nSender: fred@example.test\r\nSender: fred@example.test"s})
        EXPECT_EQ(talk(envelope + header + "\r\n\r\nx\r\n.\r\n"), taken + "550 5.7.1") << header.substr(0, 100);
    EXPECT_TRUE(queued().empty());
    EXPECT_EQ(talk(envelope + "From: \"F\" <fred+list@example.test>\r\n\r\nx\r\n.\r\n"), taken + "250 2.0.0");
}

TEST_F(Submission, LimitsAreKeptAndWhatWasRefusedIsGivenBack) {
    const auto to = [](const std::string& who) { return "RCPT TO:<" + who + "@far.example>\r\n"; };
    EXPECT_EQ(
        talk(kLogin + kFrom + to("a") + to("b") + to("c") + to("d") + "RSET\r\n" + kFrom + to("a") + to("d")),
        "235 2.7.0, 250 2.1.0, 250 2.1.5, 250 2.1.5, 250 2.1.5, 450 4.7.1, 250 2.0.0, 250 2.1.0, 250 2.1.5, 250 2.1.5");
    const auto message = kFrom + to("a") + "DATA\r\n" + kLetter + ".\r\n";
    EXPECT_EQ(talk(kLogin + message + message + kFrom),
              "235 2.7.0, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 250 2.1.0, 250 2.1.5, 354, 250 2.0.0, 450 4.7.1");
}

TEST_F(Submission, AnAddressElsewhereGetsAMessageOnce) {
    ASSERT_TRUE(run(directory_.add_alias("all@example.test", {"a@far.example", "b@far.example"})));
    ASSERT_TRUE(run(directory_.add_alias("some@example.test", {"b@far.example"})));
    talk(kLogin + kFrom +
         "RCPT TO:<all@example.test>\r\nRCPT TO:<some@example.test>\r\nRCPT TO:<b@FAR.example>\r\nDATA\r\n" + kLetter +
         ".\r\n");
    ASSERT_EQ(queued().size(), 1u);
    EXPECT_EQ(queued()[0].parts.at(0).recipients.size(), 2u);
}

TEST_F(Submission, AddressesElsewhereCountAsWhatRecipientsLeadTo) {
    ASSERT_TRUE(run(directory_.add_alias("all@example.test", {"a@far.example", "b@far.example"})));
    change = [](Options& options) { options.limits.accounts = 2; };
    const std::string all = "RCPT TO:<all@example.test>\r\n", own = "RCPT TO:<fred@example.test>\r\n";
    EXPECT_EQ(talk(kLogin + kFrom + all + own), "235 2.7.0, 250 2.1.0, 250 2.1.5, 452 4.5.3");
    EXPECT_EQ(talk(kLogin + kFrom + own + all), "235 2.7.0, 250 2.1.0, 250 2.1.5, 452 4.5.3");
}

TEST_F(Submission, AStoreThatFailsIsNoPositiveReply) {
    const auto message =
        kLogin + kFrom + "RCPT TO:<fred@example.test>\r\nRCPT TO:<a@far.example>\r\nDATA\r\n" + kLetter + ".\r\n";
    talk(kLogin);  // the first login may make the stored hash anew
    engine_.fail_next_commits(1, Errc::no_space);
    EXPECT_TRUE(talk(message).ends_with(", 452 4.3.1"));
    EXPECT_TRUE(queued().empty());
    EXPECT_EQ(run(store_.totals(fred_))->messages, 0u) << "the client sends it again";
}

TEST_F(Submission, MailIsHeldBackAsLongAsIsAllowed) {
    change = [](Options& options) { options.longest_hold = std::chrono::hours(1); };
    EXPECT_TRUE(whole(test::kHello).contains("250-FUTURERELEASE 3600 "));
    EXPECT_EQ(talk(kLogin + "MAIL FROM:<fred@example.test> HOLDFOR=3601\r\n"), "235 2.7.0, 501 5.5.4");
    EXPECT_EQ(talk(kLogin + "MAIL FROM:<fred@example.test> HOLDFOR=1 HOLDUNTIL=2030-01-01T00:00:00Z\r\n"),
              "235 2.7.0, 501 5.5.4");
    talk(kLogin + "MAIL FROM:<fred@example.test> HOLDFOR=600\r\nRCPT TO:<a@far.example>\r\nDATA\r\n" + kLetter +
         ".\r\n");
    ASSERT_EQ(queued().size(), 1u);
    EXPECT_EQ(queued()[0].parts[0].due - clock_.now(), std::chrono::minutes(10));
    const auto to = "RCPT TO:<fred@example.test>\r\n"s;
    EXPECT_EQ(talk(kLogin + "MAIL FROM:<fred@example.test> HOLDFOR=600\r\n" + to + "RSET\r\n" + kFrom + to),
              "235 2.7.0, 250 2.1.0, 550 5.3.3, 250 2.0.0, 250 2.1.0, 250 2.1.5")
        << "mail for somebody here would not wait";
}

TEST_F(Submission, ExtensionsNameMechanismsUntilSomebodyIsIn) {
    const auto output = whole(test::kHello + kLogin + test::kHello);
    const auto first = output.find("250-AUTH ");
    ASSERT_NE(first, output.npos);
    EXPECT_TRUE(output.substr(first).contains("PLAIN"));
    EXPECT_EQ(output.find("250-AUTH ", first + 1), output.npos);
}

TEST_F(Submission, TooManyWrongLoginsEndTheConnection) {
    const auto wrong = "AUTH PLAIN " + auth::base64_encode("\0fred@example.test\0wrong"s) + "\r\n";
    EXPECT_EQ(talk(wrong + wrong + wrong + wrong), "535 5.7.8, 535 5.7.8, 535 5.7.8, 421 4.7.0");
    EXPECT_EQ(talk("AUTH PLAIN\r\n*\r\nAUTH PLAIN !\r\nAUTH NOSUCH\r\n" + kLogin + kLogin),
              "334, 501 5.7.0, 501 5.5.2, 504 5.5.4, 235 2.7.0, 503 5.5.1");
}

}  // namespace
}  // namespace poplar::smtp
