// The job that lets mail leave INBOX when nobody wants it any more.
#include "upkeep/views.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/unhurried.h"

namespace poplar::upkeep {
namespace {

using mailstore::kClassicView;
using mailstore::view_of_device;
using test::run;

class ViewsJobTest : public testing::Test {
protected:
    ViewsJobTest() {
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
    void round() {
        test::Unhurried control;
        EXPECT_TRUE(run(views_.round(control)));
    }

    test::MemoryEngine engine_;
    test::ManualClock clock_;
    directory::Directory directory_{engine_, clock_, {}};
    mailstore::MailStore store_{engine_, clock_, {}};
    std::optional<Timestamp> now_ = clock_.now();
    Views views_{directory_, store_, [this] { return now_; }};
    directory::AccountId account_;
};

TEST_F(ViewsJobTest, WhatAllHaveDeletedLeaves) {
    add_device(account_, 0);
    add_device(account_, 7);
    append(account_);
    delete_all(account_, view_of_device(0));
    delete_all(account_, view_of_device(7));
    round();
    EXPECT_EQ(in_inbox(account_), 1u);
    delete_all(account_, kClassicView);
    round();
    EXPECT_EQ(in_inbox(account_), 0u);
    EXPECT_EQ(run(store_.totals(account_))->retained_messages, 1u);
}

TEST_F(ViewsJobTest, AnExpiredDeviceHoldsNothingBack) {
    add_device(account_, 1);
    add_device(account_, 2, clock_.now() + std::chrono::hours(1));
    append(account_);
    delete_all(account_, view_of_device(1));
    delete_all(account_, kClassicView);
    round();
    EXPECT_EQ(in_inbox(account_), 1u);
    clock_.advance(std::chrono::hours(1));
    round();
    EXPECT_EQ(in_inbox(account_), 0u);
}

TEST_F(ViewsJobTest, WhileTheClockIsDoubtedNothingLeaves) {
    add_device(account_, 1);
    append(account_);
    delete_all(account_, view_of_device(1));
    delete_all(account_, kClassicView);
    now_.reset();
    round();
    EXPECT_EQ(in_inbox(account_), 1u);
}

TEST_F(ViewsJobTest, GoesOverAllAccountsThatHaveDevices) {
    std::vector<directory::AccountId> accounts;
    for (int n = 0; n < 250; ++n) {
        accounts.push_back(add_account("user" + std::to_string(n) + "@example.org"));
        append(accounts.back());
        if (n % 2 == 0) continue;
        add_device(accounts.back(), 1);
        delete_all(accounts.back(), view_of_device(1));
        delete_all(accounts.back(), kClassicView);
    }
    round();
    for (std::size_t n = 0; n < accounts.size(); ++n) EXPECT_EQ(in_inbox(accounts[n]), n % 2 == 0 ? 1u : 0u) << n;
    EXPECT_EQ(run(directory_.accounts_with_devices(directory::AccountId(0), 1000))->size(), 125u);
    EXPECT_EQ(*run(directory_.accounts_with_devices(accounts[1], 2)),
              (std::vector<directory::AccountId>{accounts[3], accounts[5]}));
}

}  // namespace
}  // namespace poplar::upkeep
