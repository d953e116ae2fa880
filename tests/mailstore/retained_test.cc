// Deleted mail: kept, listed, restored, expired, purged; live mail that comes of age; check() on what was spoiled.
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using std::chrono::days;
using test::run;

class RetainedTest : public StoreTest {
protected:
    void remove(std::vector<std::string> ids) { ASSERT_TRUE(run(store_.remove(kAccount, std::move(ids), "admin"))); }
    std::uint64_t expire() {
        auto expired = run(store_.expire(kAccount, clock_.now()));
        EXPECT_TRUE(expired);
        return expired ? *expired : ~0ull;
    }
    /// Names m0, m1, ...
    void append_many(int count) {
        std::vector<Task<Result<Message>>> tasks;
        for (int i = 0; i < count; ++i) tasks.push_back(store_.append(kAccount, message("x", "m" + std::to_string(i))));
        for (const auto& result : run_together(std::move(tasks))) ASSERT_TRUE(result);
    }
    std::vector<std::string> names(int from, int to) {
        std::vector<std::string> ids;
        for (int i = from; i < to; ++i) ids.push_back("m" + std::to_string(i));
        return ids;
    }
};

TEST_F(RetainedTest, RemovingByUniqueIdRetainsWithTheReason) {
    append_many(4);
    remove({"m2", "m0", "m2", "unknown"});
    EXPECT_EQ(live(), "m1 m3");
    EXPECT_EQ(retained(), "m0 m2");
    EXPECT_EQ(run(store_.list_retained(kAccount, 0, 1))->front().reason, "admin");
    remove({"m0"});  // retained already: nothing more happens
    EXPECT_EQ(totals().retained_messages, 2u);
    expect_sound();
}

TEST_F(RetainedTest, RemovesManyByUniqueIdInOneCommit) {
    append_many(1500);
    auto before = engine_.commits();
    remove(names(100, 1400));
    EXPECT_EQ(engine_.commits() - before, 1u);
    EXPECT_EQ(totals().messages, 200u);
    expect_sound();
}

TEST_F(RetainedTest, ARemovedMessageIsFoundByItsUniqueId) {
    auto a = append("a", "one");
    remove({"one"});
    auto found = run(store_.find(kAccount, "one"));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->order, a.order);
    EXPECT_EQ(bytes(*found), "Delivered-To: x\r\na");
    EXPECT_EQ(code_of(run(store_.find(kAccount, "two"))), Errc::not_found);
}

TEST_F(RetainedTest, ListsInPagesFirstToExpireFirst) {
    append_many(2500);
    remove(names(2000, 2500));
    clock_.advance(days(1));
    remove(names(0, 2000));
    struct Case {
        std::size_t offset, limit, found;
        std::string_view first;
    };
    for (auto [offset, limit, found, first] :
         {Case{0, 1, 1, "m2000"}, Case{0, 0, 0, ""}, Case{499, 2, 2, "m2499"}, Case{500, 10, 10, "m0"},
          Case{1500, 5000, 1000, "m1000"}, Case{2499, 10, 1, "m1999"}, Case{2500, 10, 0, ""},
          Case{~std::size_t{0}, ~std::size_t{0}, 0, ""}}) {
        auto list = run(store_.list_retained(kAccount, offset, limit));
        ASSERT_TRUE(list);
        EXPECT_EQ(list->size(), found) << offset << ", " << limit;
        if (found > 0) EXPECT_EQ(list->front().message.unique_id, first) << offset << ", " << limit;
    }
}

TEST_F(RetainedTest, RestoringPutsAMessageBackWhereItWas) {
    append_many(3);
    auto before = totals();
    remove({"m1"});
    append("later", "later");
    auto restored = run(store_.restore(kAccount, "m1"));
    ASSERT_TRUE(restored);
    EXPECT_EQ(restored->unique_id, "m1");
    EXPECT_EQ(live(), "m0 m1 m2 later");
    EXPECT_EQ(retained(), "");
    EXPECT_EQ(totals().messages, before.messages + 1);
    EXPECT_EQ(totals().retained_octets, 0u);
    expect_sound();
    clock_.advance(days(100));
    EXPECT_EQ(expire(), 0u) << "its days don't go on";
}

