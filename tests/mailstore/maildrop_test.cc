// POP's view of INBOX: as of login whatever happens, lists that are kept and served again, removals, damage.
#include <functional>

#include "base/steady.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

class MaildropTest : public StoreTest {
protected:
    std::vector<Message> messages(Maildrop& maildrop) {
        auto list = run(maildrop.messages());
        EXPECT_TRUE(list);
        return list ? **list : std::vector<Message>{};
    }
};

TEST_F(MaildropTest, HasOneHolderAtATime) {
    auto first = open_maildrop();
    EXPECT_EQ(code_of(run(store_.open_maildrop(kAccount))), Errc::busy);
    EXPECT_TRUE(run(store_.open_maildrop(AccountId(8))));
    first.reset();
    EXPECT_TRUE(run(store_.open_maildrop(kAccount)));
}

TEST_F(MaildropTest, AFailedOpeningGivesTheLockBack) {
    append("a");
    engine_.fail_next_reads(1, Errc::io);
    EXPECT_EQ(code_of(run(store_.open_maildrop(kAccount))), Errc::io);
    EXPECT_TRUE(run(store_.open_maildrop(kAccount)));
    EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
}

TEST_F(MaildropTest, OpeningCostsOneReadWhateverItHolds) {
    for (int messages : {0, 1, 50}) {
        for (int i = 0; i < messages; ++i) append("x");
        auto before = engine_.reads();
        auto maildrop = open_maildrop();
        EXPECT_EQ(engine_.reads() - before, 1u) << messages;
    }
}

TEST_F(MaildropTest, HoldsASnapshotOnlyUntilTheListIsLoaded) {
    {
        auto empty = open_maildrop();
        EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
        EXPECT_TRUE(messages(*empty).empty());
    }
    append("a");
    auto maildrop = open_maildrop();
    EXPECT_EQ(engine_.snapshot_count(kAccount), 1u);
    EXPECT_EQ(messages(*maildrop).size(), 1u);
    EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
    auto before = engine_.reads();
    EXPECT_EQ(messages(*maildrop).size(), 1u);
    EXPECT_EQ(engine_.reads(), before) << "loaded once";
}

TEST_F(MaildropTest, ASnapshotIsNotHeldForAsLongAsASessionWaits) {
    append("a");
    auto b = append("b");
    auto maildrop = open_maildrop();
    maildrop->become_idle();
    EXPECT_EQ(engine_.snapshot_count(kAccount), 1u) << "the list may be asked for at once";
    SteadyClock::move(std::chrono::seconds(6));
    maildrop->become_idle();
    EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
    append("c");
    ASSERT_TRUE(run(maildrop->message(2, b.unique_id)));
    auto list = messages(*maildrop);
    ASSERT_EQ(list.size(), 2u) << "as of the login";
    EXPECT_EQ(list[1].unique_id, b.unique_id);
    EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
}

TEST_F(MaildropTest, AListThatIsAskedForLateIsRefusedIfSomebodyElseRemovedMessagesBefore) {
    auto a = append("a");
    append("b");
    for (bool listed : {true, false}) {
        auto maildrop = open_maildrop();
        if (listed) EXPECT_EQ(messages(*maildrop).size(), 2u);
        SteadyClock::move(std::chrono::seconds(6));
        maildrop->become_idle();
        ASSERT_TRUE(run(store_.remove(kAccount, {a.unique_id}, "admin")));
        auto list = run(maildrop->messages());
        if (listed) {
            ASSERT_TRUE(list);
            EXPECT_EQ(read(run(maildrop->open((**list)[0]))), bytes(a)) << "what was listed can be fetched";
        } else {
            EXPECT_EQ(code_of(list), Errc::conflict);
            EXPECT_EQ(code_of(run(maildrop->message(1, a.unique_id))), Errc::conflict);
            EXPECT_EQ(code_of(run(maildrop->remove({2}))), Errc::conflict);
        }
        ASSERT_TRUE(run(store_.restore(kAccount, a.unique_id)));
    }
}

