#include <gtest/gtest.h>
#include <sys/resource.h>

#include "engine/local/local_engine.h"
#include "tests/engine/engine_conformance.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::LocalEngine;

constexpr PartitionId kAccount{7};

Task<Result<std::string>> body(Engine& engine, BodyId id) {
    auto reader = co_await engine.read_bodies(kAccount)->open(id);
    if (!reader) co_return pass_on(reader);
    auto chunk = co_await (*reader)->next();
    if (!chunk) co_return pass_on(chunk);
    co_return std::string(*chunk);
}

/// The limit is set in here, when the loop that runs us has its own descriptors.
Task<Result<std::string>> body_without_descriptors(Engine& engine, BodyId id) {
    rlimit old{};
    getrlimit(RLIMIT_NOFILE, &old);
    rlimit none{0, old.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    auto starved = co_await body(engine, id);
    setrlimit(RLIMIT_NOFILE, &old);
    co_return starved;
}

TEST(LocalEngine, BeingOutOfDescriptorsIsNotDamage) {
    TempDir directory;
    engine::local::Options options;
    options.directory = directory.path() / "store";
    options.min_free_space = 0;
    BodyId id{};
    {
        auto engine = LocalEngine::open(options);
        ASSERT_TRUE(engine) << engine.error().detail();
        Direct d(**engine);
        id = (*engine)->next_body_id(kAccount);
        Batch batch;
        batch.add_body(id, "head\r\n", d.stage("body\r\n"));
        ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
    }
    auto engine = LocalEngine::open(options);
    ASSERT_TRUE(engine) << engine.error().detail();
    auto starved = run(body_without_descriptors(**engine, id));
    ASSERT_FALSE(starved);
    EXPECT_EQ(starved.error().code(), Errc::io) << starved.error().detail();
    auto later = Direct(**engine).body(kAccount, id);
    ASSERT_TRUE(later) << later.error().detail();
    EXPECT_EQ(*later, "head\r\nbody\r\n");
}

}  // namespace
}  // namespace poplar::test
