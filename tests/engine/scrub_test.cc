#include <gtest/gtest.h>

#include <thread>

#include "engine/local/local_engine.h"
#include "tests/engine/direct.h"
#include "tests/engine/local_store.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::LocalEngine;

template <class Condition>
bool comes(Condition condition) {
    using namespace std::chrono;
    for (auto begin = steady_clock::now(); !condition(); std::this_thread::yield())
        if (steady_clock::now() - begin > minutes(1)) return false;
    return true;
}

TEST(Scrub, GoesOnBehindARestartEvenIfNoneWouldBeginByItself) {
    TempDir directory;
    auto options = small_options(directory.path() / "store");
    ASSERT_EQ(options.scrub_every.count(), 0) << "only when it is asked for";
    std::uint64_t all = 0;
    engine::local::ScrubStatus middle;
    {
        auto engine = open_store(options);
        Direct d(*engine);
        for (int i = 0; i < 300; ++i) ASSERT_TRUE(d.add_body(PartitionId(7), "", d.stage(pattern(10'000, i))));
        all = 300 * 10'000;
    }
    options.scrub_rate = 100 << 10;  // half a minute for all of it
    {
        auto engine = open_store(options);
        EXPECT_FALSE(engine->status().scrub.under_way);
        engine->scrub();
        ASSERT_TRUE(comes([&] { return engine->status().scrub.octets > 0; }));
        middle = engine->status().scrub;
        EXPECT_TRUE(middle.under_way);
    }
    options.scrub_rate = 0;  // as fast as it can
    auto engine = open_store(options);
    ASSERT_TRUE(comes([&] { return !engine->status().scrub.under_way; }));
    auto end = engine->status().scrub;
    EXPECT_EQ(end.begun, middle.begun) << "the same round";
    EXPECT_EQ(end.failure, "");
    EXPECT_EQ(end.damaged, 0u);
    EXPECT_GE(end.octets, all) << "all of it was read";
    EXPECT_LE(end.octets, all + (512 << 10)) << "and what was read before was not read again";

    engine->scrub();
    ASSERT_TRUE(comes([&] { return engine->status().scrub.ended > end.ended; })) << "the next one can be asked for";
    EXPECT_EQ(engine->status().scrub.octets, all);
}

}  // namespace
}  // namespace poplar::test
