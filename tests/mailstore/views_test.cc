// Views of INBOX: each shows what it has not deleted itself, and a message leaves INBOX when nobody wants it.
#include <random>
#include <set>

#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

TEST(OrderRanges, AreJoinedAndSplit) {
    const auto shown = [](const OrderRanges& ranges) {
        std::string text;
        for (const auto& range : ranges.ranges())
            text += std::to_string(range.first.value) + "-" + std::to_string(range.last.value) + " ";
        return text;
    };
    OrderRanges ranges;
    for (auto order : {5, 3, 9, 4}) EXPECT_TRUE(ranges.add(OrderKey(order)));
    EXPECT_EQ(shown(ranges), "3-5 9-9 ");
    EXPECT_FALSE(ranges.add(OrderKey(4)));
    for (auto order : {8, 6, 7, 1}) EXPECT_TRUE(ranges.add(OrderKey(order)));
    EXPECT_EQ(shown(ranges), "1-1 3-9 ");
    EXPECT_FALSE(ranges.remove(OrderKey(2)));
    for (auto order : {3, 9, 6, 1}) EXPECT_TRUE(ranges.remove(OrderKey(order)));
    EXPECT_EQ(shown(ranges), "4-5 7-8 ");
    EXPECT_EQ(shown(ranges & OrderRanges({{OrderKey(5), OrderKey(7)}, {OrderKey(9), OrderKey(20)}})), "5-5 7-7 ");
    EXPECT_EQ(shown(ranges & OrderRanges()), "");
}

TEST(OrderRanges, TakeManyAtOnce) {
    std::mt19937 random(9);
    for (int round = 0; round < 300; ++round) {
        OrderRanges one_by_one, at_once;
        for (int n = 0; n < 10; ++n) {
            const OrderKey order(1 + random() % 40);
            one_by_one.add(order);
            at_once.add(order);
        }
        std::set<OrderKey> more;
        for (int n = 0; n < 10; ++n) more.insert(OrderKey(1 + random() % 40));
        std::vector<OrderKey> expected;
        for (auto order : more)
            if (one_by_one.add(order)) expected.push_back(order);
        EXPECT_EQ(at_once.add(std::vector<OrderKey>(more.begin(), more.end())), expected);
        EXPECT_EQ(at_once, one_by_one);
    }
}

TEST(OrderRanges, AreASetWhateverIsDone) {
    std::mt19937 random(5);
    OrderRanges ranges;
    std::set<std::uint64_t> expected;
    for (int step = 0; step < 5000; ++step) {
        const std::uint64_t order = 1 + random() % 60;
        if (random() % 2)
            EXPECT_EQ(ranges.add(OrderKey(order)), expected.insert(order).second);
        else
            EXPECT_EQ(ranges.remove(OrderKey(order)), expected.erase(order) == 1);
        OrderKey before{0};
        std::size_t count = 0;
        for (const auto& range : ranges.ranges()) {
            ASSERT_TRUE(before.value == 0 || range.first.value > before.value + 1);
            ASSERT_LE(range.first, range.last);
            count += range.last.value - range.first.value + 1;
            before = range.last;
        }
        ASSERT_EQ(count, expected.size());
    }
}

