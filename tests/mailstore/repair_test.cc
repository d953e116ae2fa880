// Accounts whose parts do not fit each other any more, and what repair() makes of them.
#include <gtest/gtest.h>

#include "mailstore/keys.h"
#include "mailstore/mail_store.h"
#include "mailstore/record.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::mailstore {
namespace {

using test::run;
constexpr AccountId kAccount{1024};

class RepairTest : public testing::Test {
protected:
    Message append(const std::string& text, std::uint64_t ascii_octets = 0, std::string unique_id = "") {
        auto writer = engine.write_body();
        auto stage = [](engine::BodyWriter& w, std::string bytes) -> Task<Result<Content>> {
            if (auto done = co_await w.write(bytes); !done) co_return pass_on(done);
            auto staged = co_await w.finish();
            if (!staged) co_return pass_on(staged);
            co_return Content{std::move(*staged), bytes.size()};
        };
        auto content = run(stage(*writer, text));
        auto message = run(store.append(kAccount, {"", std::move(*content), std::move(unique_id), ascii_octets}));
        EXPECT_TRUE(message);
        return *message;
    }
    /// Does what a rebuild does when a commit's record is lost: its effects were never there.
    void lose(std::vector<std::string> erased, std::vector<engine::Entry> puts = {}) {
        engine::Batch batch;
        batch.erased = std::move(erased);
        batch.puts = std::move(puts);
        ASSERT_TRUE(run(engine.commit(kAccount, std::move(batch))));
    }

    test::MemoryEngine engine;
    test::ManualClock clock;
    MailStore store{engine, clock, {}};
};

TEST_F(RepairTest, LeavesASoundAccountItsMessages) {
    auto first = append("one\r\n");
    append("two\r\n");
    ASSERT_TRUE(run(store.remove(kAccount, {first.unique_id}, "test")));
    EXPECT_EQ(run(store.repair(kAccount)).value_or(true), false);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.totals(kAccount))->messages, 1u);
    EXPECT_EQ(run(store.totals(kAccount))->retained_messages, 1u);
    EXPECT_EQ(run(store.restore(kAccount, first.unique_id))->unique_id, first.unique_id);
    EXPECT_EQ(run(store.repair(AccountId(4711))).value_or(true), false) << "an account that never got mail";
}

TEST_F(RepairTest, CountsAnewWhatIsLeft) {
    append("one\r\n");
    auto lost = append("two\r\n");
    append("three\r\n");
    lose({keys::message(kInbox, lost.order)});
    ASSERT_FALSE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.totals(kAccount))->messages, 2u);
    EXPECT_EQ(run(store.totals(kAccount))->octets, 12u);
}

TEST_F(RepairTest, ForgetsListsThatWereKeptBefore) {
    for (const char* text : {"one\r\n", "two\r\n"}) append(text);
    auto listed = [&] {
        auto maildrop = run(store.open_maildrop(kAccount));
        return **run((*maildrop)->messages());
    };
    auto before = listed();
    ASSERT_EQ(before.size(), 2u);
    // The same number and size of messages, by other unique-ids: so a kept list's version could be the same.
    auto mailbox = *run(engine.get(kAccount, keys::account()));
    auto moved = *run(store.find(kAccount, before[1].unique_id));
    moved.unique_id = "else";
    lose({}, {{keys::message(kInbox, moved.order), encode(moved)}, {keys::account(), mailbox}});
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    auto after = listed();
    ASSERT_EQ(after.size(), 2u);
    EXPECT_EQ(after[1].unique_id, "else");
}

TEST_F(RepairTest, CountsTheOctetsWithoutUtf8Anew) {
    append("one\r\n");
    auto lost = append("two\r\n", 50);
    append("three\r\n", 3);
    EXPECT_TRUE(run(store.check(kAccount)));
    lose({keys::message(kInbox, lost.order)});
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    EXPECT_TRUE(run(store.check(kAccount)));
    const auto totals = decode_account(*run(engine.get(kAccount, keys::account())))->inbox.totals;
    EXPECT_EQ(totals.utf8_messages, 1u);
    EXPECT_EQ(totals.ascii_octets(), 5u + 3u);

    AccountRecord wrong = decode_account(*run(engine.get(kAccount, keys::account()))).value();
    ++wrong.inbox.totals.ascii_growth;
    lose({}, {{keys::account(), encode(wrong)}});
    EXPECT_FALSE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    EXPECT_TRUE(run(store.check(kAccount)));
}

TEST_F(RepairTest, MakesTheIndexFitTheMessages) {
    auto one = append("one\r\n", 0, "one"), two = append("two\r\n", 0, "two");
    lose({keys::unique_id(one.unique_id), keys::message(kInbox, two.order)});
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_TRUE(run(store.find(kAccount, one.unique_id)));
    EXPECT_FALSE(run(store.find(kAccount, two.unique_id)));
}

TEST_F(RepairTest, AWrongEntryForAMessageThatNeedsNoneIsMadeRight) {
    auto one = append("one\r\n"), two = append("two\r\n");
    lose({}, {{keys::unique_id(one.unique_id), encode(Place{Place::Area::live, kInbox, two.order, {}})}});
    EXPECT_FALSE(run(store.check(kAccount)));
    EXPECT_FALSE(run(store.find(kAccount, one.unique_id))) << "the index names another message";
    EXPECT_EQ(run(store.repair(kAccount)).value_or(false), true);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.find(kAccount, one.unique_id))->order, one.order);
}

TEST_F(RepairTest, MessagesOfAnEarlierGenerationAreFoundRemovedAndRestored) {
    auto one = append("one\r\n"), two = append("two\r\n");
    EXPECT_EQ(run(store.repair(kAccount)).value_or(true), false);
    auto three = append("three\r\n");
    EXPECT_NE(three.unique_id.substr(0, kGenerationLength), one.unique_id.substr(0, kGenerationLength));
    for (const auto& message : {one, two, three})
        EXPECT_EQ(run(store.find(kAccount, message.unique_id))->order, message.order);
    ASSERT_TRUE(run(store.remove(kAccount, {one.unique_id}, "test")));
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.restore(kAccount, one.unique_id))->order, one.order);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.totals(kAccount))->messages, 3u);

    auto taken = run(store.append(kAccount, {"", {}, two.unique_id, 0}));
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code(), Errc::exists) << "a live message has it";
}

TEST_F(RepairTest, NeverGivesALostMessagesUniqueIdToAnother) {
    append("one\r\n");
    auto before = run(engine.get(kAccount, keys::account()));
    ASSERT_TRUE(before);
    auto lost = append("two\r\n");
    lose({keys::message(kInbox, lost.order)}, {{keys::account(), *before}});
    ASSERT_TRUE(run(store.repair(kAccount)));
    auto next = append("three\r\n");
    EXPECT_EQ(next.order, lost.order) << "nothing is left that could tell";
    EXPECT_NE(next.unique_id, lost.unique_id);
    EXPECT_FALSE(run(store.find(kAccount, lost.unique_id))) << "another message is where it was";
    EXPECT_TRUE(run(store.remove(kAccount, {lost.unique_id}, "test")));
    EXPECT_EQ(run(store.totals(kAccount))->messages, 2u);
    EXPECT_TRUE(run(store.check(kAccount)));
}

}  // namespace
}  // namespace poplar::mailstore
