// Messages of any mailbox by their UIDs: flags, copies, moves, expunging.
#include "mailstore/keys.h"
#include "mailstore/keyword_table.h"
#include "mailstore/record.h"
#include "tests/mailstore/mailbox_fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;
using How = FlagChange::How;

class MessagesTest : public MailboxFixture {
protected:
    FlagOutcome change(const std::string& name, std::vector<Uid> wanted, FlagChange change) {
        auto done = run(store_.change_flags(kAccount, mailbox(name).id, std::move(wanted), std::move(change)));
        EXPECT_TRUE(done) << (done ? "" : done.error().detail());
        expect_sound();
        return done ? *done : FlagOutcome();
    }
    void append_inbox(int count) {
        for (int i = 1; i <= count; ++i) append("text " + std::to_string(i), "m" + std::to_string(i));
    }
};

TEST_F(MessagesTest, FlagsAreSetAddedAndRemoved) {
    append_inbox(3);
    change("INBOX", uids({1, 3, 9}), {How::add, bits_of(Flag::seen), {"$Forwarded"}});
    EXPECT_EQ(flags("INBOX"), "1:seen+$Forwarded 2: 3:seen+$Forwarded");
    change("INBOX", uids({3, 2}), {How::set, bits_of(Flag::deleted), {"$forwarded", "later"}});
    EXPECT_EQ(flags("INBOX"), "1:seen+$Forwarded 2:deleted+$Forwarded+later 3:deleted+$Forwarded+later");
    change("INBOX", uids({1, 2, 3}), {How::remove, bits_of(Flag::deleted), {"LATER", "unknown"}});
    EXPECT_EQ(flags("INBOX"), "1:seen+$Forwarded 2:$Forwarded 3:$Forwarded");
    change("INBOX", uids({1, 2, 3}), {How::set, 0, {}});
    EXPECT_EQ(flags("INBOX"), "1: 2: 3:");
    EXPECT_EQ(live(), "m1 m2 m3") << "POP sees nothing of it";
}

TEST_F(MessagesTest, WhatIsUnseenAndDeletedIsCounted) {
    append_inbox(4);
    change("INBOX", uids({1, 2, 3}), {How::add, bits_of(Flag::seen) | bits_of(Flag::deleted), {}});
    change("INBOX", uids({1}), {How::remove, bits_of(Flag::deleted), {}});
    EXPECT_EQ(mailbox("INBOX").totals.unseen(), 1u);
    EXPECT_EQ(mailbox("INBOX").totals.deleted, 2u);
    ASSERT_TRUE(run(store_.remove(kAccount, {"m2"}, "test")));
    EXPECT_EQ(mailbox("INBOX").totals.seen, 2u);
    EXPECT_EQ(mailbox("INBOX").totals.deleted, 1u);
    expect_sound();
}

TEST_F(MessagesTest, FlagsThatAreAsWantedCostNoCommit) {
    append_inbox(2);
    change("INBOX", uids({1}), {How::add, bits_of(Flag::seen), {"x"}});
    const auto commits = engine_.commits();
    EXPECT_EQ(change("INBOX", uids({1}), {How::add, bits_of(Flag::seen), {"X"}}).number, ModSequence(0));
    EXPECT_EQ(change("INBOX", uids({2}), {How::remove, kAllFlags, {"x"}}).number, ModSequence(0));
    EXPECT_EQ(engine_.commits(), commits);
}

// RFC 7162 s3.1.3.
TEST_F(MessagesTest, FlagsChangeOnlyIfNobodyElseChangedThemSince) {
    append_inbox(3);
    const auto then = mailbox("INBOX").changed;
    const auto first = change("INBOX", uids({2}), {How::add, bits_of(Flag::seen), {}, then});
    EXPECT_TRUE(first.refused.empty());
    EXPECT_EQ(mailbox("INBOX").changed, first.number);
    const auto second = change("INBOX", uids({1, 2, 3}), {How::add, bits_of(Flag::flagged), {}, then});
    EXPECT_EQ(second.refused, uids({2}));
    EXPECT_EQ(flags("INBOX"), "1:flagged 2:seen 3:flagged");
    EXPECT_TRUE(change("INBOX", uids({1, 2, 3}), {How::set, 0, {}, mailbox("INBOX").changed}).refused.empty());
}