TEST_F(MaildropTest, AnUnchangedMaildropIsListedAgainWithoutReadingIt) {
    append("a");
    append("b");
    auto reads = [&] {
        auto maildrop = open_maildrop();
        auto before = engine_.reads();
        EXPECT_EQ(messages(*maildrop).size(), maildrop->message_count());
        EXPECT_EQ(engine_.snapshot_count(kAccount), 0u);
        return engine_.reads() - before;
    };
    EXPECT_EQ(reads(), 1u);
    EXPECT_EQ(reads(), 0u);
    append("c");
    EXPECT_EQ(reads(), 1u);
    EXPECT_EQ(reads(), 0u);
    ASSERT_TRUE(run(open_maildrop()->remove({2})));
    EXPECT_EQ(reads(), 1u);
    auto maildrop = open_maildrop();
    auto list = messages(*maildrop);
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(read(run(maildrop->open(list[1]))), "Delivered-To: x\r\nc");
    ASSERT_TRUE(run(maildrop->remove({1})));
    maildrop.reset();
    EXPECT_EQ(reads(), 1u);
}

// Lists are kept by their version, so a change that left the version as it was would have a wrong list served.
TEST_F(MaildropTest, AKeptListIsServedAfterNoChangeOfTheMailbox) {
    for (std::string name : {"a", "b", "c", "d"}) append("x", name);
    auto names = [&] {
        auto maildrop = open_maildrop();
        std::string text;
        for (const auto& m : messages(*maildrop)) text += m.unique_id + " ";
        return text;
    };
    auto remove = [&](std::string name) {
        return run(store_.remove(kAccount, {std::move(name)}, "admin")).has_value();
    };
    struct Case {
        std::string_view what;
        std::function<bool()> change;
        std::string_view list;
    };
    const Case cases[] = {
        {"nothing", [] { return true; }, "a b c d "},
        {"a removal by an administrator", [&] { return remove("b"); }, "a c d "},
        {"a restore", [&] { return run(store_.restore(kAccount, "b")).has_value(); }, "a b c d "},
        {"a removal and a delivery of as much", [&] { return remove("b") && !append("x", "e").unique_id.empty(); },
         "a c d e "},
        {"one restored, another removed", [&] { return run(store_.restore(kAccount, "b")) && remove("c"); },
         "a b d e "},
        {"a removal by a session", [&] { return run(open_maildrop()->remove({1})).has_value(); }, "b d e "},
        {"expiry of live mail", [&] { return run(store_.expire_live(kAccount, clock_.now())).value_or(0) == 3; }, ""},
        {"a delivery", [&] { return !append("x", "f").unique_id.empty(); }, "f "},
        {"expiry of retained mail",
         [&] {
             clock_.advance(std::chrono::days(31));
             return run(store_.expire(kAccount, clock_.now())).value_or(0) == 5;
         },
         "f "},
        {"a purge and a delivery",
         [&] { return run(store_.purge(kAccount, Afterwards::open)) && !append("x", "g").unique_id.empty(); }, "g "},
    };
    for (const auto& [what, change, list] : cases) {
        names();  // is kept now
        ASSERT_TRUE(change()) << what;
        EXPECT_EQ(names(), list) << what;
        EXPECT_EQ(names(), list) << what << ", kept";
    }
}

TEST_F(MaildropTest, ListsMessagesOldestFirst) {
    std::vector<Message> stored;
    for (int i = 0; i < 20; ++i) stored.push_back(append(std::string(i, 'x')));
    auto maildrop = open_maildrop();
    auto list = messages(*maildrop);
    ASSERT_EQ(list.size(), stored.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        EXPECT_EQ(list[i].unique_id, stored[i].unique_id);
        EXPECT_EQ(list[i].octets, stored[i].octets);
        EXPECT_EQ(list[i].body, stored[i].body);
    }
}

TEST_F(MaildropTest, ListsMoreMessagesThanOnePageHolds) {
    std::vector<Task<Result<Message>>> tasks;
    for (int i = 0; i < 2500; ++i) tasks.push_back(store_.append(kAccount, message("x")));
    run_together(std::move(tasks));
    auto maildrop = open_maildrop();
    EXPECT_EQ(maildrop->message_count(), 2500u);
    auto list = messages(*maildrop);
    ASSERT_EQ(list.size(), 2500u);
    for (std::size_t i = 1; i < list.size(); ++i) ASSERT_LT(list[i - 1].order, list[i].order);
}