TEST(ViewRecord, IsDecodedAsItWasEncoded) {
    ViewRecord record;
    record.hidden = OrderRanges({{OrderKey(1), OrderKey(1)}, {OrderKey(3), OrderKey(1ull << 40)}});
    record.hidden_totals = {.messages = 3, .octets = 999, .utf8_messages = 1, .ascii_growth = -7};
    record.used = Timestamp(std::chrono::milliseconds(1234567));
    record.counts = false;
    record.begins = OrderKey(77);
    record.changes = 1000;
    const auto bytes = encode(record);
    EXPECT_EQ(*decode_view(bytes), record);
    EXPECT_EQ(*decode_view(encode(ViewRecord())), ViewRecord());
    EXPECT_FALSE(decode_view(bytes.substr(0, bytes.size() - 1)));
    EXPECT_FALSE(decode_view(""));
    auto touching = encode(ViewRecord());
    EXPECT_FALSE(decode_view(touching + std::string("\1\0\1\0", 4))) << "ranges that touch are one";
    EXPECT_EQ(bytes.front(), 1) << "an older program can read it";
    record.returned = OrderRanges({{OrderKey(4), OrderKey(5)}});
    EXPECT_EQ(*decode_view(encode(record)), record);
    record.moved = OrderRanges({{OrderKey(80), OrderKey(80)}, {OrderKey(90), OrderKey(99)}});
    const auto full = encode(record);
    EXPECT_EQ(*decode_view(full), record);
    EXPECT_FALSE(decode_view(full.substr(0, full.size() - 1)));
    auto unknown = full;
    unknown[1] = static_cast<char>(unknown[1] | 8);
    EXPECT_FALSE(decode_view(unknown)) << "a field that nobody knows is not guessed at";
}

TEST(OrderRanges, AreSetsToReckonWith) {
    std::mt19937 random(3);
    for (int round = 0; round < 500; ++round) {
        std::set<std::uint64_t> a, b;
        OrderRanges left, right;
        for (int n = 0; n < 12; ++n) {
            const std::uint64_t one = 1 + random() % 30, other = 1 + random() % 30;
            a.insert(one);
            left.add(OrderKey(one));
            b.insert(other);
            right.add(OrderKey(other));
        }
        OrderRanges both, without, any;
        for (std::uint64_t order = 1; order <= 30; ++order) {
            if (a.contains(order) && b.contains(order)) both.add(OrderKey(order));
            if (a.contains(order) && !b.contains(order)) without.add(OrderKey(order));
            if (a.contains(order) || b.contains(order)) any.add(OrderKey(order));
        }
        EXPECT_EQ(left - right, without);
        EXPECT_EQ(left | right, any);
        OrderRanges in_both;
        for (const auto& range : (left & right).ranges())
            for (auto order = range.first.value; order <= range.last.value; ++order) in_both.add(OrderKey(order));
        EXPECT_EQ(in_both, both);
    }
}

class ViewsTest : public MailboxFixture {
protected:
    static constexpr ViewId kLaptop{8}, kPhone{9};

    std::unique_ptr<Maildrop> open(ViewId view) {
        if (view != kClassicView) EXPECT_TRUE(run(store_.make_view(kAccount, view, kFromTheFirst)));
        auto maildrop = run(store_.open_maildrop(kAccount, view));
        EXPECT_TRUE(maildrop) << (maildrop ? "" : maildrop.error().detail());
        return maildrop ? std::move(*maildrop) : nullptr;
    }
    /// The unique-ids that a view shows, after the counts were held against them.
    std::string shown(ViewId view) {
        auto maildrop = open(view);
        const auto counted = maildrop->message_count(), octets = maildrop->octets();
        auto list = run(maildrop->messages());
        EXPECT_TRUE(list);
        std::string text;
        std::uint64_t sum = 0;
        for (const auto& one : **list) {
            text += (text.empty() ? "" : " ") + one.unique_id;
            sum += one.octets;
        }
        EXPECT_EQ(counted, (*list)->size());
        EXPECT_EQ(octets, sum);
        EXPECT_EQ(maildrop->version() != nullptr, true);
        return text;
    }
    void remove(ViewId view, std::vector<std::uint32_t> numbers) {
        auto done = run(open(view)->remove(std::move(numbers)));
        EXPECT_TRUE(done) << (done ? "" : done.error().detail());
    }
    void append_some(int count) {
        for (int i = 0; i < count; ++i) append("x" + std::to_string(i), "m" + std::to_string(++serial_));
    }
    std::uint64_t let_go(std::vector<ViewId> ignored = {}) {
        auto gone = run(store_.let_go(kAccount, std::move(ignored)));
        EXPECT_TRUE(gone) << (gone ? "" : gone.error().detail());
        return gone ? *gone : 0;
    }
    int serial_ = 0;
};

