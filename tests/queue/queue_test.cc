// The queue over an engine in memory: what is due when, who may change what, and when a message is done with.
#include "queue/queue.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/manual_clock.h"
#include "tests/support/memory_engine.h"
#include "tests/support/run.h"

namespace poplar::queue {
namespace {

using namespace std::chrono_literals;
using test::run;

class QueueTest : public testing::Test {
protected:
    Result<> add(const std::string& id, const std::vector<std::string>& recipients, Timestamp due = {}) {
        auto writer = engine_.write_body();
        EXPECT_TRUE(run(writer->write("Subject: x\r\n\r\ntext\r\n")));
        NewMessage added;
        added.message.id = id;
        added.message.sender = "jane@example.test";
        added.head = "Received: here\r\n";
        added.content = *run(writer->finish());
        added.due = due;
        for (const auto& address : recipients) added.recipients.push_back({.address = address});
        return run(queue_.add(std::move(added)));
    }
    std::vector<Due> due(Timestamp until) { return *run(queue_.due(until, 100)); }
    Part part(const std::string& id, std::uint32_t number) { return *run(queue_.part({id, number})); }
    void end(const std::string& id, std::uint32_t number, Recipient::State state = Recipient::State::delivered) {
        auto claim = queue_.claim({id, number});
        ASSERT_TRUE(claim);
        auto changed = part(id, number);
        for (auto& one : changed.recipients) one.state = state;
        ASSERT_TRUE(run(queue_.save({changed})));
    }
    std::string text_of(const std::string& id) {
        auto reader = run(queue_.open(*run(queue_.message(id))));
        if (!reader) return "";
        std::string text;
        for (;;) {
            auto chunk = run((*reader)->next());
            if (!chunk || chunk->empty()) return text;
            text += *chunk;
        }
    }

    test::MemoryEngine engine_;
    test::ManualClock clock_;
    Queue queue_{engine_, clock_, {.keep_finished = 24h}};
    const std::string a_ = "aaaaaaaaaaaa", b_ = "bbbbbbbbbbbb";
};

TEST_F(QueueTest, AMessageHasAPartForEachDomainAndOneBody) {
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example", "z@one.example"}));
    EXPECT_EQ(engine_.commits(), 1u);
    EXPECT_EQ(engine_.body_count(kQueuePartition), 1u);
    const auto found = due(clock_.now());
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(part(a_, 0).domain, "one.example");
    EXPECT_EQ(part(a_, 0).recipients.size(), 2u);
    EXPECT_EQ(part(a_, 1).domain, "two.example");
    EXPECT_EQ(text_of(a_), "Received: here\r\nSubject: x\r\n\r\ntext\r\n");
}

TEST_F(QueueTest, AMessageTakesNobodysPlace) {
    ASSERT_TRUE(add(a_, {"x@one.example"}));
    const auto again = add(a_, {"y@two.example"});
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code(), Errc::exists);
    EXPECT_EQ(part(a_, 0).domain, "one.example");
}

TEST_F(QueueTest, WhatIsDueComesInTheOrderOfTime) {
    ASSERT_TRUE(add(a_, {"x@one.example"}, clock_.now() + 2h));
    ASSERT_TRUE(add(b_, {"x@one.example"}, clock_.now() + 1h));
    EXPECT_TRUE(due(clock_.now() + 59min).empty());
    EXPECT_EQ(due(clock_.now() + 1h).size(), 1u);
    const auto all = due(clock_.now() + 3h);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].part.first, b_);
}

TEST_F(QueueTest, WhatIsDueCanBeReadInPages) {
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example", "z@three.example"}));
    ASSERT_TRUE(add(b_, {"x@one.example"}, clock_.now() + 1h));
    const auto all = due(clock_.now() + 1h);
    ASSERT_EQ(all.size(), 4u);
    std::vector<PartId> paged;
    std::optional<Due> last;
    for (;;) {
        auto page = *run(queue_.due(clock_.now() + 1h, 2, last));
        if (page.empty()) break;
        for (const auto& one : page) paged.push_back(one.part);
        last = page.back();
    }
    ASSERT_EQ(paged.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(paged[i], all[i].part) << i;
    EXPECT_TRUE(run(queue_.due(clock_.now(), 2, last))->empty()) << "behind all that is due by then";
}

TEST_F(QueueTest, WhatWasKeptBackIsAsOldAsItsFreedom) {
    ASSERT_TRUE(add(a_, {"x@one.example"}, clock_.now() + 1h));
    ASSERT_TRUE(add(b_, {"x@one.example"}));
    EXPECT_EQ(part(a_, 0).released, clock_.now() + 1h);
    EXPECT_FALSE(part(b_, 0).released);
}

TEST_F(QueueTest, AnotherTimeTakesThePlaceOfTheOldOne) {
    ASSERT_TRUE(add(a_, {"x@one.example"}));
    for (auto time : {clock_.now() + 1h, clock_.now() + 1h, clock_.now() + 2h}) {
        auto changed = part(a_, 0);
        changed.due = time;
        ASSERT_TRUE(run(queue_.save({changed})));
        const auto found = due(clock_.now() + 24h);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found[0].time, time);
    }
}

TEST_F(QueueTest, WhatIsHeldIsNotDue) {
    ASSERT_TRUE(add(a_, {"x@one.example"}));
    auto held = part(a_, 0);
    held.held = true;
    ASSERT_TRUE(run(queue_.save({held})));
    EXPECT_TRUE(due(clock_.now() + 24h).empty());
    held = part(a_, 0);
    EXPECT_TRUE(held.held);
    held.held = false;
    ASSERT_TRUE(run(queue_.save({held})));
    EXPECT_EQ(due(clock_.now()).size(), 1u);
}

