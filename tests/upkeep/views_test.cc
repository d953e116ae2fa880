// Mail that nobody wants any more leaves INBOX, and views fit the devices that have them.
#include "upkeep/views.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/set_settings.h"

namespace poplar::upkeep {
namespace {

using mailstore::kClassicView;
using mailstore::view_of_device;
using test::run;

class TendViewsTest : public testing::Test {
protected:
    TendViewsTest() {
        EXPECT_TRUE(run(directory_.add_domain("example.org")));
        account_ = add_account("jane@example.org");
    }
    directory::AccountId add_account(const std::string& address) {
        auto made = run(directory_.add_account(address, ""));
        EXPECT_TRUE(made);
        return made->id;
    }
    void add_device(directory::AccountId account, std::uint32_t id, std::optional<Timestamp> expires = {}) {
        directory::Device device;
        device.id = id;
        device.name = "device " + std::to_string(id);
        device.own_view = true;
        device.expires = expires;
        EXPECT_TRUE(run(directory_.add_device(account, device)));
        EXPECT_TRUE(run(store_.make_view(account, view_of_device(id), mailstore::kFromTheFirst)));
    }
    void append(directory::AccountId account) {
        mailstore::NewMessage message;
        message.head = "Subject: x\r\n\r\n";
        EXPECT_TRUE(run(store_.append(account, std::move(message))));
    }
    void delete_all(directory::AccountId account, mailstore::ViewId view) {
        auto maildrop = run(store_.open_maildrop(account, view));
        ASSERT_TRUE(maildrop);
        std::vector<std::uint32_t> numbers;
        for (std::uint32_t n = 1; n <= (*maildrop)->message_count(); ++n) numbers.push_back(n);
        ASSERT_TRUE(run((*maildrop)->remove(numbers)));
    }
    std::uint64_t in_inbox(directory::AccountId account) { return run(store_.totals(account))->messages; }
    std::uint64_t tend() {
        auto gone = run(tend_views(directory_, store_, *run(directory_.account(account_)), clock_.now()));
        EXPECT_TRUE(gone);
        return gone ? *gone : 0;
    }

