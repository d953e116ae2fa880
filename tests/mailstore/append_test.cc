// Appending: unique-ids, many at once in one commit, failures, and mail that comes while the account goes.
#include <set>

#include "base/random.h"
#include "mailstore/keys.h"
#include "mailstore/record.h"
#include "tests/mailstore/fixture.h"

namespace poplar::mailstore {
namespace {

using test::run;

class AppendTest : public StoreTest {
protected:
    std::vector<Result<Message>> append_together(int count, std::size_t size = 100, AccountId account = kAccount) {
        std::vector<Task<Result<Message>>> tasks;
        for (int i = 0; i < count; ++i) tasks.push_back(store_.append(account, message(std::string(size, 'x'))));
        return run_together(std::move(tasks));
    }
};

TEST_F(AppendTest, AnswersWithTheMessageAsStored) {
    clock_.advance(std::chrono::seconds(5));
    auto done = run(store_.append(kAccount, message("Subject: a\r\n\r\n..dot\r\n", "", 1)));
    ASSERT_TRUE(done);
    EXPECT_EQ(done->order, OrderKey(1));
    EXPECT_TRUE(is_unique_id(done->unique_id));
    EXPECT_EQ(done->wire_octets, 17u + 21u);
    EXPECT_EQ(done->octets, 17u + 20u);
    EXPECT_EQ(done->received, clock_.now());
    EXPECT_EQ(bytes(*done), "Delivered-To: x\r\nSubject: a\r\n\r\n..dot\r\n");
    auto found = run(store_.find(kAccount, done->unique_id));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->order, done->order);
    EXPECT_EQ(found->octets, done->octets);
    EXPECT_EQ(found->wire_octets, done->wire_octets);
    EXPECT_EQ(found->received, done->received);
    EXPECT_EQ(found->body, done->body);
    expect_sound();
}

TEST_F(AppendTest, CountsMessagesAndOctets) {
    EXPECT_EQ(totals().messages, 0u);
    append(std::string(100, 'a'));
    append(std::string(200, 'b'));
    EXPECT_EQ(totals().messages, 2u);
    EXPECT_EQ(totals().octets, 300u + 2 * 17);
    EXPECT_EQ(totals().retained_messages, 0u);
    EXPECT_EQ(run(store_.totals(AccountId(8)))->messages, 0u);
}

TEST_F(AppendTest, StoresAnEmptyMessage) {
    auto done = run(store_.append(kAccount, NewMessage{}));
    ASSERT_TRUE(done);
    EXPECT_EQ(done->octets, 0u);
    EXPECT_EQ(bytes(*done), "");
    expect_sound();
}

TEST_F(AppendTest, KeepsAGivenUniqueId) {
    EXPECT_EQ(append("a", "from-elsewhere").unique_id, "from-elsewhere");
    EXPECT_EQ(append("b", std::string(70, '~')).unique_id, std::string(70, '~'));
    EXPECT_EQ(live(), "from-elsewhere " + std::string(70, '~'));
}

TEST_F(AppendTest, RefusesMalformedUniqueIds) {
    for (std::string id : {std::string("has space"), std::string(71, 'x'), std::string("tab\t"), std::string("\x7f"),
                           std::string("\xc3\xa9"), std::string("nul\0x", 5)})
        EXPECT_EQ(code_of(run(store_.append(kAccount, message("a", id)))), Errc::invalid) << id;
    EXPECT_EQ(totals().messages, 0u);
}

TEST_F(AppendTest, RefusesAUniqueIdThatIsThereLiveOrRetained) {
    append("a", "one");
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("b", "one")))), Errc::exists);
    ASSERT_TRUE(run(store_.remove(kAccount, {"one"}, "admin")));
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("b", "one")))), Errc::exists);
    EXPECT_EQ(append("c", "one", AccountId(8)).unique_id, "one") << "another account's are its own";
    expect_sound();
}