TEST_F(MaildropTest, SeesNothingThatComesOrGoesAfterLogin) {
    auto a = append("a"), b = append("b");
    auto maildrop = open_maildrop();
    append("late");
    ASSERT_TRUE(run(store_.remove(kAccount, {a.unique_id}, "admin")));
    EXPECT_EQ(maildrop->message_count(), 2u);
    EXPECT_EQ(maildrop->octets(), a.octets + b.octets);
    auto list = messages(*maildrop);
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].unique_id, a.unique_id);
    EXPECT_EQ(read(run(maildrop->open(list[0]))), "Delivered-To: x\r\na") << "removed meanwhile, still readable";
}

TEST_F(MaildropTest, MovesRemovedMessagesToTheRetainedArea) {
    auto a = append("a"), b = append("bb"), c = append("ccc");
    auto maildrop = open_maildrop();
    ASSERT_TRUE(run(maildrop->remove({1, 3})));
    EXPECT_EQ(live(), b.unique_id);
    EXPECT_EQ(totals().messages, 1u);
    EXPECT_EQ(totals().octets, b.octets);
    EXPECT_EQ(totals().retained_messages, 2u);
    EXPECT_EQ(totals().retained_octets, a.octets + c.octets);
    auto kept = run(store_.list_retained(kAccount, 0, 10));
    ASSERT_TRUE(kept);
    ASSERT_EQ(kept->size(), 2u);
    EXPECT_EQ((*kept)[0].reason, "pop3");
    EXPECT_EQ((*kept)[0].deleted, clock_.now());
    EXPECT_EQ((*kept)[0].expires, clock_.now() + std::chrono::days(30));
    EXPECT_EQ(bytes((*kept)[1].message), "Delivered-To: x\r\nccc");
    expect_sound();
}

TEST_F(MaildropTest, KeepsWhatArrivedDuringTheSession) {
    append("a");
    auto maildrop = open_maildrop();
    auto late = append("late");
    ASSERT_TRUE(run(maildrop->remove({1})));
    EXPECT_EQ(live(), late.unique_id);
    EXPECT_EQ(totals().octets, late.octets);
    expect_sound();
}

TEST_F(MaildropTest, RemovesHundredsInOneCommit) {
    std::vector<Task<Result<Message>>> tasks;
    for (int i = 0; i < 2500; ++i) tasks.push_back(store_.append(kAccount, message("x")));
    run_together(std::move(tasks));
    auto maildrop = open_maildrop();
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t n = 2; n <= 2500; n += 2) numbers.push_back(n);
    auto before = engine_.commits();
    ASSERT_TRUE(run(maildrop->remove(numbers)));
    EXPECT_EQ(engine_.commits() - before, 1u);
    EXPECT_EQ(totals().messages, 1250u);
    expect_sound();
    auto list = messages(*maildrop);
    for (std::size_t i = 0; i < list.size(); i += 100)
        EXPECT_EQ(run(store_.list(kAccount, OrderKey(list[i].order.value - 1), 1))->front().order, list[i].order);
}

TEST_F(MaildropTest, RemovesAllOrNone) {
    for (int i = 0; i < 5; ++i) append("x");
    auto before = live();
    auto maildrop = open_maildrop();
    engine_.fail_next_commits(1, Errc::no_space);
    EXPECT_EQ(code_of(run(maildrop->remove({1, 2, 3}))), Errc::no_space);
    EXPECT_EQ(live(), before);
    expect_sound();
    ASSERT_TRUE(run(maildrop->remove({1, 2, 3}))) << "and it may be tried again";
    EXPECT_EQ(totals().messages, 2u);
}

TEST_F(MaildropTest, WhatOthersRemovedCountsAsRemoved) {
    auto a = append("a");
    append("b");
    auto maildrop = open_maildrop();
    ASSERT_TRUE(run(store_.remove(kAccount, {a.unique_id}, "admin")));
    ASSERT_TRUE(run(maildrop->remove({1, 2})));
    EXPECT_EQ(totals().messages, 0u);
    EXPECT_EQ(totals().retained_messages, 2u);
    ASSERT_TRUE(run(maildrop->remove({1, 2}))) << "a repeated removal, too";
    EXPECT_EQ(totals().retained_messages, 2u);
    expect_sound();
}

