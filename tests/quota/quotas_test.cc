// Room for mail is given or refused, and the owner of a mailbox that fills up is told.
#include "quota/quotas.h"

#include <gtest/gtest.h>

#include <thread>

#include "mailstore/keys.h"
#include "tests/delivery/world.h"

namespace poplar::quota {
namespace {

using directory::MailLimits;
using test::run;

const std::string kDemo = "demo@example.test", kOther = "other@example.test";

class QuotasTest : public testing::Test {
protected:
    explicit QuotasTest(Options options = {}) : world_({}, options) {
        world_.add(kOther);
        world_.quotas.on_reached([this](Reached reached) { reached_.push_back(std::move(reached)); });
    }
    void limit(const std::string& address, MailLimits limits) {
        auto change = [limits](auto& settings, const auto&) -> Result<> {
            settings.quota = limits;
            return {};
        };
        ASSERT_TRUE(run(world_.directory.change_settings(address, change)));
    }
    void limit_domain(MailLimits accounts, MailLimits total = {}) {
        auto change = [=](MailLimits& of_accounts, MailLimits& of_all) {
            of_accounts = accounts;
            of_all = total;
        };
        ASSERT_TRUE(run(world_.directory.change_quota("example.test", change)));
    }
    directory::Account account(const std::string& address) { return *run(world_.directory.find_account(address)); }
    /// Room for mail, or nothing if it is refused; then why_ says so.
    std::optional<Reservation> reserve(const std::string& address, Need need, Binding binding = Binding::limits) {
        auto owner = account(address);
        auto bounds = run(world_.directory.bounds_of(owner));
        EXPECT_TRUE(bounds && *bounds) << address << " has no limit";
        auto outcome = run(world_.quotas.reserve(owner.id, *bounds, need, binding));
        EXPECT_TRUE(outcome);
        if (*outcome) return std::move(**outcome);
        why_ = outcome->error();
        return std::nullopt;
    }
    /// Puts a message of so many octets into INBOX, as the delivery would: with the room that it has.
    mailstore::Message put(const std::string& address, std::uint64_t octets) {
        auto writer = world_.store.stage();
        EXPECT_TRUE(run(writer->write(std::string(octets - 2, 'x') + "\r\n")));
        auto content = run(writer->finish(octets, 1));
        auto stored = run(world_.store.append(account(address).id, {"", *content, ""}));
        EXPECT_TRUE(stored);
        return *stored;
    }
    /// A delivery from end to end. False: it was refused.
    bool deliver(const std::string& address, std::uint64_t octets) {
        auto room = reserve(address, {.octets = octets});
        if (!room || !room->claim(octets)) return false;
        put(address, octets);
        return true;
    }
    void remove(const std::string& address, const mailstore::Message& message) {
        ASSERT_TRUE(run(world_.store.remove(account(address).id, {message.unique_id}, "test")));
    }
    std::string percents() {
        std::string text;
        for (const auto& one : std::exchange(reached_, {}))
            text += (text.empty() ? "" : " ") + std::string(one.domain ? "domain:" : "") + std::to_string(one.percent);
        return text;
    }
    std::uint64_t used_by_domain() { return run(world_.quotas.used_by_domain("example.test"))->octets; }

