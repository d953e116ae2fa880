// The change log, as it is told to a reader that remembers a number.
#include "mailstore/change_row.h"
#include "mailstore/keys.h"
#include "tests/mailstore/early_records.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;
using How = FlagChange::How;
using Kind = Change::Kind;

TEST(ChangeRow, ReadsBackWhatItWrote) {
    ChangeRow row;
    EXPECT_TRUE(row.empty());
    for (std::uint64_t uid : {1, 2, 3, 7, 9, 10}) row.add(Kind::removed, kInbox, Uid(uid));
    row.add(Kind::flags, MailboxId(70'000), Uid(~0u));
    row.add_move(kInbox, Uid(4), MailboxId(2), Uid(100));
    row.add_move(kInbox, Uid(6), MailboxId(2), Uid(101));
    row.add(Kind::mailbox, MailboxId(3));
    row.add(Kind::mailbox_removed, MailboxId(4));
    const Timestamp time(std::chrono::milliseconds(1'767'225'600'123));
    const auto value = row.encode(time);
    const ModSequence number(77);
    auto changes = decode_changes({keys::change(number), value});
    ASSERT_TRUE(changes);
    const std::vector<Change> expected{
        {number, Kind::removed, kInbox, {{Uid(1), Uid(3)}, {Uid(7), Uid(7)}, {Uid(9), Uid(10)}}, {}, {}},
        {number, Kind::flags, MailboxId(70'000), {{Uid(~0u), Uid(~0u)}}, {}, {}},
        {number, Kind::moved, kInbox, {{Uid(4), Uid(4)}, {Uid(6), Uid(6)}}, MailboxId(2), {{Uid(100), Uid(101)}}},
        {number, Kind::mailbox, MailboxId(3), {}, {}, {}},
        {number, Kind::mailbox_removed, MailboxId(4), {}, {}, {}}};
    EXPECT_EQ(*changes, expected);
    EXPECT_EQ(*decode_change_time(value), time);
    EXPECT_FALSE(decode_changes({keys::change(number), value.substr(0, value.size() - 1)}));
    for (const char* wrong : {"", "\2", "\1\1\10\1", "\1\1\1\1\377"})
        EXPECT_FALSE(decode_changes({keys::change(number), wrong})) << testing::PrintToString(wrong);
}

class ChangeLogTest : public MailboxFixture {
protected:
    ChangeList since(ModSequence number, std::size_t limit = 1000) {
        auto list = run(store_.changes_since(kAccount, number, limit));
        EXPECT_TRUE(list) << (list ? "" : list.error().detail());
        return list ? *list : ChangeList();
    }
    ModSequence now() { return *run(engine_.change_number(kAccount, nullptr)); }

    /// "+1:3,5 -2 ~4 2+1 1>2:4=7 M3 X3": added, removed, flags, moved, mailbox, mailbox gone; INBOX's number left out.
    static std::string told(const ChangeList& list) {
        std::string text;
        auto id = [](MailboxId mailbox) { return mailbox == kInbox ? "" : std::to_string(mailbox.value); };
        auto ranges = [](const std::vector<UidRange>& all) {
            std::string out;
            for (const auto& range : all) {
                out += (out.empty() ? "" : ",") + std::to_string(range.first.value);
                if (range.last != range.first) out += ":" + std::to_string(range.last.value);
            }
            return out;
        };
        for (const auto& change : list.changes) {
            if (!text.empty()) text += " ";
            switch (change.kind) {
                case Kind::added: text += id(change.mailbox) + "+" + ranges(change.uids); break;
                case Kind::removed: text += id(change.mailbox) + "-" + ranges(change.uids); break;
                case Kind::flags: text += id(change.mailbox) + "~" + ranges(change.uids); break;
                case Kind::moved:
                    text += id(change.mailbox) + ">" + id(change.to) + ":" + ranges(change.uids) + "=" +
                            ranges(change.to_uids);
                    break;
                case Kind::mailbox: text += "M" + id(change.mailbox); break;
                case Kind::mailbox_removed: text += "X" + id(change.mailbox); break;
                case Kind::document: text += "D"; break;
            }
        }
        return list.forgotten ? "forgotten " + text : text;
    }
};

TEST_F(ChangeLogTest, TellsOfEverythingInItsOrder) {
    append("one", "a");
    append("two", "b");
    EXPECT_EQ(told(since(ModSequence(0))), "+1 +2");
    add("x");
    const auto x = mailbox("x").id;
    append_to("x", "three");
    ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1}), {How::add, bits_of(Flag::seen), {}})));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({2}), x)));
    append("four", "d");
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1, 3}), x)));
    ASSERT_TRUE(run(store_.move(kAccount, x, uids({1}), kInbox)));
    ASSERT_TRUE(run(store_.remove(kAccount, {"a"}, "test")));
    ASSERT_TRUE(run(store_.restore(kAccount, "a")));
    ASSERT_TRUE(run(store_.rename_mailbox(kAccount, "x", "y")));
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "y", "test")));
    EXPECT_EQ(told(since(ModSequence(0))), "M2 2+1 ~1 >2:2=2 +3 2+3:4 2>:1=4 -1 +5 M2 X2")
        << "what came and went is told of only as gone";
    EXPECT_EQ(since(ModSequence(0)).number, now());
    EXPECT_EQ(told(since(now())), "");
    EXPECT_EQ(told(since(ModSequence(now().value - 3))), "+5 M2 X2");
    expect_sound();
}

