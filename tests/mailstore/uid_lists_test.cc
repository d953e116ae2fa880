// Lists of UIDs and flags that are kept and brought up to date: they are what a store without any would read.
#include <random>

#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

class UidListsTest : public MailboxFixture {
protected:
    std::shared_ptr<const MessageList> read(MailStore& store, MailboxId mailbox) {
        auto list = run(store.list_uids(kAccount, mailbox));
        EXPECT_TRUE(list) << (list ? "" : list.error().detail());
        return list ? *list : nullptr;
    }
    /// UID, system flags, keywords and change of each message.
    static std::string shown(const MessageList& list) {
        std::string text;
        for (const auto& one : list.messages)
            text += std::to_string(one.uid) + ":" + std::to_string(one.flags & 255) + ":" +
                    list.keyword_sets.at(one.flags >> 8) + ":" + std::to_string(one.changed.value) + " ";
        return text;
    }
    void expect_as_read_anew(MailboxId mailbox) {
        MailStore other(engine_, clock_, options_);
        EXPECT_EQ(shown(*read(store_, mailbox)), shown(*read(other, mailbox)));
    }
    void set_flag(MailboxId mailbox, std::initializer_list<std::uint64_t> numbers, Flag flag) {
        ASSERT_TRUE(run(
            store_.change_flags(kAccount, mailbox, uids(numbers), {FlagChange::How::add, bits_of(flag), {"k"}, {}})));
    }
};

TEST_F(UidListsTest, AreTheSameWhileNothingHappensToTheMailbox) {
    const auto other = add("Other").id;
    append("x");
    const auto list = read(store_, kInbox);
    append_to("Other", "y");
    EXPECT_EQ(read(store_, kInbox), list) << "not read again";
    append("z");
    const auto later = read(store_, kInbox);
    EXPECT_EQ(later->messages.size(), 2u);
    EXPECT_EQ(list->messages.size(), 1u) << "whoever has one keeps it as it was";
    EXPECT_EQ(read(store_, other)->messages.size(), 1u);
}

TEST_F(UidListsTest, FollowFlagsMovesAndWhatComesBack) {
    for (int i = 0; i < 20; ++i) append("x");
    const auto other = add("Other").id;
    read(store_, kInbox);
    set_flag(kInbox, {3, 7}, Flag::seen);
    expect_as_read_anew(kInbox);
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({2, 7}), other)));
    ASSERT_TRUE(run(store_.expunge(kAccount, kInbox, uids({1}), "imap")));
    expect_as_read_anew(kInbox);
    expect_as_read_anew(other);
    const auto gone = run(store_.list_retained(kAccount, 0, 10))->front().message.unique_id;
    ASSERT_TRUE(run(store_.restore(kAccount, gone)));
    ASSERT_TRUE(run(store_.move(kAccount, other, uids({1}), kInbox)));
    expect_as_read_anew(kInbox);
    EXPECT_EQ(read(store_, kInbox)->messages.size(), 19u);
}

TEST_F(UidListsTest, AreReadAnewWhenTheLogDoesNotReachBack) {
    options_.change_log_rows = 8;
    MailStore store(engine_, clock_, options_);
    for (int i = 0; i < 5; ++i) append("x");
    read(store, kInbox);
    for (int i = 0; i < 30; ++i)
        ASSERT_TRUE(run(store.change_flags(kAccount, kInbox, uids({1}),
                                           {i % 2 ? FlagChange::How::add : FlagChange::How::remove, 1, {}, {}})));
    EXPECT_EQ(shown(*read(store, kInbox)), shown(*read(store_, kInbox)));
    ASSERT_TRUE(run(store.purge(kAccount, Afterwards::open)));
    EXPECT_TRUE(read(store, kInbox)->messages.empty());
    append("fresh");
    EXPECT_EQ(read(store, kInbox)->messages.size(), 1u);
}

// A commit that flags two messages shows in both or in neither, whenever it comes while the list is brought up to date.
TEST_F(UidListsTest, AreAsOfOneMoment) {
    append("x");
    append("y");
    read(store_, kInbox);
    for (int delay = 0; delay < 40; ++delay) {
        const auto how = delay % 2 ? FlagChange::How::remove : FlagChange::How::add;
        ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1}), {how, bits_of(Flag::seen), {}, {}})));
        asio::io_context context(1);
        std::shared_ptr<const MessageList> list;
        auto read_list = [&]() -> Task<> { list = *co_await store_.list_uids(kAccount, kInbox); };
        auto flag_both = [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            for (int n = 0; n < delay; ++n) co_await asio::post(executor, use_awaitable);
            EXPECT_TRUE(
                co_await store_.change_flags(kAccount, kInbox, uids({1, 2}), {how, bits_of(Flag::flagged), {}, {}}));
        };
        asio::co_spawn(context, read_list(), asio::detached);
        asio::co_spawn(context, flag_both(), asio::detached);
        context.run();
        ASSERT_EQ(list->messages.size(), 2u);
        EXPECT_EQ(list->messages[0].flags & bits_of(Flag::flagged), list->messages[1].flags & bits_of(Flag::flagged))
            << "after " << delay << " steps";
        expect_as_read_anew(kInbox);
    }
}

TEST_F(UidListsTest, OfAMailboxThatIsGoneAreNotGivenOut) {
    const auto other = add("Other").id;
    append_to("Other", "x");
    read(store_, other);
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Other", "imap")));
    EXPECT_EQ(code_of(run(store_.list_uids(kAccount, other))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.list_uids(kAccount, MailboxId(99)))), Errc::not_found);
}

TEST_F(UidListsTest, WithoutMemoryNoneAreKept) {
    options_.uid_list_cache = 0;
    MailStore store(engine_, clock_, options_);
    append("x");
    EXPECT_NE(read(store, kInbox), read(store, kInbox));
}

TEST_F(UidListsTest, WhateverHappensTheyAreAsReadAnew) {
    const auto other = add("Other").id;
    std::mt19937 random(3);
    for (int step = 0; step < 400; ++step) {
        const auto mailbox = random() % 2 ? kInbox : other;
        std::vector<Uid> some;
        for (int i = 0; i < 3; ++i) some.emplace_back(1 + random() % 60);
        switch (random() % 6) {
            case 0:
            case 1: append_to(mailbox == kInbox ? "INBOX" : "Other", "x"); break;
            case 2:
                ASSERT_TRUE(run(store_.change_flags(kAccount, mailbox, some,
                                                    {random() % 2 ? FlagChange::How::add : FlagChange::How::set,
                                                     static_cast<std::uint8_t>(random() % 32),
                                                     {"k" + std::to_string(random() % 5)},
                                                     {}})));
                break;
            case 3: ASSERT_TRUE(run(store_.move(kAccount, mailbox, some, random() % 2 ? kInbox : other))); break;
            case 4: ASSERT_TRUE(run(store_.copy(kAccount, mailbox, some, kInbox))); break;
            default: ASSERT_TRUE(run(store_.expunge(kAccount, mailbox, some, "imap")));
        }
        if (random() % 4 == 0) expect_as_read_anew(random() % 2 ? kInbox : other);
        ASSERT_FALSE(HasFailure()) << "step " << step;
    }
}

}  // namespace
}  // namespace poplar::mailstore