TEST_F(ViewsTest, EachHasAllMailWhateverAnotherDeleted) {
    append_some(3);
    EXPECT_EQ(shown(kLaptop), "m1 m2 m3");
    remove(kLaptop, {1, 3});
    EXPECT_EQ(shown(kLaptop), "m2");
    EXPECT_EQ(shown(kPhone), "m1 m2 m3");
    EXPECT_EQ(shown(kClassicView), "m1 m2 m3");
    append_some(1);
    EXPECT_EQ(shown(kLaptop), "m2 m4");
    remove(kClassicView, {2});
    EXPECT_EQ(shown(kClassicView), "m1 m3 m4");
    EXPECT_EQ(shown(kPhone), "m1 m2 m3 m4");
    EXPECT_EQ(live(), "m1 m2 m3 m4") << "nothing has left INBOX";
    expect_sound();
}

TEST_F(ViewsTest, WithoutOneTheClassicViewDeletes) {
    append_some(2);
    remove(kClassicView, {1});
    EXPECT_EQ(live(), "m2");
    EXPECT_EQ(retained(), "m1");
    EXPECT_TRUE(run(store_.views(kAccount))->empty());
}

TEST_F(ViewsTest, AMessageLeavesWhenAllThatCountDeletedIt) {
    append_some(3);
    remove(kLaptop, {1, 2});
    remove(kPhone, {2, 3});
    EXPECT_EQ(let_go(), 0u) << "the classic one has deleted nothing";
    EXPECT_EQ(let_go({kClassicView}), 1u);
    EXPECT_EQ(live(), "m1 m3");
    EXPECT_EQ(retained(), "m2");
    expect_sound();
    EXPECT_EQ(let_go({kClassicView, kPhone}), 1u);
    EXPECT_EQ(live(), "m3");
    EXPECT_EQ(let_go({kClassicView, kPhone, kLaptop}), 0u);
    EXPECT_EQ(shown(kLaptop), "m3");
    EXPECT_EQ(shown(kPhone), "");
    expect_sound();
}

TEST_F(ViewsTest, WhoDeletesInTheMailboxDeletesForAll) {
    append_some(4);
    remove(kLaptop, {2});
    ASSERT_TRUE(run(store_.remove(kAccount, {"m1", "m2"}, "admin")));
    EXPECT_EQ(shown(kLaptop), "m3 m4");
    EXPECT_EQ(shown(kPhone), "m3 m4");
    add("Other");
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({3}), mailbox("Other").id)));
    EXPECT_EQ(shown(kLaptop), "m4");
    expect_sound();
}

TEST_F(ViewsTest, ARestoredMessageShowsAgainInAll) {
    append_some(3);
    remove(kLaptop, {1, 2, 3});
    EXPECT_EQ(let_go({kClassicView}), 3u);
    ASSERT_TRUE(run(store_.restore(kAccount, "m2")));
    EXPECT_EQ(shown(kLaptop), "m2");
    EXPECT_EQ(shown(kPhone), "m2");
    EXPECT_EQ(shown(kClassicView), "m2");
    expect_sound();
}

TEST_F(ViewsTest, BeginWhereTheyAreToldTo) {
    append_some(2);
    clock_.advance(std::chrono::days(20));
    append_some(2);
    ASSERT_TRUE(run(store_.make_view(kAccount, kLaptop, kFromNowOn)));
    ASSERT_TRUE(run(store_.make_view(kAccount, kPhone, clock_.now() - std::chrono::days(10))));
    EXPECT_EQ(shown(kLaptop), "");
    EXPECT_EQ(shown(kPhone), "m3 m4");
    append_some(1);
    EXPECT_EQ(shown(kLaptop), "m5");
    EXPECT_EQ(shown(kClassicView), "m1 m2 m3 m4 m5");
    remove(kPhone, {1});
    EXPECT_EQ(let_go({kClassicView}), 1u) << "what a view never showed it neither holds back nor gives away";
    EXPECT_EQ(live(), "m1 m2 m4 m5");
    remove(kClassicView, {1, 3});
    EXPECT_EQ(let_go(), 1u);
    EXPECT_EQ(live(), "m2 m4 m5");
    expect_sound();
}

