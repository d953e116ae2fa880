// Power fails at any moment: whatever the disk may hold then, the engine keeps its promise. And without any one of its
// syncs it would not.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.h"
#include "tests/engine/disk_world.h"

namespace poplar::test {
namespace {

using Kind = Action::Kind;

std::string listing(const Life& life) {
    std::string text;
    for (const auto& action : life.actions) text += (text.empty() ? "" : ", ") + action.name();
    return text;
}

std::vector<Sync> all_syncs() {
    std::vector<Sync> syncs;
    for (int i = 0; i <= static_cast<int>(engine::local::kLastSync); ++i) syncs.push_back(static_cast<Sync>(i));
    std::erase(syncs, Sync::orphans);  // AnOrphanKeepsAName
    return syncs;
}

// Makes each sync there is.
Life full_life() {
    return {.actions = {{Kind::body, 0, 2400},
                        {Kind::large, 0, 100},
                        {Kind::body, 1, 2400},
                        {Kind::body, 0, 2400},
                        {Kind::restart, 0, 0},
                        {Kind::erase, 0, 0},
                        {Kind::erase, 0, 0},
                        {Kind::erase, 1, 0},
                        {Kind::body, 0, 2400},
                        {Kind::copy, 0, 0},
                        {Kind::put, 1, 0},
                        {Kind::rebuild, 0, 0}}};
}

Findings examine(const Life& life, const Effort& effort) {
    std::string wrong;
    auto moments = live(life, wrong);
    if (!wrong.empty()) return {.wrong = wrong};
    return check_power_cuts(moments, effort);
}

// Leaves out actions as long as it still fails.
Life shrink(Life life, const Effort& effort) {
    for (std::size_t part = std::max<std::size_t>(1, life.actions.size() / 2);; part /= 2) {
        for (std::size_t at = 0; at < life.actions.size();) {
            auto smaller = life;
            auto begin = smaller.actions.begin() + static_cast<std::ptrdiff_t>(at);
            smaller.actions.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(part, life.actions.size() - at)));
            if (!examine(smaller, effort).wrong.empty())
                life = std::move(smaller);
            else
                at += part;
        }
        if (part == 1) return life;
    }
}

TEST(PowerLoss, EveryStateAfterEveryCutOfAShortLifeKeepsThePromise) {
    const std::vector<std::vector<Action>> lives = {
        {{Kind::put, 0, 0}, {Kind::put, 1, 0}},
        {{Kind::body, 0, 700}, {Kind::erase, 0, 0}},
        {{Kind::large, 0, 100}},
        {{Kind::group, 0, 3}},
        {{Kind::put, 0, 0}, {Kind::killed_at, 0, 1}, {Kind::restart, 0, 0}},
    };
    for (const auto& actions : lives) {
        Life life{.actions = actions, .omitted = {}};
        auto findings = examine(life, {.exhaustive = 1 << 10, .random = 2, .seed = 1});
        EXPECT_EQ(findings.wrong, "") << listing(life);
        EXPECT_GT(findings.states, 10u);
        fmt::print("{}: {} moments, {} exhausted, {} states, {} equivalent\n", listing(life), findings.moments,
                   findings.exhausted, findings.states, findings.equivalent);
    }
}

// Seeds are fixed, so that a run is like the last; POPLAR_SEED=n begins elsewhere, POPLAR_LONG=1 takes many more.
TEST(PowerLoss, RandomLivesKeepThePromise) {
    const char* first = std::getenv("POPLAR_SEED");
    std::uint64_t seed = first ? std::strtoull(first, nullptr, 10) : 1;
    std::uint64_t lives = std::getenv("POPLAR_LONG") ? 200 : 6;
    Findings total;
    for (auto end = seed + lives; seed < end; ++seed) {
        auto life = random_life(seed, 12);
        Effort effort{.exhaustive = 16, .random = 3, .seed = seed};
        auto findings = examine(life, effort);
        total.states += findings.states;
        if (findings.wrong.empty()) continue;
        auto smaller = shrink(life, effort);
        FAIL() << "seed " << seed << ": " << listing(smaller) << "\n" << examine(smaller, effort).wrong;
    }
    fmt::print("{} states\n", total.states);
    EXPECT_GT(total.states, 100u);
}