TEST_F(RetainedTest, AMessageThatNeedsNoEntryHasOneWhileItIsRetained) {
    auto entries = [&] { return run(engine_.scan(kAccount, keys::unique_ids(), 100))->size(); };
    auto a = append("a"), b = append("b"), c = append("c");
    remove({a.unique_id, c.unique_id});
    EXPECT_EQ(entries(), 2u);
    expect_sound();
    EXPECT_EQ(run(store_.find(kAccount, a.unique_id))->body, a.body);
    EXPECT_EQ(run(store_.restore(kAccount, a.unique_id))->order, a.order);
    EXPECT_EQ(run(store_.restore(kAccount, a.unique_id))->order, a.order) << "twice is the same as once";
    EXPECT_EQ(run(store_.restore(kAccount, b.unique_id))->order, b.order) << "it was never away";
    EXPECT_EQ(entries(), 1u);
    expect_sound();
    clock_.advance(days(30));
    EXPECT_EQ(expire(), 1u);
    EXPECT_EQ(entries(), 0u);
    EXPECT_EQ(code_of(run(store_.find(kAccount, c.unique_id))), Errc::not_found);
    EXPECT_EQ(live(), a.unique_id + " " + b.unique_id);
    expect_sound();
}

TEST_F(RetainedTest, AStoreFromBeforeHasEntriesOfAllItsMessages) {
    std::vector<Message> messages;
    for (int i = 0; i < 4; ++i) {
        messages.push_back(append("x"));
        const auto& m = messages.back();
        put(keys::unique_id(m.unique_id), encode(Place{Place::Area::live, kInbox, m.order, {}}));
    }
    MailStore store(engine_, clock_, options_);
    for (const auto& m : messages) EXPECT_EQ(run(store.find(kAccount, m.unique_id))->body, m.body);
    EXPECT_TRUE(run(store.check(kAccount)));
    ASSERT_TRUE(run(store.remove(kAccount, {messages[0].unique_id, messages[1].unique_id}, "admin")));
    EXPECT_TRUE(run(store.check(kAccount)));
    ASSERT_TRUE(run(store.restore(kAccount, messages[0].unique_id)));
    EXPECT_TRUE(run(store.check(kAccount)));
    clock_.advance(days(30));
    EXPECT_EQ(run(store.expire(kAccount, clock_.now())).value_or(0), 1u);
    EXPECT_TRUE(run(store.check(kAccount)));
    EXPECT_EQ(run(store.repair(kAccount)).value_or(true), false) << "all of it is as it may be";
    ASSERT_TRUE(run(store.purge(kAccount, Afterwards::open)));
    EXPECT_TRUE(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->empty());
}

TEST_F(RetainedTest, RestoringTwiceIsTheSameAsOnce) {
    append_many(1);
    remove({"m0"});
    ASSERT_TRUE(run(store_.restore(kAccount, "m0")));
    ASSERT_TRUE(run(store_.restore(kAccount, "m0")));
    EXPECT_EQ(totals().messages, 1u);
    EXPECT_EQ(code_of(run(store_.restore(kAccount, "unknown"))), Errc::not_found);
    expect_sound();
}

TEST_F(RetainedTest, RepeatsARestoreWhoseOutcomeIsUnknown) {
    using Applied = test::MemoryEngine::Applied;
    append_many(1);
    for (auto applied : {Applied::no, Applied::yes}) {
        remove({"m0"});
        engine_.fail_next_commits(1, Errc::outcome_unknown, applied);
        ASSERT_TRUE(run(store_.restore(kAccount, "m0")));
        EXPECT_EQ(totals().messages, 1u);
        expect_sound();
    }
}

TEST_F(RetainedTest, ExpiresWhenTheDaysAreOverAndNotBefore) {
    append_many(3);
    auto a = *run(store_.find(kAccount, "m0"));
    remove({"m0"});
    clock_.advance(days(10));
    remove({"m1"});
    clock_.advance(days(20) - std::chrono::milliseconds(1));
    EXPECT_EQ(expire(), 0u);
    clock_.advance(std::chrono::milliseconds(1));
    EXPECT_EQ(expire(), 1u);
    EXPECT_EQ(retained(), "m1");
    EXPECT_EQ(bytes(a), "!not_found");
    EXPECT_EQ(code_of(run(store_.find(kAccount, "m0"))), Errc::not_found);
    EXPECT_EQ(code_of(run(store_.restore(kAccount, "m0"))), Errc::not_found);
    expect_sound();
    clock_.advance(days(10));
    EXPECT_EQ(expire(), 1u);
    EXPECT_EQ(live(), "m2");
    EXPECT_EQ(engine_.body_count(kAccount), 1u);
    EXPECT_EQ(totals().retained_messages, 0u);
    expect_sound();
}