TEST_F(ViewsTest, CountIfTheyCanDeleteAndAreUsed) {
    ASSERT_TRUE(run(store_.make_view(kAccount, kPhone, kFromTheFirst, false)));
    append_some(3);
    remove(kLaptop, {1, 2, 3});
    remove(kClassicView, {1});
    EXPECT_EQ(let_go(), 1u) << "the phone only reads";
    ASSERT_TRUE(run(store_.make_view(kAccount, kPhone, kFromTheFirst, true)));
    remove(kClassicView, {1});
    EXPECT_EQ(let_go(), 0u);
    clock_.advance(std::chrono::days(89));
    shown(kLaptop);  // notes that it is used
    shown(kClassicView);
    EXPECT_EQ(let_go(), 0u);
    clock_.advance(std::chrono::days(2));
    EXPECT_EQ(let_go(), 1u) << "the phone has not come for 90 days";
    EXPECT_EQ(live(), "m3");
    expect_sound();
}

TEST_F(ViewsTest, OneWhoseRowIsLostIsMadeAnewByALogin) {
    append_some(2);
    remove(kLaptop, {1});
    // A rebuild from a log that is damaged may lose the rows, and the account's record that knows of them.
    auto record = *decode_account(*run(engine_.get(kAccount, keys::account(), nullptr)));
    record.views = 0;
    engine::Batch batch;
    batch.put(keys::account(), encode(record));
    for (auto view : {kClassicView, kLaptop}) batch.erase(keys::view(view));
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    MailStore store(engine_, clock_, options_);
    auto maildrop = run(store.open_maildrop(kAccount, kLaptop));
    ASSERT_TRUE(maildrop) << maildrop.error().detail();
    EXPECT_EQ((*maildrop)->message_count(), 2u) << "rather twice than never";
    maildrop->reset();
    EXPECT_EQ(run(store.views(kAccount))->size(), 2u) << "with the classic one beside it";
    auto classic = run(store.open_maildrop(kAccount));
    ASSERT_TRUE(run((*classic)->messages()));
    ASSERT_TRUE(run((*classic)->remove({1})));
    EXPECT_EQ(*run(store.let_go(kAccount)), 0u);
    EXPECT_EQ(live(), "m1 m2") << "nothing was deleted by it";
    EXPECT_TRUE(run(store.check(kAccount)));
}

TEST_F(ViewsTest, LostAndDamagedRowsKeepNobodyFromTheirMail) {
    append_some(3);
    remove(kLaptop, {1});
    remove(kPhone, {1, 2});
    engine::Batch batch;
    batch.erase(keys::view(kLaptop));
    batch.put(keys::view(kPhone), "damaged");
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    MailStore store(engine_, clock_, options_);
    auto classic = run(store.open_maildrop(kAccount));
    ASSERT_TRUE(run((*classic)->messages()));
    ASSERT_TRUE(run((*classic)->remove({1}))) << "though the account's record counts three views";
    classic->reset();
    EXPECT_EQ((*run(store.open_maildrop(kAccount)))->message_count(), 2u);
    for (auto view : {kLaptop, kPhone}) {
        auto maildrop = run(store.open_maildrop(kAccount, view));
        ASSERT_TRUE(maildrop) << maildrop.error().detail();
        EXPECT_EQ((*maildrop)->message_count(), 3u);
    }
    EXPECT_EQ(*run(store.let_go(kAccount)), 0u);
    EXPECT_EQ(live(), "m1 m2 m3");
    auto sound = run(store.check(kAccount));
    EXPECT_TRUE(sound) << sound.error().detail();
}