    test::World world_;
    std::vector<Reached> reached_;
    Full why_;
};

class RejectingTest : public QuotasTest {
protected:
    RejectingTest() : QuotasTest({.full_reply = FullReply::reject}) {}
};

TEST_F(QuotasTest, OneMessageMayPassTheLimitAndTheNextIsRefused) {
    limit(kDemo, {.octets = 1000});
    EXPECT_TRUE(deliver(kDemo, 600));
    EXPECT_TRUE(deliver(kDemo, 600)) << "there was room left";
    EXPECT_FALSE(deliver(kDemo, 1));
    EXPECT_FALSE(why_.for_good) << "defer";
    EXPECT_TRUE(why_.text.contains("1200 of 1000 octets")) << why_.text;
}

TEST_F(QuotasTest, NumberOfMessagesIsNeverPassed) {
    limit(kDemo, {.messages = 2});
    EXPECT_TRUE(deliver(kDemo, 10));
    EXPECT_TRUE(deliver(kDemo, 10));
    EXPECT_FALSE(deliver(kDemo, 10));
}

TEST_F(QuotasTest, MessageLargerThanAllTheAccountMayHaveIsRefused) {
    limit(kDemo, {.octets = 1000});
    EXPECT_FALSE(reserve(kDemo, {.octets = 1001}));
    EXPECT_TRUE(reserve(kDemo, {.octets = 1000, .trace = 500})) << "trace fields are ours, not the sender's";
}

TEST_F(QuotasTest, MessagesUnderWayCountAsTheyBegin) {
    limit(kDemo, {.octets = 1000});
    auto first = reserve(kDemo, {.octets = 600}), second = reserve(kDemo, {.octets = 600});
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(reserve(kDemo, {.octets = 1})) << "the second one passes the limit already";
    second->release();
    EXPECT_TRUE(reserve(kDemo, {.octets = 600})) << "it came to nothing";
    first.reset();
    limit(kDemo, {.messages = 1});
    auto only = reserve(kDemo, {.octets = 5});
    EXPECT_TRUE(only);
    EXPECT_FALSE(reserve(kDemo, {.octets = 5}));
}

TEST_F(RejectingTest, IsForGoodOnlyIfTheAccountIsFullOfWhatItHas) {
    limit(kDemo, {.octets = 1000});
    {
        auto first = reserve(kDemo, {.octets = 1000});
        EXPECT_FALSE(reserve(kDemo, {.octets = 1}));
        EXPECT_FALSE(why_.for_good) << "the one under way may come to nothing";
    }
    EXPECT_TRUE(deliver(kDemo, 1000));
    EXPECT_FALSE(reserve(kDemo, {.octets = 1}));
    EXPECT_TRUE(why_.for_good);
    EXPECT_FALSE(reserve(kDemo, {.octets = 5000}));
    EXPECT_TRUE(why_.for_good);
}

TEST_F(QuotasTest, MessageOfUnknownSizeCountsAsTheLargestThatIsTaken) {
    limit(kDemo, {.octets = 1000});
    auto unknown = reserve(kDemo, {.most = 5000});
    ASSERT_TRUE(unknown);
    EXPECT_FALSE(unknown->uncertain());
    EXPECT_FALSE(reserve(kDemo, {.octets = 1})) << "it may be the one that passes the limit";
    EXPECT_TRUE(unknown->claim(300));
    EXPECT_TRUE(reserve(kDemo, {.octets = 1})) << "it is known now";
}

TEST_F(QuotasTest, ClaimOfMoreThanWasSaidIsHeldToTheLimits) {
    limit(kDemo, {.octets = 1000});
    auto liar = reserve(kDemo, {.octets = 1}), honest = reserve(kDemo, {.octets = 999});
    ASSERT_TRUE(liar && honest);
    EXPECT_TRUE(liar->claim(1));
    EXPECT_TRUE(honest->claim(900));
    EXPECT_TRUE(liar->claim(150)) << "as the one message that may pass the limit";
    EXPECT_TRUE(honest->claim(1)) << "less is always right";
    auto third = reserve(kDemo, {.octets = 850});
    ASSERT_TRUE(third);
    EXPECT_FALSE(honest->claim(100)) << "others fill the account by now";
}

TEST_F(QuotasTest, CopyOfManyMessagesMustFit) {
    limit(kDemo, {.octets = 1000, .messages = 10});
    EXPECT_TRUE(reserve(kDemo, {.messages = 10, .octets = 1000}));
    EXPECT_FALSE(reserve(kDemo, {.messages = 2, .octets = 1000 + 1}));
    EXPECT_TRUE(deliver(kDemo, 900));
    EXPECT_FALSE(reserve(kDemo, {.messages = 2, .octets = 101}));
    EXPECT_FALSE(reserve(kDemo, {.messages = 10, .octets = 10}));
    EXPECT_TRUE(reserve(kDemo, {.messages = 9, .octets = 100}));
}

TEST_F(QuotasTest, TotalOfADomainIsNeverPassed) {
    put(kDemo, 400);
    limit_domain({}, {.octets = 1000});
    EXPECT_EQ(used_by_domain(), 400u) << "what was there before";
    auto first = reserve(kOther, {.octets = 500, .trace = 50});
    ASSERT_TRUE(first);
    EXPECT_FALSE(reserve(kDemo, {.octets = 51}));
    EXPECT_TRUE(why_.text.starts_with("the domain")) << why_.text;
    EXPECT_TRUE(reserve(kDemo, {.octets = 50}));
    first.reset();
    EXPECT_TRUE(reserve(kDemo, {.octets = 600}));
    limit_domain({}, {.messages = 2});
    EXPECT_TRUE(deliver(kOther, 10));
    EXPECT_FALSE(deliver(kOther, 10));
}

TEST_F(QuotasTest, SumOfADomainFollowsItsAccounts) {
    limit_domain({}, {.octets = 1'000'000});
    EXPECT_EQ(used_by_domain(), 0u);
    const auto message = put(kDemo, 300);
    put(kOther, 200);
    EXPECT_EQ(used_by_domain(), 500u);
    remove(kDemo, message);
    EXPECT_EQ(used_by_domain(), 200u) << "deleted mail that is kept does not count";
    ASSERT_TRUE(run(world_.store.restore(account(kDemo).id, message.unique_id)));
    EXPECT_EQ(used_by_domain(), 500u);
    world_.add("new@example.test");
    EXPECT_TRUE(deliver("new@example.test", 100)) << "it came after the count";
    EXPECT_EQ(used_by_domain(), 600u);
    const auto gone = account(kOther).id;
    ASSERT_TRUE(run(world_.directory.remove_account(kOther)));
    world_.quotas.forget(gone);
    ASSERT_TRUE(run(world_.store.close(gone)));
    EXPECT_EQ(used_by_domain(), 400u);
    ASSERT_TRUE(run(world_.quotas.recount("example.test")));
    EXPECT_EQ(used_by_domain(), 400u);
    Quotas after_a_restart{world_.directory, world_.store, {}};
    EXPECT_EQ(run(after_a_restart.used_by_domain("example.test"))->octets, 400u);
}

TEST_F(QuotasTest, MessageOfUnknownSizeTakesAQuarterOfWhatADomainHasLeft) {
    limit_domain({}, {.octets = 1000});
    auto unknown = reserve(kDemo, {.most = 5000});
    ASSERT_TRUE(unknown);
    EXPECT_TRUE(unknown->uncertain());
    EXPECT_FALSE(reserve(kOther, {.octets = 751}));
    EXPECT_TRUE(reserve(kOther, {.octets = 750}));
    EXPECT_FALSE(unknown->claim(1001));
    EXPECT_TRUE(unknown->claim(700)) << "nobody else has the rest";
    EXPECT_FALSE(reserve(kOther, {.octets = 301}));
    EXPECT_TRUE(reserve(kOther, {.octets = 300}));
    auto small = reserve(kDemo, {.most = 200});
    ASSERT_TRUE(small);
    EXPECT_FALSE(small->uncertain()) << "it fits in any case";
    auto with_trace = reserve(kDemo, {.trace = 10, .most = 95});
    ASSERT_TRUE(with_trace);
    EXPECT_TRUE(with_trace->uncertain()) << "100 octets are left, and the trace fields come on top";
}

TEST_F(QuotasTest, SmallMessageOfUnknownSizeToManyAccountsFits) {
    limit_domain({}, {.octets = 100'000});
    std::vector<Reservation> room;
    for (int n = 0; n < 20; ++n) {
        const auto address = "member" + std::to_string(n) + "@example.test";
        world_.add(address);
        auto one = reserve(address, {.trace = 100, .most = 60'000});
        ASSERT_TRUE(one) << n << ": " << why_.text;
        room.push_back(std::move(*one));
    }
    for (auto& one : room) EXPECT_TRUE(one.claim(1000));
}

TEST_F(QuotasTest, RoomOfMailThatDoesNotBeginStandsInNobodysWay) {
    limit(kDemo, {.messages = 1});
    auto idle = reserve(kDemo, {.octets = 10});
    ASSERT_TRUE(idle);
    SteadyClock::move(kRoomWaits - std::chrono::seconds(1));
    EXPECT_FALSE(reserve(kDemo, {.octets = 10}));
    SteadyClock::move(std::chrono::seconds(1));
    {
        auto other = reserve(kDemo, {.octets = 10});
        EXPECT_TRUE(other);
        idle->begin();
        EXPECT_FALSE(idle->claim(10)) << "the other one has the room by now";
    }
    EXPECT_TRUE(idle->claim(10)) << "the other one came to nothing";
    idle.reset();
    auto late = reserve(kDemo, {.octets = 10});
    ASSERT_TRUE(late);
    SteadyClock::move(kRoomWaits);
    late->begin();
    EXPECT_FALSE(reserve(kDemo, {.octets = 10})) << "nobody had taken its room meanwhile";
    SteadyClock::move(10 * kRoomWaits);
    EXPECT_FALSE(reserve(kDemo, {.octets = 10})) << "mail that comes may take its time";
    EXPECT_TRUE(late->claim(10));
    late.reset();
    EXPECT_TRUE(reserve(kDemo, {.octets = 10})) << "all of it came back, once";
    EXPECT_TRUE(reserve(kDemo, {.octets = 10}));
}

TEST_F(QuotasTest, RoomThatHasLapsedAndIsClaimedAllTheSameIsHeldToTheLimits) {
    limit_domain({}, {.octets = 1000});
    auto late = reserve(kDemo, {.octets = 600});
    ASSERT_TRUE(late);
    SteadyClock::move(kRoomWaits);
    auto other = reserve(kOther, {.octets = 500});
    ASSERT_TRUE(other);
    EXPECT_FALSE(late->claim(600));
    EXPECT_TRUE(late->claim(500));
    late.reset();
    EXPECT_TRUE(reserve(kDemo, {.octets = 500}));
    EXPECT_FALSE(reserve(kDemo, {.octets = 501}));
}

TEST_F(QuotasTest, AskingKeepsNothing) {
    limit(kDemo, {.messages = 1});
    const auto owner = account(kDemo);
    const auto bounds = *run(world_.directory.bounds_of(owner));
    auto ask = [&] { return run(world_.quotas.ask(owner.id, bounds, {.octets = 10})); };
    EXPECT_EQ(ask()->has_value(), false);
    EXPECT_EQ(ask()->has_value(), false);
    auto room = reserve(kDemo, {.octets = 10});
    ASSERT_TRUE(room);
    auto full = ask();
    ASSERT_TRUE(full && *full);
    EXPECT_TRUE((*full)->text.contains("1 on their way")) << (*full)->text;
}

TEST_F(QuotasTest, TellsOnceAtEachPercentUntilTheAccountIsBelowAgain) {
    limit(kDemo, {.messages = 20});
    std::vector<mailstore::Message> stored;
    auto fill_up_to = [&](std::size_t messages) {
        while (stored.size() < messages) {
            auto room = reserve(kDemo, {.octets = 10});
            ASSERT_TRUE(room);
            stored.push_back(put(kDemo, 10));
        }
    };
    auto empty_down_to = [&](std::size_t messages) {
        for (; stored.size() > messages; stored.pop_back()) remove(kDemo, stored.back());
    };
    fill_up_to(15);
    EXPECT_EQ(percents(), "");
    fill_up_to(16);
    EXPECT_EQ(percents(), "80");
    fill_up_to(18);
    EXPECT_EQ(percents(), "");
    fill_up_to(20);
    EXPECT_EQ(percents(), "95 100");
    empty_down_to(17);
    fill_up_to(18);
    EXPECT_EQ(percents(), "") << "it was never below 80";
    empty_down_to(10);
    fill_up_to(16);
    EXPECT_EQ(percents(), "80");
}

TEST_F(QuotasTest, OneMessageThatPassesSeveralPercentsIsToldOnce) {
    limit(kDemo, {.octets = 1000});
    EXPECT_TRUE(deliver(kDemo, 999));
    EXPECT_EQ(percents(), "95");
    EXPECT_TRUE(deliver(kDemo, 999));
    EXPECT_EQ(percents(), "100");
}

TEST_F(QuotasTest, DomainThatFillsUpIsToldToo) {
    limit_domain({}, {.octets = 1000});
    EXPECT_TRUE(deliver(kDemo, 400));
    EXPECT_TRUE(deliver(kOther, 400));
    EXPECT_EQ(percents(), "domain:80");
}

TEST_F(QuotasTest, MailThatLimitsDoNotBindCountsAndIsWatched) {
    limit(kDemo, {.octets = 1000});
    EXPECT_TRUE(deliver(kDemo, 790));
    {
        auto notice = reserve(kDemo, {.octets = 3000}, Binding::none);
        ASSERT_TRUE(notice && notice->claim(4000));
        put(kDemo, 4000);
    }
    EXPECT_EQ(percents(), "100");
    EXPECT_TRUE(reserve(kDemo, {.octets = 1}, Binding::none));
    EXPECT_FALSE(reserve(kDemo, {.octets = 1}));
}

TEST_F(QuotasTest, NewLimitsTellWhereTheAccountIs) {
    put(kDemo, 900);
    const auto demo = account(kDemo);
    const Bounds wide{.octets = 10'000}, narrow{.octets = 1000};
    world_.quotas.limits_changed(demo.id, {1, 900}, nullptr, &wide);
    EXPECT_EQ(percents(), "");
    world_.quotas.limits_changed(demo.id, {1, 900}, &wide, &narrow);
    EXPECT_EQ(percents(), "80");
    world_.quotas.limits_changed(demo.id, {1, 900}, &narrow, &narrow);
    world_.quotas.limits_changed(demo.id, {1, 900}, &narrow, nullptr);
    EXPECT_EQ(percents(), "");
}

TEST_F(QuotasTest, NewTotalTellsWhereTheDomainIs) {
    const Bounds wide{.domain_octets = 10'000}, narrow{.octets = 1, .domain_octets = 1000};
    world_.quotas.total_changed({1, 960}, nullptr, &wide);
    EXPECT_EQ(percents(), "");
    world_.quotas.total_changed({1, 960}, &wide, &narrow);
    EXPECT_EQ(percents(), "domain:95");
    world_.quotas.total_changed({1, 960}, &narrow, &narrow);
    world_.quotas.total_changed({1, 960}, &narrow, nullptr);
    EXPECT_EQ(percents(), "");
}

TEST_F(QuotasTest, FailureToReadLeavesNothingBehind) {
    limit(kDemo, {.octets = 1000});
    auto owner = account(kDemo);
    auto bounds = *run(world_.directory.bounds_of(owner));
    world_.engine.fail_next_reads(1, Errc::io);
    auto outcome = run(world_.quotas.reserve(owner.id, bounds, {.octets = 1}));
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().code(), Errc::io);
    EXPECT_TRUE(deliver(kDemo, 10));
}

TEST_F(QuotasTest, AccountThatCannotBeReadStopsNobodyElsesMail) {
    limit_domain({}, {.octets = 1000});
    const auto damaged = account(kOther).id;
    engine::Batch batch;
    batch.put(mailstore::keys::account(), "no record");
    ASSERT_TRUE(run(world_.engine.commit(damaged, std::move(batch))));
    EXPECT_TRUE(deliver(kDemo, 300));
    EXPECT_EQ(used_by_domain(), 300u);
    auto bounds = *run(world_.directory.bounds_of(account(kOther)));
    EXPECT_FALSE(run(world_.quotas.reserve(damaged, bounds, {.octets = 1}))) << "its own is refused for the moment";
    EXPECT_TRUE(deliver(kDemo, 300));
}

TEST_F(QuotasTest, SumIsCountedAnewAfterATimeWithoutATotal) {
    limit_domain({}, {.octets = 10'000});
    EXPECT_TRUE(deliver(kDemo, 100));
    auto under_way = reserve(kDemo, {.octets = 50});
    limit_domain({});
    world_.quotas.forget_domain("example.test");
    world_.add("new@example.test");
    put("new@example.test", 400);
    under_way.reset();
    limit_domain({}, {.octets = 1000});
    EXPECT_EQ(used_by_domain(), 500u);
    EXPECT_TRUE(reserve(kDemo, {.octets = 500}));
    EXPECT_FALSE(reserve(kDemo, {.octets = 501}));
}

TEST_F(QuotasTest, AccountThatIsForgottenStaysOutOfTheSum) {
    limit_domain({}, {.octets = 1000});
    put(kOther, 300);
    EXPECT_EQ(used_by_domain(), 300u);
    const auto gone = account(kOther).id;
    auto bounds = *run(world_.directory.bounds_of(account(kOther)));
    world_.quotas.forget(gone);  // a count and a delivery that began before know it still
    ASSERT_TRUE(run(world_.quotas.recount("example.test")));
    EXPECT_EQ(used_by_domain(), 0u);
    EXPECT_TRUE(run(world_.quotas.reserve(gone, bounds, {.octets = 1})));
    EXPECT_EQ(used_by_domain(), 0u);
}

// On threads of their own, as the server's sessions are. No two of these hold more together than the limits allow.
TEST_F(QuotasTest, SessionsOfManyThreadsNeverPassADomainsTotal) {
    limit_domain({}, {.octets = 100});
    auto owner = account(kDemo);
    auto bounds = *run(world_.directory.bounds_of(owner));
    ASSERT_TRUE(run(world_.quotas.count_all()));
    std::atomic<int> held = 0, most = 0, granted = 0;
    auto session = [&] {
        for (int n = 0; n < 200; ++n) {
            auto outcome = run(world_.quotas.reserve(owner.id, bounds, {.octets = 30}));
            if (!outcome || !*outcome) continue;
            ++granted;
            const int now = ++held;
            for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
            }
            --held;
        }
    };
    std::vector<std::thread> threads;
    for (int n = 0; n < 4; ++n) threads.emplace_back(session);
    for (auto& thread : threads) thread.join();
    EXPECT_LE(most, 3);
    EXPECT_GT(granted, 0);
    EXPECT_TRUE(reserve(kDemo, {.octets = 100})) << "all of it came back";
}

TEST(PercentReached, IsTheHighestOfAnyLimit) {
    struct Case {
        Amount used;
        std::uint64_t messages, octets;
        unsigned percent;
    };
    for (const auto& [used, messages, octets, percent] : {Case{{0, 0}, 0, 0, 0},
                                                          {{9, 9}, 0, 0, 0},
                                                          {{79, 0}, 100, 0, 0},
                                                          {{80, 0}, 100, 0, 80},
                                                          {{94, 80}, 100, 100, 80},
                                                          {{0, 95}, 100, 100, 95},
                                                          {{100, 0}, 100, 0, 100},
                                                          {{1000, 0}, 100, 0, 100},
                                                          {{1, 1ull << 60}, 0, 1ull << 50, 100},
                                                          {{1, 0}, 1, 0, 100},
                                                          {{0, 0}, 1, 1, 0}})
        EXPECT_EQ(percent_reached(used, messages, octets), percent) << used.messages << " " << used.octets;
}

}  // namespace
}  // namespace poplar::quota