TEST_F(RetainedTest, AnAccountsOwnTimeHoldsForWhatWasDeletedBeforeToo) {
    options_.forget_messages = 2;
    MailStore store(engine_, clock_, options_);
    append_many(6);
    ASSERT_TRUE(run(store.remove(kAccount, names(0, 5), "admin")));
    const auto gone = [&] { return *run(store.expire(kAccount, clock_.now())); };
    const auto reads = engine_.reads();
    ASSERT_TRUE(run(store.set_retention(kAccount, std::nullopt)));
    EXPECT_EQ(engine_.reads() - reads, 1u) << "it is so already";
    ASSERT_TRUE(run(store.set_retention(kAccount, days(60))));
    EXPECT_TRUE(run(store.check(kAccount)));
    clock_.advance(days(59));
    EXPECT_EQ(gone(), 0u);
    ASSERT_TRUE(run(store.remove(kAccount, {"m5"}, "admin")));
    clock_.advance(days(1));
    EXPECT_EQ(gone(), 5u);
    EXPECT_EQ(run(store.list_retained(kAccount, 0, 10))->front().expires, clock_.now() + days(59));
    ASSERT_TRUE(run(store.set_retention(kAccount, days(1))));
    EXPECT_EQ(gone(), 1u) << "a shorter time holds at once";
    EXPECT_TRUE(run(store.check(kAccount)));
    ASSERT_TRUE(run(store.set_retention(kAccount, std::nullopt)));
    append("x", "m6");
    ASSERT_TRUE(run(store.remove(kAccount, {"m6"}, "admin")));
    EXPECT_EQ(run(store.list_retained(kAccount, 0, 10))->front().expires, clock_.now() + days(30));
}

TEST_F(RetainedTest, ATimeThatWasNotAppliedToAllIsAppliedLater) {
    options_.forget_messages = 2;
    MailStore store(engine_, clock_, options_);
    append_many(6);
    ASSERT_TRUE(run(store.remove(kAccount, names(0, 6), "admin")));
    engine_.fail_commits_after(2, Errc::no_space);
    EXPECT_FALSE(run(store.set_retention(kAccount, days(60))));
    engine_.fail_next_commits(0, Errc::no_space);
    ASSERT_TRUE(run(store.set_retention(kAccount, days(60))));
    for (const auto& one : *run(store.list_retained(kAccount, 0, 10)))
        EXPECT_EQ(one.expires, clock_.now() + days(60)) << one.message.unique_id;
    EXPECT_TRUE(run(store.check(kAccount)));
}

TEST_F(RetainedTest, SomeAreKeptTwiceAsLong) {
    append_many(4);
    remove(names(0, 2));
    clock_.advance(days(1));
    remove(names(2, 4));
    DeletionFilter which;
    which.since = clock_.now();
    which.reason = "admin";
    EXPECT_EQ(*run(store_.keep_twice(kAccount, which)), 2u);
    EXPECT_EQ(*run(store_.keep_twice(kAccount, which)), 0u) << "and not four times";
    which.reason = "pop3";
    EXPECT_EQ(*run(store_.keep_twice(kAccount, which)), 0u);
    expect_sound();
    clock_.advance(days(30));
    EXPECT_EQ(expire(), 2u);
    EXPECT_EQ(retained(), "m2 m3");
    ASSERT_TRUE(run(store_.set_retention(kAccount, days(40))));
    clock_.advance(days(49));
    EXPECT_EQ(expire(), 0u) << "twice 40";
    clock_.advance(days(1));
    EXPECT_EQ(expire(), 2u);
    expect_sound();
}

TEST_F(RetainedTest, OverTheLimitTheOldestDayGoesFirstAndTheNewestNever) {
    append_many(8);
    const auto octets = run(store_.find(kAccount, "m0"))->octets;
    options_.retained_limit = 5 * octets;
    options_.forget_messages = 2;
    MailStore store(engine_, clock_, options_);
    const auto remove_day = [&](int from, int to) {
        ASSERT_TRUE(run(store.remove(kAccount, names(from, to), "admin")));
        clock_.advance(days(1));
    };
    remove_day(0, 3);
    remove_day(3, 4);
    EXPECT_EQ(*run(store.keep_retained_limit(kAccount)), 0u);
    remove_day(4, 6);
    EXPECT_EQ(*run(store.keep_retained_limit(kAccount)), 3u) << "a day goes whole";
    EXPECT_EQ(retained(), "m3 m4 m5");
    options_.retained_limit = octets;
    MailStore stricter(engine_, clock_, options_);
    EXPECT_EQ(*run(stricter.keep_retained_limit(kAccount)), 1u);
    EXPECT_EQ(retained(), "m4 m5") << "the newest day stays, though it is too much";
    EXPECT_EQ(*run(stricter.keep_retained_limit(kAccount)), 0u);
    EXPECT_TRUE(run(stricter.check(kAccount)));
}