TEST_F(ViewsTest, TheClassicOneThatLostItsRowDeletesForItselfAlone) {
    append_some(2);
    shown(kLaptop);
    engine::Batch batch;
    batch.erase(keys::view(kClassicView));
    ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    MailStore store(engine_, clock_, options_);
    auto classic = run(store.open_maildrop(kAccount));
    ASSERT_TRUE(run((*classic)->messages()));
    ASSERT_TRUE(run((*classic)->remove({1})));
    classic->reset();
    EXPECT_EQ(live(), "m1 m2");
    EXPECT_EQ((*run(store.open_maildrop(kAccount)))->message_count(), 1u);
    EXPECT_TRUE(run(store.check(kAccount)));
}

TEST_F(ViewsTest, OnlyThoseThatARemovalChangesAreWritten) {
    append_some(4);
    shown(kLaptop);
    remove(kPhone, {2});
    std::vector<ViewId> written;
    engine_.on_commit([&](engine::PartitionId, const engine::Batch& batch) {
        for (const auto& put : batch.puts)
            for (auto view : {kClassicView, kLaptop, kPhone})
                if (put.key == keys::view(view)) written.push_back(view);
    });
    ASSERT_TRUE(run(store_.remove(kAccount, {"m2"}, "admin")));
    EXPECT_EQ(written, std::vector{kPhone}) << "that which had hidden it";
    written.clear();
    ASSERT_TRUE(run(store_.remove(kAccount, {"m4"}, "admin")));
    EXPECT_TRUE(written.empty()) << "no view had";
    ASSERT_TRUE(run(store_.restore(kAccount, "m4")));
    EXPECT_TRUE(written.empty());
    ASSERT_TRUE(run(store_.restore(kAccount, "m2")));
    EXPECT_EQ(written, std::vector{kPhone});
    EXPECT_EQ(shown(kPhone), "m1 m2 m3 m4");
    expect_sound();
}

TEST_F(ViewsTest, ARestoredMessageOfBeforeTheirBeginningLeavesOnceItIsDeleted) {
    append_some(3);
    ASSERT_TRUE(run(store_.make_view(kAccount, kLaptop, kFromNowOn)));
    ASSERT_TRUE(run(store_.remove(kAccount, {"m2"}, "admin")));
    ASSERT_TRUE(run(store_.restore(kAccount, "m2")));
    EXPECT_EQ(shown(kLaptop), "m2") << "a restored message shows in all views";
    EXPECT_EQ(let_go({kClassicView}), 0u);
    remove(kLaptop, {1});
    expect_sound();
    EXPECT_EQ(let_go({kClassicView}), 1u);
    EXPECT_EQ(live(), "m1 m3") << "the laptop never showed those, and so has deleted none";
    EXPECT_EQ(run(store_.list_retained(kAccount, 0, 10))->front().devices, std::vector{kLaptop.value - 1});
    expect_sound();
}

TEST_F(ViewsTest, RemovalsByOthersMakeNoRanges) {
    append_some(100);
    shown(kLaptop);
    std::vector<std::string> every_other;
    for (int n = 2; n <= 100; n += 2) every_other.push_back("m" + std::to_string(n));
    ASSERT_TRUE(run(store_.remove(kAccount, every_other, "admin")));
    const auto ranges = [&] {
        return decode_view(*run(engine_.get(kAccount, keys::view(kLaptop), nullptr)))->hidden.ranges().size();
    };
    EXPECT_EQ(ranges(), 0u);
    remove(kLaptop, {10, 11, 12});
    EXPECT_EQ(ranges(), 1u) << "with the places between them";
    remove(kLaptop, {1});
    EXPECT_EQ(ranges(), 2u);
    expect_sound();
}