TEST_F(AppendTest, RefusesAUniqueIdThatTheMailboxMayStillMake) {
    auto made = append("a").unique_id;
    auto next = made.substr(0, kGenerationLength) + "zz";
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("b", next)))), Errc::exists);
}

TEST_F(AppendTest, AUniqueIdMadeHereComesBackOnceNobodyHasIt) {
    auto made = append("a");
    append("b");
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("c", made.unique_id)))), Errc::exists);
    ASSERT_TRUE(run(store_.remove(kAccount, {made.unique_id}, "admin")));
    clock_.advance(std::chrono::days(40));
    ASSERT_TRUE(run(store_.expire(kAccount, clock_.now())));
    auto back = append("a", made.unique_id);
    EXPECT_EQ(back.unique_id, made.unique_id);
    EXPECT_NE(back.order, made.order);
    EXPECT_EQ(run(store_.find(kAccount, made.unique_id))->order, back.order);
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("d", made.unique_id)))), Errc::exists);
    const auto next = made.unique_id.substr(0, kGenerationLength) + base32_text(back.order.value + 1);
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("e", next)))), Errc::exists);
    expect_sound();
}

TEST_F(AppendTest, EachStartMakesUniqueIdsThatNoOtherMakes) {
    std::set<std::string> ids{append("of the first start").unique_id};
    const engine::KeyRange everything{std::string(1, '\0'), "\xff"};
    const auto copy = run(engine_.scan(kAccount, everything, 100));
    for (int start = 0; start < 20; ++start) {
        engine::Batch put_back;
        for (const auto entry : *copy) put_back.put(std::string(entry.key), std::string(entry.value));
        if (start > 0)
            for (int i = 0; i < 3; ++i) put_back.erase(keys::message(kInbox, OrderKey(2 + i)));
        ASSERT_TRUE(run(engine_.commit(kAccount, std::move(put_back))));
        MailStore store(engine_, clock_, options_);
        for (int i = 0; i < 3; ++i) {
            auto stored = run(store.append(kAccount, message("text")));
            ASSERT_TRUE(stored);
            EXPECT_EQ(stored->order, OrderKey(2 + i)) << "the copy knows nothing of what came behind it";
            EXPECT_TRUE(ids.insert(stored->unique_id).second) << stored->unique_id << " came back";
            EXPECT_LE(stored->unique_id.size(), kGenerationLength + 1);
            EXPECT_EQ(run(store.find(kAccount, stored->unique_id))->order, stored->order);
        }
    }
    EXPECT_EQ(run(engine_.scan(kAccount, keys::unique_ids(), 100))->size(), 0u) << "found without an index, too";
}

TEST_F(AppendTest, MailboxesDoNotShareUniqueIds) {
    EXPECT_NE(append("a").unique_id, append("a", "", AccountId(8)).unique_id);
}

TEST_F(AppendTest, AClosedAccountTakesNothingAnyMore) {
    append("before", "known");
    auto closing = store_.close(kAccount);
    ASSERT_TRUE(run(std::move(closing)));
    MailStore later(engine_, clock_, options_);
    for (auto* store : {&store_, &later}) {
        EXPECT_EQ(code_of(run(store->append(kAccount, message("late")))), Errc::not_found);
        EXPECT_EQ(code_of(run(store->append(kAccount, message("late", "given")))), Errc::not_found);
    }
    EXPECT_EQ(live(), "known") << "what it has is still there";
    ASSERT_TRUE(run(store_.remove(kAccount, {"known"}, "admin")));
    ASSERT_TRUE(run(store_.restore(kAccount, "known")));
    auto commits = engine_.commits();
    ASSERT_TRUE(run(store_.close(kAccount)));
    EXPECT_EQ(engine_.commits(), commits) << "it is closed";
    expect_sound();
    ASSERT_TRUE(run(store_.close(AccountId(8)))) << "one that never had mail";
    EXPECT_EQ(code_of(run(store_.append(AccountId(8), message("late")))), Errc::not_found);
}

