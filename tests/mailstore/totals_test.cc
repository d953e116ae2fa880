// Somebody listens to what accounts hold.
#include <gtest/gtest.h>

#include "mailstore/message.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

class Totals : public MailboxFixture {
protected:
    void SetUp() override {
        store_.on_totals([this](AccountId account, const AccountTotals& totals) {
            EXPECT_EQ(account, kAccount);
            told_.push_back(totals);
        });
    }
    /// Whether the last thing that was told is what the account holds.
    void expect_told(std::uint64_t messages) {
        ASSERT_FALSE(told_.empty());
        EXPECT_EQ(told_.back(), totals());
        EXPECT_EQ(told_.back().messages, messages);
    }
    std::vector<AccountTotals> told_;
};

TEST_F(Totals, ListenerIsToldAfterEachCommit) {
    const auto first = append("one\r\n");
    expect_told(1);
    append("two\r\n");
    expect_told(2);
    add("Work");
    append_to("Work", "three\r\n");
    expect_told(3);
    ASSERT_TRUE(test::run(store_.copy(kAccount, kInbox, {uid_of(first)}, mailbox("Work").id)));
    expect_told(4);
    ASSERT_TRUE(test::run(store_.remove(kAccount, {first.unique_id}, "test")));
    expect_told(3);
    EXPECT_EQ(told_.back().retained_messages, 1u);
    ASSERT_TRUE(test::run(store_.restore(kAccount, first.unique_id)));
    expect_told(4);
    ASSERT_TRUE(test::run(store_.remove_mailbox(kAccount, "Work", "test")));
    expect_told(2);
    ASSERT_TRUE(test::run(store_.repair(kAccount)));
    expect_told(2);
    ASSERT_TRUE(test::run(store_.purge(kAccount)));
    expect_told(0);
    EXPECT_EQ(told_.back().retained_messages, 0u);
}

TEST_F(Totals, FailedCommitTellsNothing) {
    append("one\r\n");
    const auto before = told_.size();
    engine_.fail_commits_after(0, Errc::no_space);
    EXPECT_FALSE(test::run(store_.append(kAccount, message("two\r\n"))));
    EXPECT_EQ(told_.size(), before);
}

TEST_F(Totals, MeasureTellsWhatACopyWouldHold) {
    const auto one = append("one\r\n"), two = append("and two\r\n");
    auto measured = test::run(store_.measure(kAccount, kInbox, {uid_of(two), uid_of(one), uid_of(two), Uid(99)}));
    ASSERT_TRUE(measured);
    EXPECT_EQ(measured->messages, 2u);
    EXPECT_EQ(measured->octets, one.octets + two.octets);
    EXPECT_EQ(measured->octets, totals().octets);
}

}  // namespace
}  // namespace poplar::mailstore