TEST_F(ViewsTest, HaveALockEach) {
    append_some(1);
    auto laptop = open(kLaptop), phone = open(kPhone), classic = open(kClassicView);
    EXPECT_EQ(code_of(run(store_.open_maildrop(kAccount, kLaptop))), Errc::busy);
    EXPECT_EQ(code_of(run(store_.open_maildrop(kAccount, kClassicView))), Errc::busy);
    ASSERT_TRUE(run(laptop->remove({1})));
    ASSERT_TRUE(run(phone->messages()));
    ASSERT_TRUE(run(phone->remove({1})));
    EXPECT_EQ(shown(ViewId(10)), "m1");
}

TEST_F(ViewsTest, TheClassicViewHidesFromTheMomentThatThereIsAnother) {
    append_some(2);
    auto session = open(kClassicView);
    ASSERT_TRUE(run(session->messages()));
    shown(kLaptop);
    ASSERT_TRUE(run(session->remove({1})));
    session.reset();
    EXPECT_EQ(live(), "m1 m2");
    EXPECT_EQ(shown(kClassicView), "m2");
    expect_sound();
}

TEST_F(ViewsTest, WithTheLastOneWhatTheClassicViewDeletedLeaves) {
    options_.forget_messages = 3;
    MailStore store(engine_, clock_, options_);
    append_some(10);
    shown(kLaptop);
    shown(kPhone);
    remove(kClassicView, {1, 2, 3, 4, 5, 6, 7});
    ASSERT_TRUE(run(store.drop_view(kAccount, kLaptop)));
    EXPECT_EQ(run(store.views(kAccount))->size(), 2u);
    EXPECT_EQ(run(store.list(kAccount, OrderKey(0), 100))->size(), 10u);
    auto session = open(kPhone);
    ASSERT_TRUE(run(session->messages()));
    ASSERT_TRUE(run(store.drop_view(kAccount, kPhone)));
    EXPECT_EQ(code_of(run(session->remove({1}))), Errc::denied) << "the view is gone";
    session.reset();
    EXPECT_TRUE(run(store.views(kAccount))->empty());
    EXPECT_EQ(run(store.list(kAccount, OrderKey(0), 100))->size(), 3u);
    EXPECT_EQ(run(engine_.scan(kAccount, keys::views(), 10))->size(), 0u);
    EXPECT_TRUE(run(store.check(kAccount)));
    MailStore fresh(engine_, clock_, options_);
    auto maildrop = run(fresh.open_maildrop(kAccount));
    EXPECT_EQ((*maildrop)->message_count(), 3u);
}

TEST_F(ViewsTest, OfAClientThatDeletesEverythingAreOneRange) {
    for (int round = 0; round < 20; ++round) {
        append_some(3);
        if (round % 4 == 0) ASSERT_TRUE(run(store_.remove(kAccount, {"m" + std::to_string(serial_)}, "admin")));
        auto maildrop = open(kLaptop);
        std::vector<std::uint32_t> all;
        for (std::uint32_t n = 1; n <= maildrop->message_count(); ++n) all.push_back(n);
        ASSERT_TRUE(run(maildrop->messages()));
        ASSERT_TRUE(run(maildrop->remove(all)));
    }
    const auto record = decode_view(*run(engine_.get(kAccount, keys::view(kLaptop), nullptr)));
    EXPECT_EQ(record->hidden.ranges().size(), 1u);
    EXPECT_EQ(shown(kLaptop), "");
    expect_sound();
}

TEST_F(ViewsTest, ARepairGivesNoPlaceToMailToComeThatAViewHides) {
    append_some(3);
    remove(kLaptop, {1, 2, 3});
    EXPECT_EQ(let_go({kClassicView}), 3u);
    clock_.advance(options_.retention);
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    put(keys::account(), "damaged");
    MailStore store(engine_, clock_, options_);
    ASSERT_TRUE(run(store.repair(kAccount)));
    ASSERT_TRUE(run(store.check(kAccount)));
    ASSERT_TRUE(run(store.append(kAccount, message("new"))));
    EXPECT_EQ((*run(store.open_maildrop(kAccount, kLaptop)))->message_count(), 1u);
}