TEST_F(QueueTest, OneAtATimeHasThePart) {
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example"}));
    auto claim = queue_.claim({a_, 0});
    EXPECT_TRUE(claim);
    EXPECT_FALSE(queue_.claim({a_, 0}));
    EXPECT_TRUE(queue_.claim({a_, 1}));
    auto moved = std::move(*claim);
    claim.reset();
    EXPECT_FALSE(queue_.claim({a_, 0}));
    moved = Claim();
    EXPECT_TRUE(queue_.claim({a_, 0}));
}

TEST_F(QueueTest, TheBodyGoesWithTheLastPartAndTheMessageIsKnownForSomeTime) {
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example"}));
    end(a_, 0);
    EXPECT_EQ(engine_.body_count(kQueuePartition), 1u);
    EXPECT_FALSE(run(queue_.message(a_))->finished);
    end(a_, 1, Recipient::State::failed);
    EXPECT_EQ(engine_.body_count(kQueuePartition), 0u);
    EXPECT_TRUE(run(queue_.message(a_))->finished);
    EXPECT_TRUE(due(clock_.now() + 24h).empty());
    EXPECT_TRUE(run(queue_.list("", 10, false))->empty());
    EXPECT_EQ(run(queue_.list("", 10, true))->size(), 1u);
    EXPECT_EQ(*run(queue_.forget_finished(10)), 0u);
    clock_.advance(25h);
    EXPECT_EQ(*run(queue_.forget_finished(10)), 1u);
    EXPECT_EQ(run(queue_.message(a_)).error().code(), Errc::not_found);
    EXPECT_EQ(run(queue_.part({a_, 0})).error().code(), Errc::not_found);
    EXPECT_EQ(*run(queue_.forget_finished(10)), 0u);
}

TEST_F(QueueTest, AMessageIsNotDoneWithWhileItsSenderHasToBeTold) {
    ASSERT_TRUE(add(a_, {"x@one.example"}));
    auto failed = part(a_, 0);
    failed.recipients[0].state = Recipient::State::failed;
    failed.recipients[0].report_due = true;
    ASSERT_TRUE(run(queue_.save({failed})));
    EXPECT_FALSE(run(queue_.message(a_))->finished);
    EXPECT_EQ(due(clock_.now()).size(), 1u) << "so that it is told after a restart";
    end(a_, 0, Recipient::State::failed);
    failed = part(a_, 0);
    failed.recipients[0].report_due = false;
    ASSERT_TRUE(run(queue_.save({failed})));
    EXPECT_TRUE(run(queue_.message(a_))->finished);
}

TEST_F(QueueTest, PartsThatEndInOneCommitEndTheirMessage) {
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example"}));
    std::vector<Part> both{part(a_, 0), part(a_, 1)};
    for (auto& one : both) one.recipients[0].state = Recipient::State::removed;
    ASSERT_TRUE(run(queue_.save(both)));
    EXPECT_TRUE(run(queue_.message(a_))->finished);
    EXPECT_EQ(engine_.body_count(kQueuePartition), 0u);
}

TEST_F(QueueTest, ACommitThatFailsLeavesEverythingAsItWas) {
    engine_.fail_next_commits(1, Errc::no_space);
    EXPECT_EQ(add(a_, {"x@one.example"}).error().code(), Errc::no_space);
    EXPECT_TRUE(due(clock_.now()).empty());
    ASSERT_TRUE(add(a_, {"x@one.example"}));
    engine_.fail_next_commits(1, Errc::io);
    auto changed = part(a_, 0);
    changed.recipients[0].state = Recipient::State::delivered;
    EXPECT_FALSE(run(queue_.save({changed})));
    EXPECT_EQ(due(clock_.now()).size(), 1u);
    EXPECT_EQ(text_of(a_), "Received: here\r\nSubject: x\r\n\r\ntext\r\n");
}

TEST_F(QueueTest, WhoeverListensHearsOfEachTime) {
    std::vector<Due> heard;
    queue_.on_due([&](Due due) { heard.push_back(std::move(due)); });
    ASSERT_TRUE(add(a_, {"x@one.example", "y@two.example"}));
    EXPECT_EQ(heard.size(), 2u);
    auto changed = part(a_, 1);
    changed.due = clock_.now() + 1h;
    ASSERT_TRUE(run(queue_.save({changed})));
    ASSERT_EQ(heard.size(), 3u);
    EXPECT_EQ(heard[2].time, clock_.now() + 1h);
    end(a_, 1);
    EXPECT_EQ(heard.size(), 3u) << "what is done with has no time";
}

TEST_F(QueueTest, ListsGoOnBehindAnId) {
    for (char c : std::string("abcde")) ASSERT_TRUE(add(std::string(kIdLength, c), {"x@one.example"}));
    auto first = run(queue_.list("", 2, false));
    ASSERT_EQ(first->size(), 2u);
    auto rest = run(queue_.list((*first)[1].message.id, 10, false));
    ASSERT_EQ(rest->size(), 3u);
    EXPECT_EQ(rest->front().message.id, "cccccccccccc");
    EXPECT_EQ(rest->front().parts.size(), 1u);
}

}  // namespace
}  // namespace poplar::queue
