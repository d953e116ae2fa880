// A deletion that nobody expects: its user is told, and it is kept twice as long.
#include "upkeep/unusual_deletions.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/unhurried.h"

namespace poplar::upkeep {
namespace {

using namespace std::chrono_literals;
using std::chrono::days;
using test::run;

class UnusualDeletionsTest : public testing::Test {
protected:
    static constexpr mailstore::AccountId kBob{1024};

    void append(int count) {
        for (int n = 0; n < count; ++n) {
            mailstore::NewMessage message;
            message.head = "Subject: x\r\n\r\n";
            ASSERT_TRUE(run(store.append(kBob, std::move(message))));
        }
    }
    /// As a session does it that deletes the first so many.
    void remove(std::uint32_t count, const activity::Origin& origin) {
        mailstore::WantedMaildrop wanted;
        wanted.device = origin.device;
        auto maildrop = run(store.open_maildrop(kBob, wanted));
        ASSERT_TRUE(maildrop);
        ASSERT_TRUE(run((*maildrop)->messages()));
        std::vector<std::uint32_t> numbers;
        for (std::uint32_t n = 1; n <= count; ++n) numbers.push_back(n);
        const auto begun = clock.now();
        ASSERT_TRUE(run((*maildrop)->remove(numbers)));
        clock.advance(1s);
        const bool most = deletions.note({.account = kBob,
                                          .address = "bob@example.org",
                                          .origin = origin,
                                          .mailbox = 1,
                                          .messages = count,
                                          .before = (*maildrop)->message_count(),
                                          .begun = begun,
                                          .ended = clock.now()});
        ledger.note(kBob, activity::Kind::deleted, origin, most ? activity::kMostOfIt : "", count, begun);
    }
    void judge() {
        test::Unhurried control;
        ASSERT_TRUE(run(job.round(control)));
    }
    /// How many are kept twice.
    std::size_t kept_twice() {
        std::size_t count = 0;
        for (const auto& one : *run(store.list_retained(kBob, 0, 10'000)))
            if (one.kept_twice) ++count;
        return count;
    }

    test::MemoryEngine engine;
    test::ManualClock clock;
    mailstore::MailStore store{engine, clock, {}};
    activity::Ledger ledger{engine, clock, {}};
    activity::MassDeletions deletions;
    std::vector<activity::Deletion> told;
    UnusualDeletions job{deletions, ledger, store, clock,
                         [this](activity::Deletion deletion, std::uint64_t) -> Task<Result<>> {
                             told.push_back(std::move(deletion));
                             co_return Result<>();
                         }};
    const activity::Origin phone{.device = 7, .device_name = "phone", .peer = "192.0.2.1", .protocol = "pop3"};
    const activity::Origin home{.peer = "192.0.2.1", .protocol = "pop3"};
    const activity::Origin abroad{.peer = "198.51.100.1", .protocol = "pop3"};
};

TEST_F(UnusualDeletionsTest, TheUserIsToldAndTheMessagesAreKeptTwiceAsLong) {
    append(120);
    remove(2, home);
    remove(100, abroad);
    judge();
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].messages, 100u);
    EXPECT_EQ(told[0].before, 118u);
    EXPECT_EQ(told[0].origin.peer, "198.51.100.1");
    EXPECT_EQ(kept_twice(), 100u);
    clock.advance(days(31));
    EXPECT_EQ(*run(store.expire(kBob, clock.now())), 2u);
    EXPECT_EQ(*run(store.expire(kBob, clock.now() + days(30))), 100u);
}

TEST_F(UnusualDeletionsTest, AProgramThatAlwaysEmptiesItsMaildropIsNotUnusual) {
    append(3);
    remove(3, phone);
    judge();
    clock.advance(days(1));
    append(150);
    remove(150, phone);
    judge();
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(kept_twice(), 0u);
    clock.advance(days(1));
    append(150);
    remove(150, home);
    judge();
    EXPECT_EQ(told.size(), 1u) << "the account's own password never did so";
    clock.advance(2h);
    append(150);
    remove(150, home);
    judge();
    EXPECT_EQ(told.size(), 1u) << "now it has";
}

TEST_F(UnusualDeletionsTest, AThiefWhoTakesALittleAtATimeIsFoundOut) {
    append(200);
    for (int n = 0; n < 4; ++n) {
        remove(30, abroad);
        clock.advance(10min);
        judge();
    }
    ASSERT_EQ(told.size(), 1u) << "and the user is told once";
    EXPECT_EQ(kept_twice(), 120u) << "all of the hour";
}

TEST_F(UnusualDeletionsTest, WithoutALedgerNothingIsJudged) {
    activity::Ledger off(engine, clock, {.keep = 0h});
    UnusualDeletions blind(deletions, off, store, clock,
                           [](activity::Deletion, std::uint64_t) -> Task<Result<>> { co_return Result<>(); });
    append(120);
    remove(120, abroad);
    test::Unhurried control;
    ASSERT_TRUE(run(blind.round(control)));
    EXPECT_EQ(kept_twice(), 0u);
}

}  // namespace
}  // namespace poplar::upkeep
