// Users of POP are told once a day what is new in the mailbox for junk.
#include "upkeep/junk_digest.h"

#include <gtest/gtest.h>

#include "mail/release_address.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/unhurried.h"

namespace poplar::upkeep {
namespace {

using namespace std::chrono_literals;
using test::run;

class JunkDigestTest : public testing::Test {
protected:
    JunkDigestTest() {
        EXPECT_TRUE(run(directory_.add_domain("example.org")));
        account_ = run(directory_.add_account("jane@example.org", ""))->id;
        EXPECT_TRUE(run(store_.add_mailbox(account_, "Junk", mailstore::SpecialUse::junk)));
        logs_in("pop3");
    }
    void logs_in(std::string protocol) {
        ledger_.note(account_, activity::Kind::login, {.peer = "192.0.2.1", .protocol = std::move(protocol)}, "PLAIN");
    }
    void junk(const std::string& subject, std::uint8_t flags = 0) {
        mailstore::NewMessage message;
        message.head = "From: Eve <eve@far.example>\r\nSubject: " + subject + "\r\n\r\n";
        message.mailbox = run(store_.mailbox(account_, "Junk"))->id;
        message.flags = flags;
        ASSERT_TRUE(run(store_.append(account_, std::move(message))));
    }
    void round(DigestFor whom = DigestFor::pop) {
        JunkDigest job(directory_, store_, ledger_, clock_, {.whom = whom, .hostname = "mx.example.org"});
        test::Unhurried control;
        const auto done = run(job.round(control));
        EXPECT_TRUE(done) << done.error().detail();
    }
    std::vector<std::string> inbox() {
        std::vector<std::string> out;
        for (const auto& one : *run(store_.list(account_, mailstore::OrderKey{0}, 100))) {
            auto reader = run(store_.open(account_, one));
            auto& text = out.emplace_back();
            for (auto chunk = run((*reader)->next()); chunk && !chunk->empty(); chunk = run((*reader)->next()))
                text += *chunk;
        }
        return out;
    }

    test::ManualClock clock_;
    test::MemoryEngine engine_;
    directory::Directory directory_{engine_, clock_, {}};
    mailstore::MailStore store_{engine_, clock_, {}};
    activity::Ledger ledger_{engine_, clock_, {}};
    mailstore::AccountId account_;
};

TEST_F(JunkDigestTest, ListsWhatIsNewWithAnAddressForEach) {
    junk("one");
    junk("=?utf-8?q?zw=C3=B6lf?=");
    junk("read already", static_cast<std::uint8_t>(mailstore::Flag::seen));
    round();
    ASSERT_EQ(inbox().size(), 1u);
    const auto text = inbox()[0];
    EXPECT_NE(text.find("\r\nSubject: 2 messages in your mailbox for junk\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("1. From: Eve <eve@far.example>\r\n   Subject: one\r\n"), std::string::npos) << text;
    EXPECT_NE(text.find("   Subject: zw\xc3\xb6lf\r\n"), std::string::npos) << text;
    EXPECT_EQ(text.find("read already"), std::string::npos);
    EXPECT_NE(text.find("jane+junk@example.org"), std::string::npos) << text;
    const auto at = text.find("Reply-To: <") + 11;
    const auto release = mail::parse_release_address(text.substr(at, text.find('>', at) - at));
    ASSERT_TRUE(release) << text;
    EXPECT_EQ(release->number, 0u);
    const auto fact = run(store_.fact(account_, mail::release_fact(release->token)));
    ASSERT_TRUE(fact && *fact);
    EXPECT_EQ(std::ranges::count(**fact, ' '), 1) << **fact;
    EXPECT_NE(text.find(mail::release_address("jane@example.org", '+', release->token, 2)), std::string::npos);
}

TEST_F(JunkDigestTest, ComesOnceADayAndTellsEachMessageOnce) {
    round();
    EXPECT_TRUE(inbox().empty()) << "nothing is there";
    junk("one");
    round();
    junk("two");
    round();
    EXPECT_EQ(inbox().size(), 1u);
    clock_.advance(21h);
    round();
    ASSERT_EQ(inbox().size(), 2u);
    EXPECT_NE(inbox()[1].find("Subject: two\r\n"), std::string::npos);
    EXPECT_EQ(inbox()[1].find("Subject: one\r\n"), std::string::npos);
    clock_.advance(21h);
    round();
    EXPECT_EQ(inbox().size(), 2u) << "nothing is new";
}

TEST_F(JunkDigestTest, IsForThoseWhoSeeNoOtherMailbox) {
    junk("one");
    round(DigestFor::none);
    EXPECT_TRUE(inbox().empty());
    logs_in("imap");
    round();
    EXPECT_TRUE(inbox().empty()) << "an IMAP client shows the mailbox itself";
    round(DigestFor::all);
    EXPECT_EQ(inbox().size(), 1u);
}

TEST_F(JunkDigestTest, IsBounded) {
    for (int n = 0; n < 40; ++n) junk("number " + std::to_string(n) + " " + std::string(500, 'x'));
    round();
    ASSERT_EQ(inbox().size(), 1u);
    const auto text = inbox()[0];
    EXPECT_NE(text.find("Subject: 40 messages"), std::string::npos);
    EXPECT_NE(text.find("And 10 older ones."), std::string::npos) << text;
    EXPECT_EQ(text.find("number 9 "), std::string::npos);
    EXPECT_NE(text.find("number 39 xx"), std::string::npos);
    EXPECT_LT(text.size(), 15'000u);
}

TEST_F(JunkDigestTest, AFailureIsTriedAgain) {
    junk("one");
    engine_.fail_next_commits(1, Errc::io);
    round();
    EXPECT_TRUE(inbox().empty());
    round();
    EXPECT_EQ(inbox().size(), 1u);
}

}  // namespace
}  // namespace poplar::upkeep
