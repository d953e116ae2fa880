#include "tests/engine/engine_conformance.h"

#include "tests/support/memory_engine.h"

namespace poplar::test {
namespace {

struct MemoryFactory {
    std::unique_ptr<Engine> open() {
        auto engine = std::make_unique<MemoryEngine>();
        disk_ = engine->disk();
        return engine;
    }
    std::unique_ptr<Engine> reopen() { return std::make_unique<MemoryEngine>(disk_); }

private:
    std::shared_ptr<MemoryEngine::Disk> disk_;
};

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EngineConformance, MemoryFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EnginePersistence, MemoryFactory);

TEST(MemoryEngine, FailsAsManyCommitsAsAskedFor) {
    MemoryEngine engine;
    Direct d(engine);
    engine.fail_next_commits(2, Errc::no_space);
    EXPECT_EQ(code_of(d.put(PartitionId(1), "k", "1")), Errc::no_space);
    EXPECT_EQ(code_of(d.put(PartitionId(1), "k", "1")), Errc::no_space);
    EXPECT_EQ(code_of(d.get(PartitionId(1), "k")), Errc::not_found);
    EXPECT_TRUE(d.put(PartitionId(1), "k", "1"));
    EXPECT_EQ(engine.commits(), 1u);
}

TEST(MemoryEngine, AFailedCommitMayHaveHappened) {
    MemoryEngine engine;
    Direct d(engine);
    engine.fail_next_commits(1, Errc::outcome_unknown, MemoryEngine::Applied::yes);
    EXPECT_EQ(code_of(d.put(PartitionId(1), "k", "1")), Errc::outcome_unknown);
    EXPECT_EQ(*d.get(PartitionId(1), "k"), "1");
}

TEST(MemoryEngine, FailsAfterAsManyCommitsAsAskedFor) {
    MemoryEngine engine;
    Direct d(engine);
    engine.fail_commits_after(1, Errc::io);
    EXPECT_TRUE(d.put(PartitionId(1), "k", "1"));
    EXPECT_EQ(code_of(d.put(PartitionId(1), "k", "2")), Errc::io);
    engine.fail_next_commits(0, Errc::io);
    EXPECT_TRUE(d.put(PartitionId(1), "k", "3"));
}

TEST(MemoryEngine, DamagedBodiesAreNeverServedAsGood) {
    MemoryEngine engine;
    Direct d(engine);
    auto id = d.add_body(PartitionId(1), "head", d.stage(pattern(200'000, 1)));
    ASSERT_TRUE(id);
    engine.damage_body(PartitionId(1), *id, 150'000);
    EXPECT_EQ(code_of(d.body(PartitionId(1), *id)), Errc::corrupt);
    EXPECT_EQ(code_of(d.verified_body(PartitionId(1), *id)), Errc::corrupt);
}

TEST(MemoryEngine, ABrokenLeaseDeniesItsHolder) {
    MemoryEngine engine;
    Direct d(engine);
    auto lease = d.lease(PartitionId(1), "pop3");
    ASSERT_TRUE(lease);
    engine.break_lease(PartitionId(1), "pop3");
    Batch batch;
    batch.put("k", "v");
    batch.fences.push_back({"pop3", (*lease)->token()});
    EXPECT_EQ(code_of(d.commit(PartitionId(1), std::move(batch))), Errc::denied);
    auto next = d.lease(PartitionId(1), "pop3");
    ASSERT_TRUE(next);
    lease->reset();  // gives back nothing: it is another's now
    EXPECT_EQ(code_of(d.lease(PartitionId(1), "pop3")), Errc::busy);
}

}  // namespace
}  // namespace poplar::test