TEST_F(AppendTest, AUniqueIdMadeHereNeedsNoEntryInTheIndex) {
    auto entries = [&] { return run(engine_.scan(kAccount, keys::unique_ids(), 100))->size(); };
    std::vector<Message> made;
    for (int i = 0; i < 40; ++i) made.push_back(append("text " + std::to_string(i)));
    EXPECT_EQ(entries(), 0u);
    append("brought along", "from-elsewhere");
    EXPECT_EQ(entries(), 1u);
    for (const auto& message : made) {
        auto found = run(store_.find(kAccount, message.unique_id));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->order, message.order);
        EXPECT_EQ(found->body, message.body);
    }
    expect_sound();
}

TEST_F(AppendTest, AUniqueIdThatOnlyLooksLikeAMessagesIsNobodys) {
    const auto made = append("a").unique_id;
    const std::string order = made.substr(kGenerationLength), other(kGenerationLength, 'x');
    for (const auto& id : {other + order, made + "0", made + " ", made.substr(0, kGenerationLength) + "0" + order,
                           made.substr(0, kGenerationLength), order}) {
        EXPECT_EQ(code_of(run(store_.find(kAccount, id))), Errc::not_found) << id;
        EXPECT_EQ(code_of(run(store_.restore(kAccount, id))), Errc::not_found) << id;
        EXPECT_TRUE(run(store_.remove(kAccount, {id}, "test"))) << id;
    }
    EXPECT_EQ(live(), made);
}

TEST_F(AppendTest, AUniqueIdBroughtAlongMaySpeakOfAnyPlace) {
    const std::string other(kGenerationLength, 'x');
    append("at its place", other + "1");
    append("at another's", other + "1z");
    auto made = append("made");
    append("where one was made", other + base32_text(made.order.value));
    for (const auto& id : {other + "1", other + "1z", made.unique_id, other + base32_text(made.order.value)}) {
        EXPECT_EQ(run(store_.find(kAccount, id))->unique_id, id);
        EXPECT_EQ(code_of(run(store_.append(kAccount, message("b", id)))), Errc::exists) << id;
    }
    expect_sound();
    ASSERT_TRUE(run(store_.remove(kAccount, {other + "1", other + base32_text(made.order.value)}, "test")));
    EXPECT_EQ(live(), other + "1z " + made.unique_id);
    EXPECT_EQ(run(store_.restore(kAccount, other + "1"))->order, OrderKey(1));
    expect_sound();
}

TEST_F(AppendTest, OneRefusedMessageDoesNotHoldUpItsNeighbours) {
    std::vector<Task<Result<Message>>> tasks;
    for (auto id : {"a", "b", "a", "c", "b"}) tasks.push_back(store_.append(kAccount, message("text", id)));
    auto results = run_together(std::move(tasks));
    EXPECT_EQ(live(), "a b c");
    EXPECT_TRUE(results[0] && results[1] && results[3]);
    EXPECT_EQ(code_of(results[2]), Errc::exists);
    EXPECT_EQ(code_of(results[4]), Errc::exists);
    expect_sound();
}

TEST_F(AppendTest, AppendsThatWaitTogetherShareACommit) {
    append("the account is known");
    auto before = engine_.commits();
    auto results = append_together(128);
    EXPECT_LE(engine_.commits() - before, 2u);
    std::set<std::string> ids;
    std::set<OrderKey> orders;
    for (const auto& result : results) {
        ASSERT_TRUE(result);
        ids.insert(result->unique_id);
        orders.insert(result->order);
    }
    EXPECT_EQ(ids.size(), 128u);
    EXPECT_EQ(orders.size(), 128u);
    EXPECT_EQ(totals().messages, 129u);
    expect_sound();
}