TEST_F(MessagesTest, AMailboxHasTwoHundredKeywordsAndNoMore) {
    append_inbox(1);
    add("other");
    append_to("other", "x");
    std::vector<std::string> all;
    for (std::size_t i = 0; i < kMostKeywords; ++i) all.push_back("word" + std::to_string(i));
    change("INBOX", uids({1}), {How::set, 0, all});
    auto more = run(store_.change_flags(kAccount, kInbox, uids({1}), {How::add, 0, {"more"}}));
    EXPECT_EQ(code_of(more), Errc::too_large);
    EXPECT_EQ(run(store_.keywords(kAccount, kInbox))->size(), kMostKeywords);
    change("other", uids({1}), {How::add, 0, {"more"}});
    for (const auto* wrong : {"", "\\Seen", "two words", "a(b", "\x80", "a]"})
        EXPECT_EQ(code_of(run(store_.change_flags(kAccount, kInbox, uids({1}), {How::add, 0, {wrong}}))), Errc::invalid)
            << wrong;
}

TEST_F(MessagesTest, ManyAreChangedInBoundedCommits) {
    append_inbox(50);
    options_.commit_messages = 20;
    MailStore store(engine_, clock_, options_);
    std::vector<Uid> all;
    for (std::uint64_t uid = 60; uid > 0; --uid) all.emplace_back(uid);
    const auto commits = engine_.commits();
    ASSERT_TRUE(run(store.change_flags(kAccount, kInbox, all, {How::add, bits_of(Flag::seen), {}})));
    EXPECT_EQ(engine_.commits() - commits, 3u);
    EXPECT_EQ(mailbox("INBOX").totals.unseen(), 0u);
    expect_sound();
}

// RFC 9051 s6.4.7.
TEST_F(MessagesTest, ACopyOfManyIsOneCommitAndOneOfTooManyIsNone) {
    constexpr int kMany = 450;  // more than appends share
    append_inbox(kMany);
    add("Copies");
    std::vector<Uid> all;
    for (int uid = 1; uid <= kMany; ++uid) all.emplace_back(uid);
    const auto commits = engine_.commits();
    const auto copied = run(store_.copy(kAccount, kInbox, all, mailbox("Copies").id));
    ASSERT_TRUE(copied);
    EXPECT_EQ(copied->size(), static_cast<std::size_t>(kMany));
    EXPECT_EQ(engine_.commits(), commits + 1);
    for (std::uint64_t uid = kMany + 1; all.size() <= options_.copied_messages; ++uid) all.emplace_back(uid);
    const auto refused = run(store_.copy(kAccount, kInbox, all, mailbox("Copies").id));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Errc::too_large);
    EXPECT_EQ(mailbox("Copies").totals.messages, static_cast<std::uint64_t>(kMany));
    expect_sound();
}

TEST_F(MessagesTest, SeveralAreAppendedTogetherOrNoneIs) {
    add("Work");
    const auto work = mailbox("Work").id;
    std::vector<NewMessage> two{to(work, "one"), to(work, "two")};
    two.back().keywords = {"not a keyword"};
    EXPECT_FALSE(run(store_.append_together(kAccount, two)));
    EXPECT_EQ(mailbox("Work").totals.messages, 0u);
    two.back().keywords = {"$Work"};
    const auto commits = engine_.commits();
    const auto appended = run(store_.append_together(kAccount, two));
    ASSERT_TRUE(appended);
    EXPECT_EQ(engine_.commits(), commits + 1);
    EXPECT_EQ(appended->at(1).order.value, 2u);
    EXPECT_EQ(flags("Work"), "1: 2:$Work");
    expect_sound();
}