TEST_F(ChangeLogTest, DeliveriesToInboxAreToldOfWithoutARow) {
    for (int i = 0; i < 300; ++i) append("text");
    EXPECT_TRUE(run(engine_.scan(kAccount, keys::changes(), 10))->empty());
    for (std::uint64_t number : {0, 1, 2, 17, 150, 255, 298, 299}) {
        const auto list = since(ModSequence(number));
        ASSERT_EQ(list.changes.size(), 300 - number) << number;
        EXPECT_EQ(list.changes.front().uids.front().first, Uid(number + 1));
    }
    const auto reads = engine_.reads();
    since(ModSequence(295));
    EXPECT_LT(engine_.reads() - reads, 12u) << "a look at what is new, not at all there is";
    ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1, 150}), {How::add, bits_of(Flag::seen), {}})));
    EXPECT_EQ(told(since(ModSequence(300))), "~1,150");
    EXPECT_EQ(told(since(ModSequence(299))), "+300 ~1,150");
}

TEST_F(ChangeLogTest, ComesInPagesThatMissNothing) {
    std::string expected;
    add("x");
    const auto x = mailbox("x").id;
    for (int i = 0; i < 20; ++i) {
        append("text");
        if (i % 3 == 0) append_to("x", "text");
        if (i % 5 == 4) ASSERT_TRUE(run(store_.move(kAccount, x, {Uid(mailbox("x").uid_next.value - 1)}, kInbox)));
        if (i % 4 == 3)
            ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1, 2}),
                                                {How::add, bits_of(i % 8 == 3 ? Flag::seen : Flag::draft), {}})));
    }
    const auto all = told(since(ModSequence(0)));
    for (std::size_t limit : {1, 2, 3, 7}) {
        std::string pages;
        ModSequence number(0);
        while (number != now()) {
            const auto page = since(number, limit);
            ASSERT_GT(page.number, number);
            number = page.number;
            const auto text = told(page);
            pages += (pages.empty() || text.empty() ? "" : " ") + text;
        }
        EXPECT_EQ(pages, all) << limit;
    }
}

TEST_F(ChangeLogTest, ForgetsTheOldestRowsAndSaysSo) {
    options_.change_log_rows = 80;
    MailStore store(engine_, clock_, options_);
    append("text");
    for (int i = 0; i < 200; ++i)
        ASSERT_TRUE(run(store.change_flags(kAccount, kInbox, uids({1}),
                                           {i % 2 == 0 ? How::add : How::remove, bits_of(Flag::seen), {}})));
    const auto rows = run(engine_.scan(kAccount, keys::changes(), 1000))->size();
    EXPECT_GE(rows, 80u);
    EXPECT_LE(rows, 90u);
    expect_sound();
    EXPECT_TRUE(since(ModSequence(1)).forgotten);
    EXPECT_EQ(since(ModSequence(1)).number, now());
    EXPECT_TRUE(since(ModSequence(now().value - rows - 1)).forgotten);
    EXPECT_EQ(since(ModSequence(now().value - rows)).changes.size(), rows);
    EXPECT_TRUE(since(ModSequence(now().value + 1)).forgotten) << "a number of another life of the store";
}

