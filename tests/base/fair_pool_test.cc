// FairPool: work runs beside its callers, shares take turns, and too much of it is refused.
#include "base/fair_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <string>
#include <thread>

#include "tests/support/run.h"

namespace poplar {
namespace {

TEST(FairPool, WorksElsewhereAndComesBackWithTheResult) {
    FairPool pool(1, 1);
    auto task = [](FairPool& p) -> Task<bool> {
        const auto mine = std::this_thread::get_id();
        auto where = [] { return std::this_thread::get_id(); };
        auto worker = co_await p.run({}, std::move(where));
        co_return worker && *worker != mine&& std::this_thread::get_id() == mine;
    };
    EXPECT_TRUE(test::run(task(pool)));
}

TEST(FairPool, CarriesWhatCanOnlyBeMoved) {
    FairPool pool(1, 1);
    auto task = [](FairPool& p) -> Task<Result<std::unique_ptr<int>>> {
        auto work = [value = std::make_unique<int>(41)]() mutable {
            ++*value;
            return std::move(value);
        };
        co_return co_await p.run({}, std::move(work));
    };
    EXPECT_EQ(**test::run(task(pool)), 42);
}

TEST(FairPool, RunsAsMuchAtOnceAsItHasThreads) {
    constexpr int kThreads = 3;
    FairPool pool(kThreads, kThreads);
    std::latch all_there(kThreads);  // opens only if all three run at once
    std::atomic<int> done = 0;
    auto one = [](FairPool& p, std::latch& latch, std::atomic<int>& count) -> Task<> {
        auto work = [&latch] {
            latch.arrive_and_wait();
            return true;
        };
        if (co_await p.run({}, std::move(work))) ++count;
    };
    asio::io_context context(1);
    for (int i = 0; i < kThreads; ++i) asio::co_spawn(context, one(pool, all_there, done), asio::detached);
    context.run();
    EXPECT_EQ(done, kThreads);
}

/// One thread that is held up while jobs come.
class HeldPool : public testing::Test {
protected:
    ~HeldPool() override { context_.run(); }

    void hold() {
        auto holder = [](FairPool& pool, std::latch& entered, std::latch& gate) -> Task<> {
            auto work = [&] {
                entered.count_down();
                gate.wait();
                return 0;
            };
            EXPECT_TRUE(co_await pool.run({}, std::move(work)));
        };
        asio::co_spawn(context_, holder(pool_, entered_, gate_), asio::detached);
        context_.poll();
        entered_.wait();
    }
    void add(std::uint64_t peer, char name) {
        auto one = [](HeldPool& self, Share share, char job) -> Task<> {
            auto work = [&order = self.order_, job] {
                order.push_back(job);
                return 0;
            };
            auto done = co_await self.pool_.run(share, std::move(work));
            if (!done) EXPECT_EQ(done.error().code(), Errc::busy);
            if (!done) self.refused_.push_back(job);
        };
        asio::co_spawn(context_, one(*this, {Standing::unknown, peer, peer}, name), asio::detached);
        context_.poll();
    }
    void let_go() {
        gate_.count_down();
        context_.run();
    }

    asio::io_context context_{1};
    std::latch entered_{1}, gate_{1};
    std::string order_, refused_;
    FairPool pool_{1, 3};
};

TEST_F(HeldPool, NobodyWaitsForAllTheJobsOfAnother) {
    hold();
    for (char job : std::string("ab")) add(1, job);
    add(2, '1');
    EXPECT_EQ(pool_.waiting(), 3u);
    let_go();
    EXPECT_EQ(order_, "a1b");
}

TEST_F(HeldPool, RefusesAtOnceWhatFindsNoPlace) {
    hold();
    for (char job : std::string("abcd")) add(1, job);
    add(2, '1');
    context_.poll();
    EXPECT_EQ(refused_, "dc");
    let_go();
    EXPECT_EQ(order_, "a1b");
}

TEST(FairPool, FinishesWhatItBeganBeforeItEnds) {
    std::atomic<int> finished = 0;
    asio::io_context context(1);
    {
        FairPool pool(2, 100);
        auto one = [](FairPool& p, std::atomic<int>& count) -> Task<> {
            auto work = [&count] { return ++count; };
            (void)co_await p.run({}, std::move(work));
        };
        for (int i = 0; i < 100; ++i) asio::co_spawn(context, one(pool, finished), asio::detached);
        context.poll();
    }
    EXPECT_EQ(finished, 100);
    context.run();
}

}  // namespace
}  // namespace poplar