// A record over the border of two sectors: RocksDB takes half of it for damage.
TEST(PowerLoss, ATornEndOfTheIndexsManifestCostsNothing) {
    auto life = full_life();
    std::string wrong;
    auto moments = live(life, wrong);
    ASSERT_EQ(wrong, "");
    int torn = 0;
    for (const auto& moment : moments) {
        const auto& units = moment.cut.units();
        auto all = moment.cut.everything();
        for (std::size_t i = 0; i < units.size(); ++i) {  // each sector of a MANIFEST lost alone
            const auto& path = moment.cut.path(units[i]);
            if (units[i].kind != PowerCut::Unit::Kind::sector || !path.contains("/MANIFEST-")) continue;
            for (std::uint16_t version = 0; version < all[i]; ++version) {
                auto choice = all;
                choice[i] = version;
                auto found = check_state(moment.cut.state(choice), moment.promise, false);
                EXPECT_EQ(found, "") << moment.when << "\n" << moment.cut.describe(choice);
                ++torn;
            }
        }
    }
    EXPECT_GT(torn, 0);
}

// A process that dies leaves names and octets that are not durable; the one that follows builds on what it sees, and
// then the power fails.
TEST(PowerLoss, AfterADeathBeforeAnySyncToo) {
    auto life = full_life();
    std::string wrong;
    std::map<Sync, int> synced;
    live(life, wrong, nullptr, &synced);
    ASSERT_EQ(wrong, "");
    std::uint64_t states = 0, deaths = 0;
    for (auto [sync, times] : synced)
        for (int nth = 1; nth <= times; ++nth) {
            life.die_before = {sync, nth};
            auto findings = examine(life, {.exhaustive = 0, .random = 1, .seed = 1});
            EXPECT_EQ(findings.wrong, "") << "died before " << to_string(sync) << ", time " << nth;
            states += findings.states;
            ++deaths;
        }
    for (auto sync : all_syncs()) EXPECT_GT(synced[sync], 0) << to_string(sync) << " is never made";
    fmt::print("{} deaths, {} states\n", deaths, states);
}

// The checker is itself checked: each sync there is, left out, has to show.
class WithoutASync : public testing::TestWithParam<Sync> {};

TEST_P(WithoutASync, ThePromiseIsBroken) {
    const std::vector<std::vector<Action>> lives = {
        {{Kind::body, 0, 700}, {Kind::large, 0, 100}},
        {{Kind::body, 0, 2400}, {Kind::body, 0, 2400}, {Kind::body, 0, 2400}},
        {{Kind::put, 0, 0}, {Kind::killed_at, 0, 1}, {Kind::restart, 0, 0}, {Kind::restart, 0, 0}},
        {{Kind::put, 0, 0}, {Kind::restart, 0, 0}, {Kind::rebuild, 0, 0}},
        {{Kind::body, 0, 2400},
         {Kind::body, 1, 2400},
         {Kind::body, 0, 2400},
         {Kind::body, 0, 2400},
         {Kind::body, 0, 2400},
         {Kind::erase, 0, 0},
         {Kind::erase, 0, 0},
         {Kind::erase, 0, 0},
         {Kind::copy, 0, 0},
         {Kind::put, 0, 0}},
    };
    std::vector<Life> all;
    for (const auto& actions : lives) all.push_back({.actions = actions, .omitted = {GetParam()}});
    all.push_back({.actions = lives[1], .omitted = {GetParam()}});
    all.back().die_before = {Sync::segment_name, 1};
    Findings findings;
    for (const auto& life : all) {
        findings = examine(life, {.exhaustive = 64, .random = 20, .seed = 1});
        if (!findings.wrong.empty()) break;
    }
    EXPECT_NE(findings.wrong, "") << "nothing needs this sync";
    fmt::print("without {}: {}\n", to_string(GetParam()), findings.wrong.substr(0, findings.wrong.find('\n')));
}

INSTANTIATE_TEST_SUITE_P(PowerLoss, WithoutASync, testing::ValuesIn(all_syncs()),
                         [](const auto& one) { return std::string(to_string(one.param)); });

Findings cut_while_an_orphan_is_put_aside(const std::set<Sync>& omitted) {
    Orphan orphan;
    SimulatedDisk disk(orphan.platter);
    disk.omitted = omitted;
    std::vector<PowerCut> cuts;
    disk.before_any_sync = [&] { cuts.push_back(disk.power_cut()); };
    EXPECT_TRUE(engine::local::LocalEngine::open(small_options(disk, 6000)));
    disk.before_any_sync = nullptr;
    cuts.push_back(disk.power_cut());
    Findings findings;
    std::mt19937_64 generator(1);
    for (const auto& cut : cuts)
        for (int i = 0; i < 60; ++i) {
            auto state = cut.state(i == 0 ? cut.everything() : cut.random(generator));
            ++findings.states;
            if (!orphan.kept(*state)) findings.wrong = "the file is lost";
        }
    return findings;
}

TEST(PowerLoss, AnOrphanKeepsAName) {
    EXPECT_EQ(cut_while_an_orphan_is_put_aside({}).wrong, "");
    EXPECT_NE(cut_while_an_orphan_is_put_aside({Sync::orphans}).wrong, "") << "nothing needs this sync";
}

}  // namespace
}  // namespace poplar::test