TEST_F(ChangeLogTest, ForgetsRowsThatAreTooOldWithTheRoundsOfExpiry) {
    append("text", "a");
    ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1}), {How::add, bits_of(Flag::seen), {}})));
    clock_.advance(std::chrono::days(20));
    ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, uids({1}), {How::set, 0, {}})));
    clock_.advance(std::chrono::days(10));
    const auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    EXPECT_EQ(engine_.commits(), commits) << "not for a few hours";
    clock_.advance(std::chrono::days(1));
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    EXPECT_EQ(engine_.commits(), commits + 1);
    EXPECT_TRUE(since(ModSequence(1)).forgotten);
    EXPECT_EQ(told(since(ModSequence(2))), "~1");
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    EXPECT_EQ(engine_.commits(), commits + 1);
    expect_sound();
}

TEST_F(ChangeLogTest, OfWhatHappenedBeforeThereWasALogNothingIsTold) {
    const auto old = append("old", "old");
    append("gone", "gone");
    ASSERT_TRUE(run(store_.remove(kAccount, {"gone"}, "test")));
    const auto stored = *run(store_.find(kAccount, "old"));
    auto record = *decode_account(*run(engine_.get(kAccount, keys::account())));
    engine::Batch early;
    early.put(keys::account(), early_account(record, 1));
    early.put(keys::message(kInbox, OrderKey(1)), early_message(stored, 1));
    for (const auto entry : *run(engine_.scan(kAccount, keys::changes(), 10))) early.erase(std::string(entry.key));
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(early))));
    MailStore store(engine_, clock_, options_);
    auto list = run(store.changes_since(kAccount, ModSequence(0)));
    EXPECT_TRUE(list->forgotten);
    EXPECT_EQ(list->number, ModSequence(4));
    EXPECT_FALSE(run(store.changes_since(kAccount, ModSequence(4)))->forgotten);
    auto mailbox = run(store.mailbox(kAccount, "INBOX"));
    EXPECT_EQ(mailbox->uid_validity, 1u);
    EXPECT_EQ((*run(store.list_uids(kAccount, kInbox)))->messages.front().changed, ModSequence(1));
    ASSERT_TRUE(run(store.append(kAccount, message("new"))));
    EXPECT_EQ(told(*run(store.changes_since(kAccount, ModSequence(4)))), "+3");
    EXPECT_TRUE(run(store.changes_since(kAccount, ModSequence(3)))->forgotten);
    ASSERT_TRUE(run(store.restore(kAccount, "gone")));
    EXPECT_EQ(live(), "old gone " + run(store.list(kAccount, OrderKey(2), 1))->front().unique_id);
    EXPECT_EQ(told(*run(store.changes_since(kAccount, ModSequence(4)))), "+3 +4");
    expect_sound();
}

TEST_F(ChangeLogTest, AfterAPurgeOrARepairReadersBeginAnew) {
    append("a");
    const auto before = now();
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_TRUE(since(before).forgotten);
    append("b");
    EXPECT_TRUE(since(before).forgotten);
    const auto then = now();
    append("c");
    EXPECT_EQ(told(since(then)), "+2");
    ASSERT_TRUE(run(store_.repair(kAccount)));
    EXPECT_TRUE(since(then).forgotten);
    expect_sound();
}

TEST_F(ChangeLogTest, AWatchHintsThatThereIsSomething) {
    std::atomic<int> hints = 0;
    auto watch = store_.watch(kAccount, [&] { ++hints; });
    append("a");
    EXPECT_EQ(hints, 1);
    watch.reset();
    append("b");
    EXPECT_EQ(hints, 1);
}

}  // namespace
}  // namespace poplar::mailstore