TEST_F(MaildropTest, DoesNotTouchMessagesOfALaterLifeAtTheSamePlace) {
    for (int i = 0; i < 40; ++i) append("old");
    auto maildrop = open_maildrop();
    messages(*maildrop);
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    auto fresh = append("new");
    std::vector<std::uint32_t> all;
    for (std::uint32_t n = 1; n <= 40; ++n) all.push_back(n);
    ASSERT_TRUE(run(maildrop->remove({1})));
    ASSERT_TRUE(run(maildrop->remove(all)));
    EXPECT_EQ(live(), fresh.unique_id);
    expect_sound();
}

TEST_F(MaildropTest, RefusesNumbersThatAreNotThere) {
    append("a");
    append("b");
    auto maildrop = open_maildrop();
    for (const std::vector<std::uint32_t>& numbers : {std::vector<std::uint32_t>{0}, {3}, {1, 3}, {2, 1}, {1, 1}})
        EXPECT_EQ(code_of(run(maildrop->remove(numbers))), Errc::invalid);
    EXPECT_TRUE(run(maildrop->remove({})));
    EXPECT_EQ(totals().messages, 2u);
}

TEST_F(MaildropTest, RemovesNothingOnceItsLockIsLost) {
    append("a");
    auto maildrop = open_maildrop();
    engine_.break_lease(kAccount, "pop3:inbox");
    EXPECT_EQ(code_of(run(maildrop->remove({1}))), Errc::denied);
    EXPECT_EQ(totals().messages, 1u);
    expect_sound();
}

TEST_F(MaildropTest, RepeatsARemovalWhoseOutcomeIsUnknown) {
    using Applied = test::MemoryEngine::Applied;
    for (auto applied : {Applied::no, Applied::yes}) {
        append("a");
        auto maildrop = open_maildrop();
        engine_.fail_next_commits(1, Errc::outcome_unknown, applied);
        ASSERT_TRUE(run(maildrop->remove({1})));
        EXPECT_EQ(totals().messages, 0u);
        expect_sound();
    }
    EXPECT_EQ(totals().retained_messages, 2u);
}

TEST_F(MaildropTest, ADamagedRecordAnswersCorruptAndTheOthersStayReachable) {
    auto a = append("a"), b = append("b");
    put(keys::message(kInbox, a.order), "nonsense");
    auto maildrop = open_maildrop();
    EXPECT_EQ(code_of(run(maildrop->messages())), Errc::corrupt);
    EXPECT_EQ(code_of(run(maildrop->remove({1}))), Errc::corrupt);
    EXPECT_EQ(bytes(*run(store_.find(kAccount, b.unique_id))), "Delivered-To: x\r\nb");
    EXPECT_EQ(code_of(run(store_.check(kAccount))), Errc::corrupt);
}

TEST_F(MaildropTest, WrongCountersDoNotKeepAnybodyFromTheirMail) {
    append("a");
    auto b = append("b");
    AccountRecord wrong;
    wrong.generation = std::string(kGenerationLength, 'g');
    wrong.inbox.next_order = OrderKey(3);
    wrong.inbox.totals = {1'000'000'000'000, 5, 0, 0};
    put(keys::account(), encode(wrong));
    EXPECT_EQ(code_of(run(store_.check(kAccount))), Errc::corrupt);
    auto maildrop = open_maildrop();
    EXPECT_EQ(messages(*maildrop).size(), 2u);
    EXPECT_EQ(maildrop->message_count(), 2u);
    EXPECT_EQ(maildrop->octets(), 2 * b.octets);
}

TEST_F(MaildropTest, WhatCameSinceAnEarlierListIsReadAlone) {
    for (int i = 0; i < 500; ++i) append("x");
    const ListVersion older = *open_maildrop()->version();
    auto fresh = append("y");
    auto maildrop = open_maildrop();
    ASSERT_TRUE(maildrop->version()->continues(older));
    auto before = engine_.reads();
    auto since = run(maildrop->messages_since(older));
    ASSERT_TRUE(since);
    ASSERT_EQ(since->size(), 1u);
    EXPECT_EQ(since->front().unique_id, fresh.unique_id);
    auto first = run(store_.list(kAccount, OrderKey(0), 1));
    auto single = run(maildrop->message(1, first->front().unique_id));
    ASSERT_TRUE(single);
    EXPECT_EQ((*single)->order, first->front().order);
    EXPECT_LE(engine_.reads() - before, 4u) << "a page, and two entries for the single one";
    before = engine_.reads();
    ASSERT_TRUE(run(maildrop->messages_since(older)));
    ASSERT_TRUE(run(maildrop->message(501, fresh.unique_id)));
    EXPECT_EQ(engine_.reads(), before) << "read once";
    ASSERT_TRUE(run(maildrop->remove({1, 501}))) << "the others need not be read for that";
    EXPECT_EQ(totals().messages, 499u);
    expect_sound();
}