// RFC 8508 s3.
TEST_F(MessagesTest, AMessageTakesThePlaceOfAnotherInOneCommit) {
    append_inbox(2);
    const auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.append_together(kAccount, {to(kInbox, "new")}, MessageAt{kInbox, Uid(1)})));
    EXPECT_EQ(engine_.commits(), commits + 1);
    EXPECT_EQ(flags("INBOX"), "2: 3:");
    const auto gone = run(store_.append_together(kAccount, {to(kInbox, "newer")}, MessageAt{kInbox, Uid(1)}));
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code(), Errc::not_found);
    EXPECT_EQ(flags("INBOX"), "2: 3:");
    expect_sound();
}

// RFC 9051 s6.3.5.
TEST_F(MessagesTest, ASubscriptionOutlivesItsMailbox) {
    add("Work");
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "Work", Subscription::yes)));
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Work", "test")));
    EXPECT_EQ(run(store_.lost_subscriptions(kAccount)).value(), std::vector<std::string>{"Work"});
    EXPECT_TRUE(add("Work").subscribed);
    EXPECT_TRUE(run(store_.lost_subscriptions(kAccount))->empty());
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Work", "test")));
    add("Play");
    ASSERT_TRUE(run(store_.rename_mailbox(kAccount, "Play", "Work")));
    EXPECT_TRUE(mailbox("Work").subscribed);
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "Work", "test")));
    ASSERT_TRUE(run(store_.set_subscription(kAccount, "Work", Subscription::no)));
    EXPECT_TRUE(run(store_.lost_subscriptions(kAccount))->empty());
    EXPECT_FALSE(run(store_.set_subscription(kAccount, "Work", Subscription::no)));
    expect_sound();
}

TEST_F(MessagesTest, ACopyHasTheSameBodyAndANameOfItsOwn) {
    append_inbox(3);
    change("INBOX", uids({2}), {How::add, bits_of(Flag::flagged), {"$Work"}});
    add("Archive");
    const auto archive = mailbox("Archive").id;
    const auto staged = engine_.staged_octets();
    auto copied = run(store_.copy(kAccount, kInbox, uids({3, 2, 7}), archive));
    ASSERT_TRUE(copied);
    EXPECT_EQ(*copied, (std::vector<Transferred>{{Uid(2), Uid(1)}, {Uid(3), Uid(2)}}));
    EXPECT_EQ(engine_.staged_octets(), staged) << "no octet of them is copied";
    EXPECT_EQ(engine_.body_count(kAccount), 3u);
    EXPECT_EQ(flags("Archive"), "1:flagged+$Work 2:");
    const auto copies = list("Archive");
    EXPECT_NE(copies[0].unique_id, "m2");
    EXPECT_EQ(run(store_.find(kAccount, copies[0].unique_id))->mailbox, archive);
    EXPECT_EQ(bytes(copies[0]), "Delivered-To: x\r\ntext 2");
    EXPECT_EQ(live(), "m1 m2 m3");
    expect_sound();
    EXPECT_EQ(code_of(run(store_.copy(kAccount, kInbox, uids({1}), MailboxId(77)))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.copy(kAccount, MailboxId(77), uids({1}), kInbox))), Errc::not_found);
}

TEST_F(MessagesTest, ABodyGoesWithTheLastMessageThatHasIt) {
    append_inbox(1);
    add("a");
    const auto a = mailbox("a").id;
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1}), a)));
    ASSERT_TRUE(run(store_.copy(kAccount, a, uids({1}), a)));
    ASSERT_TRUE(run(store_.copy(kAccount, a, uids({2}), kInbox)));
    EXPECT_EQ(live().substr(0, 3), "m1 ");
    expect_sound();
    for (int left = 4; left > 0; --left) {
        const auto where = left > 2 ? a : kInbox;
        const auto gone = run(store_.list(kAccount, where, OrderKey(0), 1))->front();
        ASSERT_EQ(*run(store_.expunge(kAccount, where, {gone.uid()}, "test")), 1u);
        clock_.advance(std::chrono::days(31));
        EXPECT_EQ(bytes(gone), "Delivered-To: x\r\ntext 1");
        ASSERT_EQ(*run(store_.expire(kAccount, clock_.now())), 1u);
        expect_sound();
        EXPECT_EQ(engine_.body_count(kAccount), left > 1 ? 1u : 0u) << left;
    }
    EXPECT_EQ(run(store_.totals(kAccount))->messages, 0u);
}