    test::MemoryEngine engine_;
    test::ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    mailstore::MailStore store_{engine_, clock_, {}};
    directory::AccountId account_;
};

TEST_F(TendViewsTest, WhatAllHaveDeletedLeaves) {
    add_device(account_, 0);
    add_device(account_, 7);
    append(account_);
    delete_all(account_, view_of_device(0));
    delete_all(account_, view_of_device(7));
    tend();
    EXPECT_EQ(in_inbox(account_), 1u);
    delete_all(account_, kClassicView);
    tend();
    EXPECT_EQ(in_inbox(account_), 0u);
    EXPECT_EQ(run(store_.totals(account_))->retained_messages, 1u);
}

TEST_F(TendViewsTest, AnExpiredDeviceHoldsNothingBack) {
    add_device(account_, 1);
    add_device(account_, 2, clock_.now() + std::chrono::hours(1));
    append(account_);
    delete_all(account_, view_of_device(1));
    delete_all(account_, kClassicView);
    tend();
    EXPECT_EQ(in_inbox(account_), 1u);
    clock_.advance(std::chrono::hours(1));
    tend();
    EXPECT_EQ(in_inbox(account_), 0u);
}

TEST_F(TendViewsTest, DevicesThatDoNotFetchOrDeleteHoldNothingBack) {
    add_device(account_, 1);
    add_device(account_, 2);
    append(account_);
    delete_all(account_, view_of_device(1));
    delete_all(account_, kClassicView);
    auto device = **run(directory_.device(account_, 2));
    device.services = static_cast<std::uint8_t>(directory::Service::submission);
    ASSERT_TRUE(run(directory_.set_device(account_, device)));
    EXPECT_EQ(tend(), 1u);
    append(account_);
    delete_all(account_, view_of_device(1));
    delete_all(account_, kClassicView);
    device.services = 0xff;
    ASSERT_TRUE(run(directory_.set_device(account_, device)));
    EXPECT_EQ(tend(), 0u);
    device.read_only = true;
    ASSERT_TRUE(run(directory_.set_device(account_, device)));
    EXPECT_EQ(tend(), 1u);
}

TEST_F(TendViewsTest, WhatAllHaveDeletedStaysWhereTheAccountKeepsIt) {
    ASSERT_TRUE(run(test::set_settings(directory_, "jane@example.org", {.keep_deleted = true})));
    add_device(account_, 0);
    append(account_);
    delete_all(account_, view_of_device(0));
    delete_all(account_, kClassicView);
    EXPECT_EQ(tend(), 0u);
    ASSERT_TRUE(run(directory_.remove_device(account_, 0)));
    clock_.advance(std::chrono::hours(48));
    EXPECT_EQ(tend(), 0u);
    EXPECT_EQ(run(store_.views(account_))->size(), 1u) << "the classic one remembers what was deleted";
    EXPECT_EQ((*run(store_.open_maildrop(account_)))->message_count(), 0u);
    EXPECT_EQ(in_inbox(account_), 1u);
    ASSERT_TRUE(run(test::set_settings(directory_, "jane@example.org", {})));
    tend();
    EXPECT_EQ(in_inbox(account_), 0u);
    EXPECT_EQ(run(store_.totals(account_))->retained_messages, 1u);
    EXPECT_TRUE(run(store_.views(account_))->empty());
}

TEST_F(TendViewsTest, EachMailboxOfADeviceHasItsView) {
    const auto junk = run(store_.add_mailbox(account_, "Junk"))->id,
               lists = run(store_.add_mailbox(account_, "Lists"))->id;
    add_device(account_, 0);
    auto device = **run(directory_.device(account_, 0));
    device.mailboxes = {mailstore::kInbox.value, junk.value, lists.value};
    ASSERT_TRUE(run(directory_.set_device(account_, device)));
    ASSERT_TRUE(run(store_.remove_mailbox(account_, "Lists", "imap")));
    tend();
    EXPECT_EQ(run(store_.views(account_))->size(), 4u) << "of INBOX and Junk";
    mailstore::NewMessage message;
    message.head = "Subject: x\r\n\r\n";
    message.mailbox = junk;
    ASSERT_TRUE(run(store_.append(account_, std::move(message))));
    for (auto view : {view_of_device(0), kClassicView}) {
        auto maildrop = run(store_.open_maildrop(account_, {view, {junk}}));
        ASSERT_TRUE(maildrop);
        ASSERT_TRUE(run((*maildrop)->remove({1})));
    }
    EXPECT_EQ(tend(), 1u);
    device.mailboxes = {};
    ASSERT_TRUE(run(directory_.set_device(account_, device)));
    clock_.advance(std::chrono::hours(48));
    tend();
    EXPECT_EQ(run(store_.views(account_))->size(), 2u) << "of INBOX";
}

TEST_F(TendViewsTest, AViewWithoutItsDeviceGoesAfterADay) {
    append(account_);
    ASSERT_TRUE(run(store_.make_view(account_, view_of_device(5), mailstore::kFromTheFirst)));
    delete_all(account_, kClassicView);
    EXPECT_EQ(tend(), 0u) << "it may be made just now";
    EXPECT_EQ(run(store_.views(account_))->size(), 2u);
    clock_.advance(std::chrono::hours(48));
    tend();
    EXPECT_TRUE(run(store_.views(account_))->empty());
    EXPECT_EQ(in_inbox(account_), 0u) << "what the classic view deleted has left";
}

TEST_F(TendViewsTest, ADeviceThatLostItsViewGetsOne) {
    add_device(account_, 1);
    add_device(account_, 2);
    append(account_);
    ASSERT_TRUE(run(store_.drop_view(account_, view_of_device(2))));
    tend();
    EXPECT_EQ(run(store_.views(account_))->size(), 3u);
    EXPECT_EQ((*run(store_.open_maildrop(account_, view_of_device(2))))->message_count(), 1u);
}

TEST_F(TendViewsTest, NothingLeavesWhereAllViewsWereLost) {
    add_device(account_, 1);
    append(account_);
    delete_all(account_, kClassicView);
    ASSERT_TRUE(run(store_.drop_view(account_, view_of_device(1), mailstore::WhenAllDeleted::keep)));
    ASSERT_TRUE(run(store_.drop_view(account_, kClassicView, mailstore::WhenAllDeleted::keep)));
    EXPECT_EQ(tend(), 0u);
    EXPECT_EQ(in_inbox(account_), 1u);
    EXPECT_EQ(run(store_.views(account_))->size(), 2u);
}

}  // namespace
}  // namespace poplar::upkeep