TEST_F(AppendTest, ACommitIsBoundedInMessagesAndOctets) {
    std::size_t most = 0, most_octets = 0;
    engine_.on_commit([&](engine::PartitionId, const engine::Batch& batch) {
        most = std::max(most, batch.bodies.size());
        std::size_t octets = 0;
        for (const auto& body : batch.bodies) octets += body.head.size() + body.tail->size();
        most_octets = std::max(most_octets, octets);
    });
    for (const auto& result : append_together(1000)) ASSERT_TRUE(result);
    EXPECT_EQ(most, options_.commit_messages);
    EXPECT_LE(engine_.commits(), 4u);
    most_octets = 0;
    for (const auto& result : append_together(60, 500'000)) ASSERT_TRUE(result);
    EXPECT_LE(most_octets, options_.commit_octets);
    EXPECT_GT(most_octets, options_.commit_octets / 2);
    expect_sound();
}

TEST_F(AppendTest, LargeBodiesDoNotCountAgainstTheOctetsOfACommit) {
    append("the account is known");
    auto before = engine_.commits();
    for (const auto& result : append_together(20, (1u << 20) + 1)) ASSERT_TRUE(result);
    EXPECT_LE(engine_.commits() - before, 2u);
}

TEST_F(AppendTest, BodiesCountAsFarAsTheEngineKeepsThemInItsLog) {
    Options options = options_;
    options.inline_octets = 4u << 20;
    MailStore store(engine_, clock_, options);
    std::size_t most = 0;
    engine_.on_commit([&](engine::PartitionId, const engine::Batch& batch) {
        std::size_t octets = 0;
        for (const auto& body : batch.bodies) octets += body.tail->size();
        most = std::max(most, octets);
    });
    std::vector<Task<Result<Message>>> tasks;
    for (int i = 0; i < 20; ++i) tasks.push_back(store.append(kAccount, message(std::string(2u << 20, 'x'))));
    for (const auto& result : run_together(std::move(tasks))) ASSERT_TRUE(result);
    EXPECT_LE(most, options_.commit_octets);
}

TEST_F(AppendTest, AHotMailboxIsNotReadAgain) {
    append("a");
    auto before = engine_.reads();
    append("b");
    append("c");
    EXPECT_EQ(engine_.reads(), before);
}

TEST_F(AppendTest, ManyAccountsMoreThanAreKeptHotAllCountRight) {
    Options few = options_;
    few.hot_accounts = 64;  // one a shard
    MailStore store(engine_, clock_, few);
    for (int round = 0; round < 3; ++round)
        for (std::uint64_t a = 1; a <= 300; ++a) ASSERT_TRUE(run(store.append(AccountId(a), message("x"))));
    for (std::uint64_t a = 1; a <= 300; ++a) {
        EXPECT_EQ(run(store.totals(AccountId(a)))->messages, 3u) << a;
        EXPECT_TRUE(run(store.check(AccountId(a)))) << a;
    }
}

TEST_F(AppendTest, AFailedCommitFailsEveryAppendInItAndLeavesNothing) {
    append("a");
    struct Case {
        Errc code;
    };
    for (auto [code] : {Case{Errc::no_space}, {Errc::io}, {Errc::cancelled}}) {
        engine_.fail_next_commits(1'000'000, code);
        for (const auto& result : append_together(10)) EXPECT_EQ(code_of(result), code);
        engine_.fail_next_commits(0, code);
        EXPECT_EQ(totals().messages, 1u);
        expect_sound();
    }
    append("b");  // and works again
    EXPECT_EQ(totals().messages, 2u);
    expect_sound();
}

TEST_F(AppendTest, AFailedReadFailsTheAppend) {
    engine_.fail_next_reads(1, Errc::io);
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("a")))), Errc::io);
    append("b");
    EXPECT_EQ(totals().messages, 1u);
}

TEST_F(AppendTest, AConflictIsTriedAgainAndGivenUpAtLast) {
    append("a");
    engine_.fail_next_commits(3, Errc::conflict);
    append("b");
    engine_.fail_next_commits(1'000'000, Errc::conflict);
    EXPECT_EQ(code_of(run(store_.append(kAccount, message("c")))), Errc::conflict);
    engine_.fail_next_commits(0, Errc::conflict);
    EXPECT_EQ(totals().messages, 2u);
    expect_sound();
}