TEST_F(ViewsTest, GoWithThePurgeOfTheirAccount) {
    append_some(2);
    remove(kLaptop, {1});
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(run(engine_.scan(kAccount, keys::views(), 10))->size(), 0u);
    append_some(1);
    EXPECT_EQ(shown(kLaptop), "m3");
    expect_sound();
}

TEST_F(ViewsTest, ARepairMakesTheirCountsFit) {
    append_some(3);
    remove(kLaptop, {1});
    auto record = *decode_view(*run(engine_.get(kAccount, keys::view(kLaptop), nullptr)));
    record.hidden_totals.messages = 2;
    put(keys::view(kLaptop), encode(record));
    put(keys::view(kPhone), "damaged");
    EXPECT_FALSE(run(store_.check(kAccount)));
    EXPECT_TRUE(*run(store_.repair(kAccount)));
    expect_sound();
    EXPECT_EQ(let_go({kClassicView}), 0u) << "the one that was lost counts as used";
    MailStore store(engine_, clock_, options_);
    EXPECT_EQ((*run(store.open_maildrop(kAccount, kLaptop)))->message_count(), 2u);
    EXPECT_EQ((*run(store.open_maildrop(kAccount, kPhone)))->message_count(), 3u) << "rather twice than never";
}

TEST_F(ViewsTest, WhateverHappensEachShowsWhatItDidNotDelete) {
    std::mt19937 random(11);
    std::set<std::string> there;                      // in INBOX
    std::map<ViewId, std::set<std::string>> deleted;  // in each view
    const std::vector<ViewId> all{kClassicView, kLaptop, kPhone};
    for (auto view : all) deleted[view] = {};
    shown(kLaptop);
    shown(kPhone);
    const auto any = [&](const std::set<std::string>& of) {
        auto at = of.begin();
        std::advance(at, random() % of.size());
        return *at;
    };
    for (int step = 0; step < 400; ++step) {
        const auto view = all[random() % all.size()];
        switch (random() % 6) {
            case 0:
            case 1:
                append_some(1);
                there.insert("m" + std::to_string(serial_));
                break;
            case 2:
            case 3: {
                auto maildrop = open(view);
                auto list = **run(maildrop->messages());
                std::vector<std::uint32_t> numbers;
                for (std::uint32_t n = 1; n <= list.size(); ++n)
                    if (random() % 3 == 0) {
                        numbers.push_back(n);
                        deleted[view].insert(list[n - 1].unique_id);
                    }
                ASSERT_TRUE(run(maildrop->remove(numbers)));
                break;
            }
            case 4:
                if (there.empty()) break;
                if (random() % 2) {
                    const auto one = any(there);
                    ASSERT_TRUE(run(store_.remove(kAccount, {one}, "admin")));
                    there.erase(one);
                } else if (auto gone = run(store_.list_retained(kAccount, 0, 1000)); !gone->empty()) {
                    const auto one = (*gone)[random() % gone->size()].message.unique_id;
                    ASSERT_TRUE(run(store_.restore(kAccount, one)));
                    there.insert(one);
                    for (auto& [id, ids] : deleted) ids.erase(one);
                }
                break;
            default:
                let_go({kClassicView});
                std::erase_if(there, [&](const std::string& one) {
                    return deleted[kLaptop].contains(one) && deleted[kPhone].contains(one);
                });
        }
        for (auto one : all) {
            std::set<std::string> expected, found;
            for (const auto& id : there)
                if (!deleted[one].contains(id)) expected.insert(id);
            auto maildrop = open(one);
            for (const auto& message : **run(maildrop->messages())) found.insert(message.unique_id);
            ASSERT_EQ(found, expected) << "step " << step << ", view " << one.value;
        }
        expect_sound();
        ASSERT_FALSE(HasFailure()) << "step " << step;
    }
}

}  // namespace
}  // namespace poplar::mailstore