TEST_F(RetainedTest, OneIsRestoredIntoAnotherMailboxWithItsFlags) {
    append_many(2);
    const auto other = run(store_.add_mailbox(kAccount, "Other"));
    ASSERT_TRUE(other);
    FlagChange flagged{FlagChange::How::set, static_cast<std::uint8_t>(Flag::flagged), {"$Work"}};
    ASSERT_TRUE(run(store_.change_flags(kAccount, kInbox, {Uid(1)}, flagged)));
    remove({"m0"});
    ASSERT_TRUE(run(store_.restore(kAccount, "m0", other->id)));
    const auto there = run(store_.list(kAccount, other->id, OrderKey(0), 10));
    ASSERT_EQ(there->size(), 1u);
    EXPECT_EQ(there->front().unique_id, "m0");
    EXPECT_TRUE(there->front().flags.has(Flag::flagged));
    EXPECT_EQ(*run(store_.keywords(kAccount, other->id)), std::vector<std::string>{"$Work"});
    EXPECT_EQ(live(), "m1");
    remove({"m1"});
    EXPECT_EQ(code_of(run(store_.restore(kAccount, "m1", MailboxId(99)))), Errc::not_found);
    EXPECT_EQ(retained(), "m1");
    expect_sound();
}

TEST_F(RetainedTest, ExpiryIsOneReadWhenThereIsNothingToDo) {
    append_many(10);
    remove(names(0, 5));
    auto reads = engine_.reads(), commits = engine_.commits();
    EXPECT_EQ(expire(), 0u);
    EXPECT_EQ(engine_.reads() - reads, 1u);
    clock_.advance(days(31));
    EXPECT_EQ(expire(), 5u);
    reads = engine_.reads();
    EXPECT_EQ(expire(), 0u);
    EXPECT_EQ(engine_.reads() - reads, 1u);
    EXPECT_EQ(engine_.commits() - commits, 1u);
}

TEST_F(RetainedTest, ExpiresInBoundedCommits) {
    append_many(2500);
    remove(names(0, 2500));
    clock_.advance(days(1));
    append("later", "later");
    remove({"later"});
    clock_.advance(days(29));
    std::size_t most = 0;
    engine_.on_commit(
        [&](engine::PartitionId, const engine::Batch& batch) { most = std::max(most, batch.erased_bodies.size()); });
    EXPECT_EQ(expire(), 2500u);
    EXPECT_EQ(most, options_.forget_messages);
    EXPECT_EQ(retained(), "later");
    expect_sound();
    clock_.advance(days(1));
    EXPECT_EQ(expire(), 1u);
}

TEST_F(RetainedTest, AnExpiryThatFailsHalfwayLeavesTheCountersRight) {
    append_many(2500);
    remove(names(0, 2500));
    clock_.advance(days(31));
    engine_.fail_commits_after(1, Errc::no_space);
    EXPECT_EQ(code_of(run(store_.expire(kAccount, clock_.now()))), Errc::no_space);
    engine_.fail_next_commits(0, Errc::no_space);
    EXPECT_EQ(totals().retained_messages, 1500u);
    expect_sound();
    EXPECT_EQ(expire(), 1500u);
    expect_sound();
}

TEST_F(RetainedTest, ADamagedRecordDoesNotKeepOthersFromExpiring) {
    append_many(3);
    auto middle = *run(store_.find(kAccount, "m1"));
    remove(names(0, 3));
    put(keys::retained(clock_.now() + days(30), kInbox, middle.order), "nonsense");
    clock_.advance(days(30));
    EXPECT_EQ(expire(), 2u);
    EXPECT_EQ(expire(), 0u);
    EXPECT_EQ(code_of(run(store_.list_retained(kAccount, 0, 10))), Errc::corrupt);
    EXPECT_EQ(code_of(run(store_.find(kAccount, "m1"))), Errc::corrupt);
}