TEST_F(MessagesTest, AMovedMessageKeepsItsUniqueIdAndItsFlags) {
    append_inbox(2);
    const auto made = append("made here");
    change("INBOX", uids({1, 3}), {How::add, bits_of(Flag::answered), {"tag"}});
    add("Trash", SpecialUse::trash);
    const auto trash = mailbox("Trash").id;
    auto moved = run(store_.move(kAccount, kInbox, uids({1, 3}), trash));
    ASSERT_TRUE(moved);
    EXPECT_EQ(*moved, (std::vector<Transferred>{{Uid(1), Uid(1)}, {Uid(3), Uid(2)}}));
    EXPECT_EQ(live(), "m2");
    EXPECT_EQ(ids("Trash"), "m1 " + made.unique_id);
    EXPECT_EQ(flags("Trash"), "1:answered+tag 2:answered+tag");
    EXPECT_EQ(run(store_.find(kAccount, made.unique_id))->mailbox, trash);
    expect_sound();
    ASSERT_TRUE(run(store_.move(kAccount, trash, uids({2}), kInbox)));
    EXPECT_EQ(live(), "m2 " + made.unique_id) << "at the end: it has another UID";
    EXPECT_EQ(run(store_.find(kAccount, made.unique_id))->order, OrderKey(4));
    expect_sound();
    ASSERT_TRUE(run(store_.remove(kAccount, {"m1", made.unique_id}, "test")));
    EXPECT_EQ(run(store_.restore(kAccount, "m1"))->mailbox, trash);
    EXPECT_EQ(run(store_.restore(kAccount, made.unique_id))->mailbox, kInbox);
    EXPECT_EQ(flags("Trash"), "3:answered+tag");
    expect_sound();
}

TEST_F(MessagesTest, MessagesMadeInOtherMailboxesNeedNoEntryInTheIndex) {
    add("x");
    const auto one = append_to("x", "one");
    EXPECT_TRUE(run(engine_.scan(kAccount, keys::unique_ids(), 10))->empty());
    EXPECT_EQ(run(store_.find(kAccount, one.unique_id))->mailbox, mailbox("x").id);
    ASSERT_TRUE(run(store_.move(kAccount, mailbox("x").id, uids({1}), kInbox)));
    EXPECT_EQ(live(), one.unique_id);
    EXPECT_EQ(run(engine_.scan(kAccount, keys::unique_ids(), 10))->size(), 1u);
    expect_sound();
}

// RFC 9051 s2.3.1.1: a UID that a client was told to be gone never comes back.
TEST_F(MessagesTest, ARestoredMessageHasItsPlaceForPopAndANewUidForImap) {
    append_inbox(4);
    change("INBOX", uids({2}), {How::add, bits_of(Flag::seen), {"kept"}});
    ASSERT_EQ(*run(store_.expunge(kAccount, kInbox, uids({2, 3}), "imap")), 2u);
    ASSERT_TRUE(run(store_.restore(kAccount, "m3")));
    ASSERT_TRUE(run(store_.restore(kAccount, "m2")));
    EXPECT_EQ(live(), "m1 m2 m3 m4");
    EXPECT_EQ(flags("INBOX"), "1: 4: 5: 6:seen+kept");
    EXPECT_EQ(mailbox("INBOX").uid_next, Uid(7));
    change("INBOX", uids({2, 3, 5, 6}), {How::add, bits_of(Flag::draft), {}});
    EXPECT_EQ(flags("INBOX"), "1: 4: 5:draft 6:seen+draft+kept") << "2 and 3 are nobody's";
    ASSERT_EQ(*run(store_.expunge(kAccount, kInbox, uids({1, 2, 3, 4, 5}), "imap")), 3u);
    EXPECT_EQ(live(), "m2");
    expect_sound();
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({6}), kInbox)));
    EXPECT_EQ(flags("INBOX"), "6:seen+draft+kept 7:seen+draft+kept");
    expect_sound();
}

