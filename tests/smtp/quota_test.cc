// Full mailboxes, as SMTP and LMTP tell about them.
#include <gtest/gtest.h>

#include "tests/smtp/talk.h"

namespace poplar::smtp {
namespace {

using namespace poplar::test;

const std::string kMail = "MAIL FROM:<sender@remote.example>", kDemo = "RCPT TO:<demo@example.test>\r\n",
                  kOther = "RCPT TO:<other@example.test>\r\n", kFree = "RCPT TO:<free@free.test>\r\n";
const std::string kData = "DATA\r\n" + kText + ".\r\n";

struct QuotaWorld : World {
    explicit QuotaWorld(quota::FullReply full_reply = quota::FullReply::defer) : World({}, {.full_reply = full_reply}) {
        add("other@example.test");
        EXPECT_TRUE(run(directory.add_domain("free.test")));
        add("free@free.test");
    }
    void limit(directory::MailLimits limits) {
        auto change = [limits](auto& settings, const auto&) -> Result<> {
            settings.quota = limits;
            return {};
        };
        EXPECT_TRUE(run(directory.change_settings("demo@example.test", change)));
    }
    void limit_domain(directory::MailLimits total) {
        auto change = [total](directory::MailLimits&, directory::MailLimits& of_all) { of_all = total; };
        EXPECT_TRUE(run(directory.change_quota("example.test", change)));
    }
    std::string smtp(const std::string& input) { return after_hello(talk(*this, kHello + input).output); }
    std::string lmtp(const std::string& input) {
        return after_hello(talk(*this, "LHLO front.example\r\n" + input, options_for(Protocol::lmtp)).output);
    }
    std::size_t mails(const std::string& address) { return inbox(address).size(); }
};

std::string with_size(std::size_t size) { return kMail + " SIZE=" + std::to_string(size) + "\r\n"; }
/// A message of about so many octets.
std::string data_of(std::size_t octets) {
    std::string text = "Subject: large\r\n\r\n";
    while (text.size() < octets) text += std::string(70, 'x') + "\r\n";
    return "DATA\r\n" + text + ".\r\n";
}

TEST(SmtpQuota, FullMailboxIsRefusedAtRcptAsTheOperatorWantsIt) {
    for (auto [full_reply, refusal] :
         {std::pair{quota::FullReply::defer, "452 4.2.2"}, {quota::FullReply::reject, "552 5.2.2"}}) {
        QuotaWorld world(full_reply);
        world.limit({.messages = 1});
        const auto rejected = "250 2.1.0, " + std::string(refusal) + ", 250 2.1.5, 354, 250 2.0.0";
        EXPECT_EQ(world.smtp(with_size(100) + kDemo + kData), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
        EXPECT_EQ(world.smtp(with_size(100) + kDemo + kOther + kData), rejected) << "others get it";
        EXPECT_EQ(world.lmtp(kMail + "\r\n" + kDemo + kOther + kData), rejected);
        EXPECT_EQ(world.mails("demo@example.test"), 1u);
        EXPECT_EQ(world.mails("other@example.test"), 2u);
    }
}

TEST(SmtpQuota, DeclaredSizeCountsAtRcpt) {
    QuotaWorld world(quota::FullReply::reject);
    world.limit({.octets = 10'000});
    EXPECT_EQ(world.smtp(with_size(10'001) + kDemo), "250 2.1.0, 552 5.2.2");
    world.limit_domain({.octets = 13'000});
    EXPECT_EQ(world.smtp(with_size(9'500) + kDemo), "250 2.1.0, 552 5.2.2") << "the trace fields don't fit any more";
    EXPECT_EQ(world.smtp(with_size(8'000) + kDemo), "250 2.1.0, 250 2.1.5");
    EXPECT_EQ(world.smtp(with_size(8'000) + kDemo + "RSET\r\n" + with_size(8'000) + kOther),
              "250 2.1.0, 250 2.1.5, 250 2.0.0, 250 2.1.0, 250 2.1.5")
        << "the room came back";
    EXPECT_EQ(world.smtp(with_size(8'000) + kDemo + kOther), "250 2.1.0, 250 2.1.5, 452 4.2.2")
        << "one of the two fits; the other may later";
}

TEST(SmtpQuota, OneMessageMayPassTheLimit) {
    QuotaWorld world;
    world.limit({.octets = 5'000});
    for (int n = 0; n < 2; ++n)
        EXPECT_EQ(world.smtp(with_size(4'000) + kDemo + data_of(4'000)), "250 2.1.0, 250 2.1.5, 354, 250 2.0.0") << n;
    EXPECT_EQ(world.smtp(with_size(10) + kDemo), "250 2.1.0, 452 4.2.2");
}

// The only reply to a message is for all its recipients.
TEST(SmtpQuota, MessageOfUnknownSizeNearADomainsTotalHasOneRecipient) {
    QuotaWorld world;
    world.limit_domain({.octets = 20'000});
    EXPECT_EQ(world.smtp(kMail + "\r\n" + kDemo + kFree + kData), "250 2.1.0, 250 2.1.5, 452 4.5.3, 354, 250 2.0.0");
    EXPECT_EQ(world.smtp(kMail + "\r\n" + kFree + kDemo + kData), "250 2.1.0, 250 2.1.5, 452 4.5.3, 354, 250 2.0.0");
    EXPECT_EQ(world.smtp(kMail + "\r\n" + kDemo + data_of(30'000)), "250 2.1.0, 250 2.1.5, 354, 452 4.2.2");
    EXPECT_EQ(world.mails("demo@example.test"), 1u);
    EXPECT_EQ(world.mails("free@free.test"), 1u);
}

TEST(SmtpQuota, SenderThatSaysLessThanItSendsHasItStoredForNobody) {
    QuotaWorld world(quota::FullReply::reject);
    world.limit_domain({.octets = 20'000});
    EXPECT_EQ(world.smtp(with_size(10) + kFree + kDemo + data_of(30'000)),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 452 4.2.2")
        << "one of the two has room, so the sender must not give up";
    EXPECT_EQ(world.smtp(with_size(10) + kDemo + data_of(30'000)), "250 2.1.0, 250 2.1.5, 354, 552 5.2.2");
    EXPECT_EQ(world.mails("demo@example.test") + world.mails("free@free.test"), 0u);
    EXPECT_EQ(world.smtp(with_size(10) + kFree + kDemo + data_of(15'000)),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0")
        << "it fits all the same";
}

TEST(SmtpQuota, AccountOfSeveralRecipientsNeedsRoomForOneCopy) {
    QuotaWorld world;
    world.alias("list1@free.test", {"demo@example.test", "free@free.test"});
    world.alias("list2@free.test", {"demo@example.test", "other@example.test"});
    world.limit({.messages = 1});
    const std::string lists = "RCPT TO:<list1@free.test>\r\nRCPT TO:<list2@free.test>\r\n";
    EXPECT_EQ(world.smtp(with_size(100) + lists + kDemo + "RCPT TO:<demo+x@example.test>\r\n" + kData),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0");
    EXPECT_EQ(world.mails("demo@example.test"), 1u);
    EXPECT_EQ(world.mails("other@example.test"), 1u);
    EXPECT_EQ(world.smtp(with_size(100) + lists), "250 2.1.0, 452 4.2.2, 452 4.2.2");
}

TEST(LmtpQuota, AnswersForEachRecipientWhatCouldNotBeKnownBefore) {
    QuotaWorld world;
    world.limit_domain({.octets = 20'000});
    EXPECT_EQ(world.lmtp(kMail + "\r\n" + kDemo + kFree + data_of(30'000)),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 452 4.2.2, 250 2.0.0");
    EXPECT_EQ(world.mails("demo@example.test"), 0u);
    EXPECT_EQ(world.mails("free@free.test"), 1u);
    EXPECT_EQ(world.lmtp(kMail + "\r\n" + kDemo + kFree + kData),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 250 2.0.0, 250 2.0.0");
}

TEST(LmtpQuota, AccountThatSeveralRecipientsLeadToGetsItIfOneOfThemIsAccepted) {
    QuotaWorld world;
    world.alias("both@free.test", {"free@free.test", "demo@example.test"});
    world.limit_domain({.octets = 20'000});
    EXPECT_EQ(world.lmtp(kMail + "\r\nRCPT TO:<both@free.test>\r\n" + kFree + data_of(30'000)),
              "250 2.1.0, 250 2.1.5, 250 2.1.5, 354, 452 4.2.2, 250 2.0.0");
    EXPECT_EQ(world.mails("free@free.test"), 1u) << "by its own address";
    EXPECT_EQ(world.lmtp(kMail + "\r\nRCPT TO:<both@free.test>\r\n" + data_of(30'000)),
              "250 2.1.0, 250 2.1.5, 354, 452 4.2.2");
    EXPECT_EQ(world.mails("free@free.test"), 1u) << "its sender was told that it was not stored";
}

TEST(SmtpQuota, AliasIsRefusedIfOneOfItsAccountsIsFull) {
    QuotaWorld world;
    world.alias("both@free.test", {"free@free.test", "demo@example.test"});
    world.limit({.messages = 1});
    EXPECT_EQ(world.smtp(with_size(100) + "RCPT TO:<both@free.test>\r\n" + kData),
              "250 2.1.0, 250 2.1.5, 354, 250 2.0.0");
    EXPECT_EQ(world.smtp(with_size(100) + "RCPT TO:<both@free.test>\r\n"), "250 2.1.0, 452 4.2.2");
}

}  // namespace
}  // namespace poplar::smtp