TEST_F(RetainedTest, PurgingForgetsEverythingInBoundedCommits) {
    append_many(2500);
    auto first = *run(store_.find(kAccount, "m0"));
    remove(names(0, 1200));
    std::size_t most = 0;
    engine_.on_commit(
        [&](engine::PartitionId, const engine::Batch& batch) { most = std::max(most, batch.erased_bodies.size()); });
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(most, options_.forget_messages);
    EXPECT_EQ(totals().messages, 0u);
    EXPECT_EQ(totals().retained_messages, 0u);
    EXPECT_EQ(engine_.body_count(kAccount), 0u);
    EXPECT_TRUE(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->empty());
    EXPECT_EQ(bytes(first), "!not_found");
    expect_sound();
    auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(engine_.commits(), commits) << "nothing to forget";
}

TEST_F(RetainedTest, APurgeClosesTheAccountInTheCommitThatEndsIt) {
    append_many(2500);
    remove(names(0, 700));
    for (int survived = 0;; ++survived) {
        engine_.fail_commits_after(survived, Errc::io);
        auto purged = run(store_.purge(kAccount));
        engine_.fail_next_commits(0, Errc::io);
        auto late = run(store_.append(kAccount, message("late")));
        if (purged) {
            EXPECT_EQ(code_of(late), Errc::not_found);
            break;
        }
        EXPECT_TRUE(late) << "it is not purged yet";
    }
    EXPECT_EQ(engine_.body_count(kAccount), 0u);
    EXPECT_EQ(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->size(), 1u) << "only that it is closed";
    expect_sound();
    auto commits = engine_.commits();
    for (auto afterwards : {Afterwards::closed, Afterwards::open}) ASSERT_TRUE(run(store_.purge(kAccount, afterwards)));
    EXPECT_EQ(engine_.commits(), commits) << "nothing to forget, and it stays closed";
    put(keys::account(), "nonsense");
    MailStore fresh(engine_, clock_, options_);
    ASSERT_TRUE(run(fresh.purge(kAccount)));
    EXPECT_EQ(code_of(run(fresh.append(kAccount, message("late")))), Errc::not_found);
}

TEST_F(RetainedTest, APurgedAccountNeverMakesAnOldUniqueIdAgain) {
    auto before = append("a").unique_id;
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    auto after = append("b").unique_id;
    EXPECT_NE(before.substr(0, kGenerationLength), after.substr(0, kGenerationLength));
    expect_sound();
}

TEST_F(RetainedTest, APurgeThatFailsHalfwayLeavesTheCountersRightAndCanBeRepeated) {
    append_many(2500);
    remove(names(0, 700));
    for (int survived : {0, 1, 2, 1}) {
        engine_.fail_commits_after(survived, Errc::io);
        EXPECT_EQ(code_of(run(store_.purge(kAccount, Afterwards::open))), Errc::io);
        engine_.fail_next_commits(0, Errc::io);
        auto sound = run(store_.check(kAccount));
        if (totals().messages + totals().retained_messages == 0) break;
        EXPECT_TRUE(sound) << sound.error().detail();
    }
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_EQ(engine_.body_count(kAccount), 0u);
}

TEST_F(RetainedTest, PurgingGetsRidOfDamageToo) {
    append_many(3);
    put(keys::message(kInbox, OrderKey(2)), "nonsense");
    put(keys::account(), "nonsense");
    put(keys::unique_id("stray"), "nonsense");
    EXPECT_EQ(code_of(run(store_.totals(kAccount))), Errc::corrupt);
    EXPECT_EQ(code_of(run(store_.open_maildrop(kAccount))), Errc::corrupt);
    EXPECT_EQ(code_of(run(store_.find(kAccount, "stray"))), Errc::corrupt);
    MailStore fresh(engine_, clock_, options_);  // knows nothing of before
    EXPECT_EQ(code_of(run(fresh.append(kAccount, message("x")))), Errc::corrupt);
    ASSERT_TRUE(run(fresh.purge(kAccount, Afterwards::open)));
    EXPECT_TRUE(run(engine_.scan(kAccount, {std::string(1, '\0'), "\xff"}, 10))->empty());
    ASSERT_TRUE(run(fresh.append(kAccount, message("x"))));
    expect_sound();
}

