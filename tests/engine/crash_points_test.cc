// The process dies at each named step of what changes the disk, every time it comes to it: the next start finds all
// that was promised.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <mutex>

#include "tests/engine/direct.h"
#include "tests/engine/disk_world.h"

namespace poplar::test {
namespace {

using Kind = Action::Kind;

// Comes to every step but one.
Life busy_life() {
    return {
        .actions =
            {{Kind::put, 0, 0},      {Kind::body, 0, 9000},       {Kind::large, 0, 300},        {Kind::erase, 0, 0},
             {Kind::erase, 0, 0},    {Kind::shared, 0, 600},      {Kind::shared_small, 1, 900}, {Kind::group, 0, 3},
             {Kind::body, 1, 2400},  {Kind::killed_named, 0, 50}, {Kind::body, 1, 2400},        {Kind::dropped, 0, 9},
             {Kind::conflict, 0, 5}, {Kind::restart, 0, 0},       {Kind::large, 1, 5000},       {Kind::erase, 1, 0},
             {Kind::erase, 1, 0},    {Kind::copy, 0, 0},          {Kind::rebuild, 0, 0},        {Kind::body, 0, 100}},
        .omitted = {},
        .die_at = std::nullopt,
        .watched = false};
}

TEST(CrashPoints, DyingAtAnyStepBreaksNoPromise) {
    std::string wrong;
    std::map<Step, int> reached;
    live(busy_life(), wrong, &reached);
    ASSERT_EQ(wrong, "");
    for (int i = 0; i <= static_cast<int>(engine::local::kLastStep); ++i) {
        auto step = static_cast<Step>(i);
        if (step == Step::orphan_kept) continue;  // only where the log is damaged: see below
        EXPECT_GT(reached[step], 0) << to_string(step) << " is never reached";
        for (int nth = 1; nth <= std::min(reached[step], 4); ++nth) {
            auto life = busy_life();
            if (step == Step::body_named && nth > 1) break;  // the life has a crash there of its own
            life.die_at = {step, nth};
            auto moments = live(life, wrong);
            EXPECT_EQ(wrong, "") << "died at " << to_string(step) << ", time " << nth;
            const auto& last = moments.back();
            EXPECT_EQ(check_state(last.cut.state(last.cut.everything()), last.promise, true), "")
                << "died at " << to_string(step) << ", time " << nth;
        }
    }
}

// Only the index knows what a damaged record said, until a rebuild has written it to the log again. And only that
// rebuild knows of the damage, until everything else is repaired.
TEST(CrashPoints, ARebuildThatDiesForgetsNothing) {
    std::string wrong;
    auto moments =
        live({.actions = {{Kind::put, 0, 0}, {Kind::put, 0, 0}, {Kind::restart, 0, 0}, {Kind::put, 0, 0}}}, wrong);
    ASSERT_EQ(wrong, "");
    const auto& last = moments.back();
    auto damaged = [&] {
        auto platter = last.cut.state(last.cut.everything());
        {
            SimulatedDisk disk(platter);
            auto engine = engine::local::LocalEngine::open(small_options(disk, 6000));
            EXPECT_TRUE(engine);  // and it ends as it should: the index is complete
        }
        int segment = platter->find("/data/store/log/0/0000000001.seg");
        auto at = platter->live(segment).bytes.find("mark00001");
        EXPECT_NE(at, std::string::npos);
        platter->write(segment, at, "X");
        platter->sync(segment);
        return platter;
    };
    constexpr engine::PartitionId kRepaired{77};
    auto repair = [&](engine::local::LocalEngine& engine) -> Result<> {
        for (auto key : {"half", "all"})
            if (auto done = Direct(engine).put(kRepaired, key, ""); !done) return pass_on(done);
        return {};
    };
    auto rebuild = [&](SimulatedDisk& disk) {
        return engine::local::LocalEngine::rebuild(small_options(disk, 6000), repair);
    };
    std::map<Step, int> reached;
    {
        SimulatedDisk disk(damaged());
        disk.on_step = [&](Step step) { ++reached[step]; };
        auto found = rebuild(disk);
        ASSERT_TRUE(found) << found.error().detail();
        EXPECT_EQ(found->size(), 1u);
    }
    int refused = 0, refused_for_repair = 0;
    for (auto [step, times] : reached)
        for (int nth = 1; nth <= times; ++nth) {
            auto platter = damaged();
            SimulatedDisk disk(platter);
            int left = nth;
            bool indexed = false;
            std::mutex mutex;
            disk.on_step = [&, step](Step now) {
                std::lock_guard guard(mutex);
                if (left == 0) return;
                indexed |= now == Step::index_rebuilt;
                if (now == step && --left == 0) disk.kill();
            };
            (void)rebuild(disk);
            ASSERT_EQ(left, 0) << to_string(step);
            SimulatedDisk next(platter);
            bool ended = false;
            if (auto engine = engine::local::LocalEngine::open(small_options(next, 6000))) {
                ended = Direct(**engine).get(kRepaired, "all").has_value();
                EXPECT_TRUE(ended || !indexed) << to_string(step);
            } else {
                EXPECT_NE(step, Step::rebuild_ended);
                ++refused;
                refused_for_repair += indexed;
            }
            auto found = rebuild(next);
            EXPECT_TRUE(found && (!found->empty() || ended)) << to_string(step);
            auto engine = engine::local::LocalEngine::open(small_options(next, 6000));
            ASSERT_TRUE(engine) << to_string(step) << ": " << engine.error().detail();
            EXPECT_TRUE(Direct(**engine).get(kRepaired, "all")) << "died at " << to_string(step) << ", time " << nth;
            for (std::size_t i = 0; i < last.promise.items.size(); ++i) {
                auto key = fmt::format("mark{:05}", i);
                EXPECT_TRUE(Direct(**engine).get(last.promise.items[i].commit->partition, key))
                    << key << ", died at " << to_string(step) << ", time " << nth;
            }
        }
    EXPECT_GT(refused, 3);
    EXPECT_GT(refused_for_repair, 3);
}

// orphan_kept is where both names are there: the old one has yet to go.
TEST(CrashPoints, DyingWhileAnOrphanIsPutAsideKeepsIt) {
    Orphan orphan;
    SimulatedDisk disk(orphan.platter);
    int reached = 0;
    disk.on_step = [&](Step step) {
        if (step != Step::orphan_kept) return;
        ++reached;
        disk.kill();
    };
    (void)engine::local::LocalEngine::open(small_options(disk, 6000));
    EXPECT_EQ(reached, 1);
    EXPECT_TRUE(orphan.kept(*orphan.platter));

    SimulatedDisk next(orphan.platter);
    EXPECT_TRUE(engine::local::LocalEngine::open(small_options(next, 6000)));
    EXPECT_TRUE(orphan.kept(*orphan.platter));
    EXPECT_EQ(orphan.platter->find("/data/store/large/01/7-1"), Platter::kNothing);
}

}  // namespace
}  // namespace poplar::test