TEST_F(AppendTest, CountsOnWhatAnotherStoreOverTheSameEngineDid) {
    MailStore other(engine_, clock_, options_);  // as another node of a cluster
    for (int i = 0; i < 5; ++i) {
        append("mine");
        ASSERT_TRUE(run(other.append(kAccount, message("theirs"))));
    }
    EXPECT_EQ(totals().messages, 10u);
    expect_sound();
}

TEST_F(AppendTest, AnUnknownOutcomeNeverStoresAMessageTwice) {
    using Applied = test::MemoryEngine::Applied;
    for (auto applied : {Applied::no, Applied::yes}) {
        auto before = totals().messages;
        engine_.fail_next_commits(1, Errc::outcome_unknown, applied);
        auto stored = append("a");
        EXPECT_EQ(bytes(stored), "Delivered-To: x\r\na");
        EXPECT_EQ(totals().messages, before + 1);
        expect_sound();
    }
    EXPECT_EQ(engine_.body_count(kAccount), 2u);
}

TEST_F(AppendTest, OrderAndUniqueIdsGoOnAfterARestart) {
    auto first = append("a");
    test::MemoryEngine engine(engine_.disk());
    MailStore store(engine, clock_, options_);
    auto second = run(store.append(kAccount, message("b")));
    ASSERT_TRUE(second);
    EXPECT_GT(second->order, first.order);
    EXPECT_NE(second->unique_id.substr(0, kGenerationLength), first.unique_id.substr(0, kGenerationLength));
    EXPECT_EQ(run(store.find(kAccount, first.unique_id))->order, first.order);
}

TEST_F(AppendTest, ACancelledCallerDoesNotBreakOffWhatOthersWaitFor) {
    asio::io_context context(1);
    asio::cancellation_signal cancel;
    int ended = 0;
    std::vector<Result<Message>> others;
    auto first = store_.append(kAccount, message("first"));
    auto on_end = [&](std::exception_ptr, Result<Message>) { ++ended; };
    asio::co_spawn(context, std::move(first), asio::bind_cancellation_slot(cancel.slot(), on_end));
    for (int i = 0; i < 5; ++i) {
        auto on_other = [&](std::exception_ptr failure, Result<Message> result) {
            ASSERT_FALSE(failure);
            others.push_back(std::move(result));
        };
        asio::co_spawn(context, store_.append(kAccount, message("other")), on_other);
    }
    context.poll_one();
    cancel.emit(asio::cancellation_type::terminal);
    context.run();
    EXPECT_EQ(ended, 1);
    ASSERT_EQ(others.size(), 5u);
    for (const auto& result : others) EXPECT_TRUE(result);
    EXPECT_GE(totals().messages, 5u);
    expect_sound();
}

TEST_F(AppendTest, ALeaderWhoseContextGoesAwayLeavesTheAccountFree) {
    auto leaders = std::make_unique<asio::io_context>(1);
    asio::io_context others(1);
    asio::co_spawn(*leaders, store_.append(kAccount, message("leader's")), asio::detached);
    leaders->poll_one();  // it leads now, and waits for its first read
    std::optional<Result<Message>> other;
    auto on_other = [&](std::exception_ptr, Result<Message> result) { other = std::move(result); };
    asio::co_spawn(others, store_.append(kAccount, message("other's")), on_other);
    others.poll();
    EXPECT_FALSE(other);
    leaders.reset();
    others.restart();
    others.run();
    ASSERT_TRUE(other);
    EXPECT_EQ(code_of(*other), Errc::cancelled);
    append("later");
    EXPECT_EQ(totals().messages, 1u);
    expect_sound();
}

}  // namespace
}  // namespace poplar::mailstore