TEST_F(RetainedTest, CheckNamesWhatIsWrong) {
    auto spoil = [&](std::string key, std::string value) {
        auto old = run(engine_.get(kAccount, key));
        put(key, std::move(value));
        auto sound = run(store_.check(kAccount));
        EXPECT_EQ(code_of(sound), Errc::corrupt);
        engine::Batch undo;
        if (old) {
            undo.put(key, *old);
        } else {
            undo.erase(key);
        }
        EXPECT_TRUE(run(engine_.commit(kAccount, std::move(undo))));
        expect_sound();
        return sound ? "" : sound.error().detail();
    };
    append_many(3);
    remove({"m1"});
    auto record = *decode_account(*run(engine_.get(kAccount, keys::account())));
    auto with = [&](auto change) {
        auto wrong = record;
        change(wrong);
        return encode(wrong);
    };
    auto m0 = *run(store_.find(kAccount, "m0"));
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { ++r.inbox.totals.messages; })),
              "messages: 3 recorded, 2 counted");
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { r.inbox.totals.octets = 1; })),
              "octets: 1 recorded, 36 counted");
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { r.retained_messages = 0; })),
              "retained messages: 0 recorded, 1 counted");
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { ++r.retained_octets; })),
              "retained octets: 19 recorded, 18 counted");
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { r.inbox.next_order = OrderKey(3); })),
              "next place in the order: 3 recorded, 3 counted");
    EXPECT_EQ(spoil(keys::account(), with([](auto& r) { r.earliest_expiry += days(1); })),
              "a retained message expires before the recorded time");
    EXPECT_EQ(spoil(keys::unique_id("extra"), encode(Place{})), "unique-ids: 4 recorded, 3 counted");
    EXPECT_EQ(spoil(keys::unique_id("m0"), encode(Place{Place::Area::live, kInbox, OrderKey(9), {}})),
              "the unique-id index has message m0 elsewhere");
    auto renamed = m0;
    renamed.unique_id = "other";
    EXPECT_EQ(spoil(keys::message(kInbox, m0.order), encode(renamed)), "message other is not in the unique-id index");
    auto made = append("made");
    EXPECT_EQ(spoil(keys::unique_id(made.unique_id), encode(Place{Place::Area::live, kInbox, m0.order, {}})),
              "the unique-id index has message " + made.unique_id + " elsewhere");
    auto moved = *run(store_.find(kAccount, made.unique_id));
    --moved.unique_id.back();
    EXPECT_EQ(spoil(keys::message(kInbox, made.order), encode(moved)),
              "message " + moved.unique_id + " is not in the unique-id index");
}

TEST_F(RetainedTest, LiveMailGoesWhenItsDaysAreOverAndIsKeptAsWhatSomebodyDeleted) {
    append_many(3);
    clock_.advance(days(2));
    append("x", "later");
    auto last = clock_.now() - days(2);
    EXPECT_EQ(*run(store_.expire_live(kAccount, last - std::chrono::milliseconds(1))), 0u);
    EXPECT_EQ(*run(store_.expire_live(kAccount, last)), 3u);
    EXPECT_EQ(live(), "later");
    EXPECT_EQ(retained(), "m0 m1 m2");
    EXPECT_EQ(run(store_.list_retained(kAccount, 0, 1))->front().reason, "expire");
    expect_sound();
    EXPECT_EQ(*run(store_.expire_live(kAccount, last)), 0u);
    EXPECT_TRUE(run(store_.restore(kAccount, "m1")));
    expect_sound();
}

TEST_F(RetainedTest, LiveMailOfMoreThanACommitGoesInSeveral) {
    append_many(2500);
    auto commits = engine_.commits();
    EXPECT_EQ(*run(store_.expire_live(kAccount, clock_.now())), 2500u);
    EXPECT_EQ(engine_.commits() - commits, 4u) << "one message, then a thousand at a time";
    EXPECT_EQ(live(), "");
    expect_sound();
}

TEST_F(RetainedTest, AskingWhatHasComeOfAgeCostsOneReadWhereNothingHas) {
    auto cost = [&] {
        auto before = engine_.reads();
        EXPECT_EQ(*run(store_.expire_live(kAccount, clock_.now() - days(1))), 0u);
        return engine_.reads() - before;
    };
    EXPECT_EQ(cost(), 1u);
    append_many(50);
    EXPECT_EQ(cost(), 1u);
}

TEST_F(RetainedTest, ASessionThatIsOpenReadsWhatExpiredMeanwhile) {
    append("S: x\r\n\r\n", "m0");
    auto maildrop = open_maildrop();
    auto list = run(maildrop->messages());
    EXPECT_EQ(*run(store_.expire_live(kAccount, clock_.now())), 1u);
    EXPECT_EQ(read(run(maildrop->open((**list)[0]))), "Delivered-To: x\r\nS: x\r\n\r\n");
    EXPECT_TRUE(run(maildrop->remove({1}))) << "it is gone, as the client wanted";
    expect_sound();
}

}  // namespace
}  // namespace poplar::mailstore