TEST_F(MaildropTest, SinglesAndWhatCameSinceAreAsOfTheLogin) {
    auto a = append("a"), b = append("b");
    const ListVersion older = *open_maildrop()->version();
    auto c = append("c"), d = append("d");
    auto maildrop = open_maildrop();
    append("late");
    ASSERT_TRUE(run(store_.remove(kAccount, {a.unique_id, c.unique_id}, "admin")));
    auto since = run(maildrop->messages_since(older));
    ASSERT_TRUE(since);
    ASSERT_EQ(since->size(), 2u);
    EXPECT_EQ((*since)[0].unique_id, c.unique_id);
    EXPECT_EQ((*since)[1].unique_id, d.unique_id);
    auto single = run(maildrop->message(1, a.unique_id));
    ASSERT_TRUE(single);
    EXPECT_EQ(read(run(maildrop->open(**single))), "Delivered-To: x\r\na");
    EXPECT_EQ(code_of(run(maildrop->message(2, "no-such-id"))), Errc::not_found);
    ASSERT_TRUE(run(maildrop->remove({1, 2, 3}))) << "2 was not read before";
    EXPECT_TRUE(live().starts_with(d.unique_id));
    EXPECT_EQ(totals().messages, 2u);
    expect_sound();
}

TEST_F(MaildropTest, AListThatIsNotContinuedOrDoesNotAddUpIsNotTakenForABeginning) {
    auto a = append("a");
    append("b");
    const ListVersion older = *open_maildrop()->version();
    ASSERT_TRUE(run(store_.remove(kAccount, {a.unique_id}, "admin")));
    append("c");
    EXPECT_EQ(code_of(run(open_maildrop()->messages_since(older))), Errc::invalid);
    ASSERT_TRUE(run(store_.restore(kAccount, a.unique_id)));
    EXPECT_EQ(code_of(run(open_maildrop()->messages_since(older))), Errc::invalid) << "removed and restored";

    const ListVersion sound = *open_maildrop()->version();
    for (bool missing : {true, false}) {
        auto record = *decode_account(*run(engine_.get(kAccount, keys::account())));
        const auto right = record;
        if (missing) {
            record.inbox.next_order.value += 1;
            record.inbox.totals.messages += 1;
            record.inbox.totals.octets += 17;
        } else {
            auto list = run(store_.list(kAccount, OrderKey(0), 10));
            put(keys::message(kInbox, OrderKey(record.inbox.next_order.value)), encode(list->back()));
            record.inbox.next_order.value += 1;
            record.inbox.totals.messages += 1;
            record.inbox.totals.octets += list->back().octets + 1;
        }
        put(keys::account(), encode(record));
        auto maildrop = open_maildrop();
        ASSERT_TRUE(maildrop->version()->continues(sound));
        EXPECT_EQ(code_of(run(maildrop->messages_since(sound))), Errc::corrupt);
        EXPECT_FALSE(messages(*maildrop).empty());
        EXPECT_FALSE(maildrop->version()) << "nothing may be kept of it";
        maildrop.reset();
        put(keys::account(), encode(right));
    }
}

TEST_F(MaildropTest, APurgeBeginsAListThatContinuesNoOther) {
    append("a");
    const ListVersion older = *open_maildrop()->version();
    ASSERT_TRUE(run(store_.purge(kAccount, Afterwards::open)));
    EXPECT_FALSE(open_maildrop()->version()->continues(older));
    append("b");
    append("c");
    EXPECT_FALSE(open_maildrop()->version()->continues(older));
}

}  // namespace
}  // namespace poplar::mailstore
