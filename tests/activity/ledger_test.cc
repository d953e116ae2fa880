// The ledger over an engine in memory, by a clock that the tests move.
#include "activity/ledger.h"

#include <gtest/gtest.h>

#include <map>

#include "activity/keeper.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"
#include "tests/support/unhurried.h"

namespace poplar::activity {
namespace {

using namespace std::chrono_literals;
using test::run;

constexpr AccountId kBob{1024}, kCarol{1040};  // both in the first shard

class LedgerTest : public testing::Test {
protected:
    std::vector<Entry> list(Ledger& of, AccountId account = kBob, Ledger::Wanted wanted = {}) {
        auto listing = run(of.list(account, wanted));
        EXPECT_TRUE(listing);
        if (!listing) return {};
        EXPECT_EQ(listing->damaged, 0u);
        return std::move(listing->entries);
    }
    std::vector<Entry> list(AccountId account = kBob, Ledger::Wanted wanted = {}) {
        return list(ledger, account, wanted);
    }
    void poll(const Origin& origin, AccountId account = kBob) { ledger.note(account, Kind::login, origin, "USER"); }
    std::size_t rows() {
        return run(engine.scan(kLedgerPartition, {std::string(1, '\0'), std::string(1, '\xff')}, 100'000))->size();
    }
    std::uint64_t commits() { return run(engine.change_number(kLedgerPartition, nullptr))->value; }

    test::MemoryEngine engine;
    test::ManualClock clock;
    Options options{.keep = std::chrono::days(90), .entries = 3};
    Ledger ledger{engine, clock, options};
    const Origin phone{.device = 7, .device_name = "phone", .peer = "192.0.2.1", .protocol = "pop3"};
    const Origin home{.peer = "192.0.2.1", .protocol = "pop3"}, abroad{.peer = "198.51.100.1", .protocol = "pop3"};
};

TEST_F(LedgerTest, TellsWhoDeletedWhatFromWhereAndWhen) {
    const auto begun = clock.now();
    clock.advance(2s);
    ledger.note(kBob, Kind::deleted, phone, "", 1'234, begun);
    ledger.note(kCarol, Kind::deleted, home, "", 1);
    auto entries = list();
    ASSERT_EQ(entries.size(), 1u);
    const auto& entry = entries.front();
    EXPECT_EQ(entry.kind, Kind::deleted);
    EXPECT_EQ(entry.messages, 1'234u);
    EXPECT_EQ(entry.times, 1u);
    EXPECT_EQ(entry.origin.device, 7u);
    EXPECT_EQ(entry.origin.device_name, "phone");
    EXPECT_EQ(entry.origin.peer, "192.0.2.1");
    EXPECT_EQ(entry.first, begun);
    EXPECT_EQ(entry.last, begun + 2s);
}

TEST_F(LedgerTest, CountsWhatHappensAgainAtTheSamePlaceInOneEntryADay) {
    for (int i = 0; i < 100; ++i) {
        poll(home);
        poll(phone);
        clock.advance(5min);
        run(ledger.flush());
    }
    auto entries = list();
    ASSERT_EQ(entries.size(), 2u) << "though they take turns";
    EXPECT_EQ(entries[0].times + entries[1].times, 200u);
    EXPECT_EQ(entries[0].last - entries[0].first, 99 * 5min);
    clock.advance(24h);
    poll(home);
    EXPECT_EQ(list().size(), 3u);
}

TEST_F(LedgerTest, FurtherLoginsAloneAreWrittenOnceAnHour) {
    poll(home);
    run(ledger.flush());
    const auto before = commits();
    EXPECT_EQ(before, 1u) << "the first one is, at the next round";
    for (int i = 0; i < 110; ++i) {
        clock.advance(1min);
        poll(home);
        run(ledger.flush());
    }
    EXPECT_LE(commits(), before + 2);
    ledger.note(kBob, Kind::deleted, home, "", 1);
    run(ledger.flush());
    EXPECT_EQ(rows(), 2u) << "a deletion does not wait";
    EXPECT_EQ(list().front().times, 111u);
}

TEST_F(LedgerTest, DeletionsOfDifferentHoursAreTold) {
    ledger.note(kBob, Kind::deleted, home, "", 1);
    clock.advance(10min);
    ledger.note(kBob, Kind::deleted, home, "", 2);
    clock.advance(1h);
    ledger.note(kBob, Kind::deleted, home, "", 500);
    auto entries = list();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].messages, 3u);
    EXPECT_EQ(entries[1].messages, 500u);
}

// The attack: somebody empties a mailbox, and then guesses from thousands of addresses so that nobody finds out.
TEST_F(LedgerTest, GuessesNeverPushOutADeletion) {
    ledger.note(kBob, Kind::deleted, abroad, "", 1'000);
    for (int i = 0; i < 3'000; ++i) {
        const Origin stranger{.peer = "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250),
                              .protocol = "pop3"};
        ledger.note(kBob, Kind::refused, stranger, "wrong password");
        if (i % 1'000 == 500) run(ledger.flush());
    }
    ledger.note(kBob, Kind::deleted, home, "", 1);
    auto deleted = list(kBob, {.kinds = {Kind::deleted}});
    ASSERT_EQ(deleted.size(), 2u);
    auto refused = list(kBob, {.kinds = {Kind::refused}});
    EXPECT_EQ(refused.size(), options.entries + 1);
    std::uint64_t times = 0, sums = 0;
    for (const auto& entry : refused) times += entry.times, sums += entry.is_sum;
    EXPECT_EQ(times, 3'000u) << "all are counted";
    EXPECT_EQ(sums, 1u);
}

TEST_F(LedgerTest, GoesOnInTheSameEntryAfterARestart) {
    poll(home);
    ledger.note(kBob, Kind::deleted, home, "", 10);
    run(ledger.flush_all());
    Ledger next(engine, clock, options);
    next.note(kBob, Kind::login, home, "USER");
    next.note(kBob, Kind::deleted, home, "", 5);
    auto entries = list(next);
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].times, 2u);
    EXPECT_EQ(entries[1].messages, 15u);
}

TEST_F(LedgerTest, TheBoundOfADayHoldsOverARestart) {
    for (int lives = 0; lives < 4; ++lives) {
        Ledger next(engine, clock, options);
        for (int i = 0; i < 2; ++i)
            next.note(kBob, Kind::refused, {.peer = "10.0.0." + std::to_string(2 * lives + i)}, "wrong password");
        run(next.flush_all());
    }
    auto entries = list();
    EXPECT_EQ(entries.size(), 4u);
    std::uint64_t times = 0;
    for (const auto& entry : entries) times += entry.times;
    EXPECT_EQ(times, 8u);
}

TEST_F(LedgerTest, ForgetsDaysThatAreOverAndNothingElse) {
    poll(home);
    ledger.note(kBob, Kind::deleted, home, "", 1);
    run(ledger.flush_all());
    clock.advance(std::chrono::days(60));
    poll(home);
    std::optional<Timestamp> now = clock.now();
    Keeper keeper(ledger, [&] { return now; });
    test::Unhurried control;
    ASSERT_TRUE(run(keeper.round(control)));
    EXPECT_EQ(rows(), 3u);
    clock.advance(std::chrono::days(32));
    now = std::nullopt;
    ASSERT_TRUE(run(keeper.round(control)));
    EXPECT_EQ(rows(), 3u) << "the clock is in doubt";
    EXPECT_EQ(list().size(), 1u) << "it is not shown any more";
    now = clock.now();
    ASSERT_TRUE(run(keeper.round(control)));
    EXPECT_EQ(rows(), 1u);
}

TEST_F(LedgerTest, ForgetsAnAccountWhoseMailIsPurged) {
    poll(home);
    poll(home, kCarol);
    run(ledger.flush_all());
    clock.advance(48h);
    poll(home);
    ASSERT_TRUE(run(ledger.forget(kBob)));
    EXPECT_TRUE(list().empty());
    EXPECT_EQ(list(kCarol).size(), 1u);
}

TEST_F(LedgerTest, ShowsWhatIsAskedForAndTheLatestIfThereIsMore) {
    for (int hour = 0; hour < 5; ++hour) {
        const Origin place{.peer = "192.0.2." + std::to_string(hour), .protocol = "pop3"};
        ledger.note(kBob, Kind::deleted, place, "", static_cast<std::uint64_t>(hour + 1));
        ledger.note(kBob, Kind::fetched, place, "", 1);
        clock.advance(1h);
    }
    EXPECT_EQ(list().size(), 8u) << "three of a kind and their sum";
    EXPECT_EQ(list(kBob, {.kinds = {Kind::deleted}}).size(), 4u);
    auto since = clock.now() - 1h - 1s;
    EXPECT_EQ(list(kBob, {.since = since}).size(), 2u);
    const auto latest = list(kBob, {.limit = 1});
    ASSERT_EQ(latest.size(), 2u) << "of each kind, so that guesses hide no deletion";
    for (const auto& entry : latest) EXPECT_EQ(entry.last, clock.now() - 1h);
}

TEST_F(LedgerTest, KeepsItsNotesUntilTheyCanBeWritten) {
    poll(home);
    for (int i = 0; i < 6; ++i) ledger.note(kBob, Kind::refused, {.peer = "10.0.0." + std::to_string(i)}, "wrong");
    engine.fail_next_commits(20, Errc::io);
    run(ledger.flush());
    EXPECT_EQ(rows(), 0u);
    engine.fail_next_commits(0, Errc::io);
    ledger.note(kBob, Kind::refused, {.peer = "10.0.0.9"}, "wrong");
    std::uint64_t times = 0;
    for (const auto& entry : list(kBob, {.kinds = {Kind::refused}})) times += entry.times;
    EXPECT_EQ(times, 7u);
    EXPECT_EQ(list(kBob, {.kinds = {Kind::login}}).size(), 1u);
}

TEST_F(LedgerTest, KeepsNothingIfItIsTold) {
    Ledger none(engine, clock, {.keep = 0h});
    none.note(kBob, Kind::login, home, "USER");
    run(none.flush_all());
    EXPECT_EQ(rows(), 0u);
}

TEST_F(LedgerTest, AClockThatIsSetBackLosesNothing) {
    poll(home);
    clock.advance(-3h);
    poll(home);
    ledger.note(kBob, Kind::deleted, home, "", 1);
    clock.advance(3h);
    ledger.note(kBob, Kind::deleted, home, "", 2);
    std::uint64_t messages = 0;
    for (const auto& entry : list()) messages += entry.messages;
    EXPECT_EQ(messages, 3u);
}

TEST(LedgerRecord, ComesBackAsItWas) {
    Entry entry{.kind = Kind::refused,
                .first = Timestamp(std::chrono::milliseconds(1'767'225'600'123)),
                .last = Timestamp(std::chrono::milliseconds(1'767'225'700'000)),
                .times = 70'000,
                .messages = 3,
                .origin = {.device = 0, .device_name = "p\xc3\xa4", .peer = "2001:db8::1", .protocol = "pop3"},
                .detail = "wrong password"};
    auto row = decode(key_of(20'454, kBob, Kind::refused, 4), encode(entry));
    ASSERT_TRUE(row);
    EXPECT_EQ(row->number, 4u);
    EXPECT_TRUE(row->entry.is_same(entry));
    EXPECT_EQ(row->entry.first, entry.first);
    EXPECT_EQ(row->entry.last, entry.last);
    EXPECT_EQ(row->entry.times, entry.times);
    EXPECT_EQ(row->entry.messages, entry.messages);
    EXPECT_EQ(row->entry.origin.device_name, entry.origin.device_name);
    EXPECT_TRUE(decode(key_of(1, kBob, Kind::login, kSum), encode(Entry{}))->entry.is_sum);
}

// The defect: three devices that fetch every hour had 72 entries a day, and a stranger's deletion fell into the sum.
TEST_F(LedgerTest, HoursOfOnePlaceAreJoinedBeforeAnotherPlaceIsSummedUp) {
    for (int hour = 0; hour < 20; ++hour) {
        ledger.note(kBob, Kind::deleted, home, "", 1);
        run(ledger.flush());
        clock.advance(1h);
    }
    ledger.note(kBob, Kind::deleted, abroad, "", 1'000);
    clock.advance(1h);
    ledger.note(kBob, Kind::deleted, phone, "", 7);
    run(ledger.flush());
    auto entries = list();
    ASSERT_EQ(entries.size(), options.entries);
    std::map<std::string, std::uint64_t> messages;
    for (const auto& entry : entries) {
        EXPECT_FALSE(entry.is_sum);
        messages[entry.origin.peer + entry.origin.device_name] += entry.messages;
    }
    EXPECT_EQ(messages["198.51.100.1"], 1'000u);
    EXPECT_EQ(messages["192.0.2.1"], 20u);
    EXPECT_EQ(messages["192.0.2.1phone"], 7u);
    clock.advance(1h);
    ledger.note(kBob, Kind::deleted, {.peer = "203.0.113.1", .protocol = "pop3"}, "", 5);
    run(ledger.flush());
    entries = list();
    EXPECT_EQ(entries.size(), options.entries + 1u) << "each place has one entry now: the fourth is summed up";
    clock.advance(1h);
    ledger.note(kBob, Kind::deleted, home, "", 3);
    std::uint64_t all = 0;
    for (const auto& entry : list()) all += entry.messages;
    EXPECT_EQ(all, 20u + 1'000 + 7 + 5 + 3);
    EXPECT_EQ(list().size(), options.entries + 1u) << "a place that has one goes on in it";
}

TEST_F(LedgerTest, TheLatestHoursStayApartWhenEarlierOnesAreJoined) {
    for (int hour = 0; hour < 10; ++hour) {
        ledger.note(kBob, Kind::deleted, home, "", static_cast<std::uint64_t>(hour));
        run(ledger.flush());
        clock.advance(1h);
    }
    const auto entries = list();
    ASSERT_EQ(entries.size(), 3u);
    EXPECT_EQ(entries[2].messages, 9u);
    EXPECT_EQ(entries[1].messages, 8u);
    EXPECT_EQ(entries[0].messages, 28u);
    EXPECT_EQ(entries[0].last - entries[0].first, 7h);
}

TEST_F(LedgerTest, AddressesOfOneIpv6NetworkAreOnePlace) {
    for (int i = 0; i < 10; ++i) {
        poll({.peer = "2001:db8:1:2:" + std::to_string(i) + "::1", .protocol = "pop3"});
        if (i == 5) run(ledger.flush_all());
    }
    poll({.peer = "2001:db8:1:3::1", .protocol = "pop3"});
    auto entries = list();
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].times + entries[1].times, 11u);
}

// The defect: after the clock was set back, an entry that was still in memory and the one that took its place wrote the
// same row, and what the first had not written yet was lost.
TEST_F(LedgerTest, TwoEntriesOfOneRowLoseNothing) {
    clock.advance(2h);
    ledger.note(kBob, Kind::deleted, home, "", 1);
    run(ledger.flush());
    ledger.note(kBob, Kind::deleted, home, "", 20);
    clock.advance(1h);
    ledger.note(kBob, Kind::deleted, home, "", 300);  // the hour before is over, and not all of it is written
    clock.advance(-1h);
    ledger.note(kBob, Kind::deleted, home, "", 4'000);
    auto sum = [&] {
        std::uint64_t messages = 0;
        for (const auto& entry : list()) messages += entry.messages;
        return messages;
    };
    engine.fail_next_commits(1, Errc::io);
    run(ledger.flush());
    EXPECT_EQ(sum(), 4'321u);
    ledger.note(kBob, Kind::deleted, home, "", 50'000);
    EXPECT_EQ(sum(), 54'321u);
    EXPECT_EQ(rows(), 2u);
}

TEST_F(LedgerTest, ADamagedEntryIsLeftOutAndToldOf) {
    ledger.note(kBob, Kind::deleted, home, "", 1);
    ledger.note(kBob, Kind::deleted, phone, "", 2);
    run(ledger.flush());
    engine::Batch batch;
    batch.put(key_of(day_of(clock.now()), kBob, Kind::deleted, 0), "damaged");
    ASSERT_TRUE(run(engine.commit(kLedgerPartition, std::move(batch))));
    ledger.note(kBob, Kind::deleted, abroad, "", 3);
    auto listing = run(ledger.list(kBob, {}));
    ASSERT_TRUE(listing);
    EXPECT_EQ(listing->damaged, 1u);
    ASSERT_EQ(listing->entries.size(), 2u);
    EXPECT_EQ(listing->entries[0].messages + listing->entries[1].messages, 5u);
    EXPECT_EQ(*run(engine.get(kLedgerPartition, key_of(day_of(clock.now()), kBob, Kind::deleted, 0))), "damaged")
        << "nothing was written over it";
}

// The octets are those of the first program that wrote them, and must be understood for ever.
TEST(LedgerRecord, VersionOneIsRead) {
    const std::string value("\x01\x05\x07\x02\x09\x04\x01p\x01q\x04pop3\x02OK", 18);
    auto row = decode(key_of(0, kBob, Kind::fetched, 0), value);
    ASSERT_TRUE(row);
    EXPECT_EQ(row->entry.first.time_since_epoch().count(), 5);
    EXPECT_EQ(row->entry.last.time_since_epoch().count(), 7);
    EXPECT_EQ(row->entry.times, 2u);
    EXPECT_EQ(row->entry.messages, 9u);
    EXPECT_EQ(row->entry.origin.device, 3u);
    EXPECT_EQ(row->entry.origin.protocol, "pop3");
    EXPECT_EQ(row->entry.detail, "OK");
}

TEST(LedgerRecord, WhatIsDamagedIsRefused) {
    const auto key = key_of(1, kBob, Kind::login, 0), value = encode(Entry{});
    for (std::size_t cut = 0; cut < value.size(); ++cut) EXPECT_FALSE(decode(key, value.substr(0, cut))) << cut;
    for (std::size_t cut = 0; cut < key.size(); ++cut) EXPECT_FALSE(decode(key.substr(0, cut), value)) << cut;
    EXPECT_FALSE(decode(key, "\x02" + value.substr(1))) << "a later version";
    EXPECT_FALSE(decode(key_of(1, kBob, static_cast<Kind>(9), 0), value)) << "a kind that is none";
}

}  // namespace
}  // namespace poplar::activity