TEST_F(MessagesTest, ManyUidsAreFoundWhetherTheyAreCloseOrFarApart) {
    append_inbox(400);
    for (const auto* id : {"m20", "m200"}) {
        ASSERT_TRUE(run(store_.remove(kAccount, {id}, "test")));
        ASSERT_TRUE(run(store_.restore(kAccount, id)));
    }
    for (std::uint64_t every : {1, 3, 20, 200}) {
        std::vector<Uid> wanted;
        std::set<std::uint64_t> there;
        for (std::uint64_t uid = 1; uid <= 402; uid += every) {
            wanted.emplace_back(uid);
            if (uid != 20 && uid != 200) there.insert(uid);
        }
        change("INBOX", wanted, {How::add, bits_of(Flag::flagged), {}});
        std::set<std::uint64_t> flagged;
        for (const auto& one : (*run(store_.list_uids(kAccount, kInbox)))->messages)
            if (one.flags & bits_of(Flag::flagged)) flagged.insert(one.uid);
        EXPECT_EQ(flagged, there) << every;
        change("INBOX", wanted, {How::remove, bits_of(Flag::flagged), {}});
    }
}

TEST_F(MessagesTest, WhatPopListedCanBeFetchedAndIsNotDeletedWhereItWent) {
    append_inbox(3);
    add("Archive");
    const auto archive = mailbox("Archive").id;
    auto maildrop = open_maildrop();
    auto messages = **run(maildrop->messages());
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), archive)));
    ASSERT_EQ(*run(store_.expunge(kAccount, kInbox, uids({2}), "imap")), 1u);
    change("INBOX", uids({3}), {How::add, bits_of(Flag::seen), {}});
    for (const auto& message : messages)
        EXPECT_EQ(read(run(maildrop->open(message))).substr(0, 19), "Delivered-To: x\r\nte");
    ASSERT_TRUE(run(maildrop->remove({1, 2, 3})));
    EXPECT_EQ(live(), "");
    EXPECT_EQ(ids("Archive"), "m1") << "it is not in the maildrop any more";
    expect_sound();
}

TEST_F(MessagesTest, AMaildropThatFlagsChangeInContinues) {
    append_inbox(3);
    const auto before = *open_maildrop()->version();
    change("INBOX", uids({1}), {How::add, bits_of(Flag::seen), {}});
    EXPECT_EQ(*open_maildrop()->version(), before);
    add("x");
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1}), mailbox("x").id)));
    EXPECT_EQ(*open_maildrop()->version(), before);
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1}), kInbox)));
    EXPECT_TRUE(open_maildrop()->version()->continues(before));
    ASSERT_TRUE(run(store_.move(kAccount, mailbox("x").id, uids({1}), kInbox)));
    EXPECT_TRUE(open_maildrop()->version()->continues(before));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({1}), mailbox("x").id)));
    EXPECT_FALSE(open_maildrop()->version()->continues(before));
}

TEST_F(MessagesTest, RepairMakesAllOfItFitAgain) {
    append_inbox(4);
    add("a/b", SpecialUse::junk);
    const auto b = mailbox("a/b").id;
    ASSERT_TRUE(run(store_.copy(kAccount, kInbox, uids({1, 2}), b)));
    ASSERT_TRUE(run(store_.move(kAccount, kInbox, uids({3}), b)));
    ASSERT_TRUE(run(store_.remove(kAccount, {"m4"}, "test")));
    ASSERT_TRUE(run(store_.restore(kAccount, "m4")));
    change("a/b", uids({1}), {How::add, bits_of(Flag::seen), {"x"}});
    EXPECT_FALSE(*run(store_.repair(kAccount))) << "all fits";
    expect_sound();
    const auto copied = list("a/b")[0];
    const auto records = [&] {
        std::vector<std::pair<std::string, std::string>> rows;
        for (const auto& [key, wrong] : {std::pair{keys::account(), encode_number(1)},
                                         {keys::mailbox(b), encode_number(1)},
                                         {keys::name("a/b"), encode_number(1)},
                                         {keys::name("c"), encode_number(b.value)},
                                         {keys::copies(copied.body), encode_number(5)},
                                         {keys::copies(engine::BodyId(4711)), encode_number(2)},
                                         {keys::uid(kInbox, Uid(5)), encode_number(1)},
                                         {keys::uid(b, Uid(9)), encode_number(1)},
                                         {keys::unique_id("m3"), encode(Place{})},
                                         {keys::message(b, OrderKey(2)), std::string("nonsense")}})
            rows.emplace_back(key, wrong);
        return rows;
    }();
    for (const auto& [key, wrong] : records) {
        put(key, wrong);
        ASSERT_FALSE(run(store_.check(kAccount))) << testing::PrintToString(key);
        MailStore fresh(engine_, clock_, options_);
        ASSERT_TRUE(run(fresh.repair(kAccount)));
        if (key == keys::message(b, OrderKey(2))) {
            EXPECT_FALSE(run(fresh.check(kAccount))) << "a record that can't be read is kept, and told of";
            continue;
        }
        auto sound = run(fresh.check(kAccount));
        EXPECT_TRUE(sound) << testing::PrintToString(key) << ": " << (sound ? "" : sound.error().detail());
    }
}

TEST_F(MessagesTest, AnAccountThatLostItsRecordsIsRepairedAndNoMailboxTakesAnothersPlace) {
    add("a");
    const auto old = add("b").id;
    const auto kept = append_to("b", "kept");
    ASSERT_TRUE(run(store_.remove(kAccount, {kept.unique_id}, "test")));
    ASSERT_TRUE(run(store_.remove_mailbox(kAccount, "b", "test")));
    append_to("a", "in a");
    const auto a = mailbox("a").id;
    auto lose = [&](std::vector<std::string> keys) {
        engine::Batch batch;
        batch.erased = std::move(keys);
        ASSERT_TRUE(run(engine_.commit(kAccount, std::move(batch))));
    };
    lose({keys::account()});
    MailStore damaged(engine_, clock_, options_);
    EXPECT_EQ(code_of(run(damaged.append(kAccount, to(a, "late")))), Errc::corrupt);
    EXPECT_EQ(code_of(run(damaged.restore(kAccount, kept.unique_id))), Errc::corrupt);
    ASSERT_TRUE(*run(damaged.repair(kAccount)));
    EXPECT_TRUE(run(damaged.check(kAccount)));
    lose({keys::account(), keys::mailbox(a), keys::name("a"), keys::message(a, OrderKey(1))});
    MailStore again(engine_, clock_, options_);
    ASSERT_TRUE(*run(again.repair(kAccount)));
    const auto fresh = run(again.add_mailbox(kAccount, "c"));
    ASSERT_TRUE(fresh);
    EXPECT_GT(fresh->id, old);
    const auto restored = run(again.restore(kAccount, kept.unique_id));
    ASSERT_TRUE(restored) << restored.error().detail();
    EXPECT_EQ(run(again.mailbox(kAccount, "b"))->id, restored->mailbox);
    auto sound = run(again.check(kAccount));
    EXPECT_TRUE(sound) << sound.error().detail();
}

}  // namespace
}  // namespace poplar::mailstore
