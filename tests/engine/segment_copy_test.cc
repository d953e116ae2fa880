// Copying of segments: nothing changes for readers, a rebuild or a start after a crash, and the space comes back.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <fstream>
#include <latch>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "engine/local/copy_policy.h"
#include "engine/local/disk.h"
#include "engine/local/local_engine.h"
#include "tests/engine/engine_conformance.h"
#include "tests/engine/local_store.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::CopyCandidate;
using engine::local::CopyRules;
using engine::local::Damage;
using engine::local::Disk;
using engine::local::LocalEngine;
using engine::local::Options;
using engine::local::Step;

std::vector<Damage> damage_of(LocalEngine& engine) {
    std::vector<Damage> found;
    auto totals = engine.verify([&](const Damage& damage) { found.push_back(damage); });
    EXPECT_TRUE(totals.has_value()) << totals.error().detail();
    return found;
}

std::string text_of(const std::vector<Damage>& found) {
    std::string text;
    for (const auto& one : found) text += fmt::format("{} at {}: {}\n", one.file, one.offset, one.what);
    return text;
}

int copy_all(LocalEngine& engine) {
    for (int copies = 0;; ++copies) {
        auto copied = engine.copy_segments();
        EXPECT_TRUE(copied.has_value()) << copied.error().detail();
        if (!copied || !*copied) return copies;
    }
}

// The content of partitions, kept beside the engine so that both can be compared.
class World {
public:
    explicit World(std::uint64_t seed) : random_(seed) {}

    void change(LocalEngine& engine) {
        Direct d(engine);
        PartitionId p(1 + random_() % 4);
        auto& part = parts_[p];
        Batch batch;
        std::set<std::string> keys;
        for (auto n = 1 + random_() % 4; n > 0; --n) {
            auto key = fmt::format("k{}", random_() % 60);
            if (!keys.insert(key).second) continue;
            if (random_() % 3 == 0) {
                batch.erase(key);
                part.entries.erase(key);
            } else {
                auto value = random_() % 2 == 0 ? "same" : std::to_string(random_());
                batch.put(key, value);
                part.entries[key] = value;
            }
        }
        if (random_() % 3 != 0) {
            auto id = engine.next_body_id(p);
            auto text = pattern(random_() % 20 == 0 ? 70'000 + random_() % 200'000 : random_() % 12'000, random_());
            batch.add_body(id, "head\r\n", text.empty() ? nullptr : d.stage(text));
            part.bodies[id] = "head\r\n" + text;
        }
        while (!part.bodies.empty() && random_() % 2 == 0) {
            auto it = std::next(part.bodies.begin(), static_cast<long>(random_() % part.bodies.size()));
            batch.erase_body(it->first);
            part.bodies.erase(it);
        }
        if (random_() % 50 == 0) {  // everything goes
            for (const auto& [id, text] : part.bodies) batch.erase_body(id);
            for (const auto& [key, value] : part.entries)
                if (!keys.contains(key)) batch.erase(key);
            std::erase_if(part.entries, [&](const auto& entry) { return !keys.contains(entry.first); });
            part.bodies.clear();
        }
        auto number = d.commit(p, std::move(batch));
        ASSERT_TRUE(number) << number.error().detail();
        EXPECT_EQ(number->value, ++part.changes);
    }

    void expect_in(LocalEngine& engine) const {
        Direct d(engine);
        for (const auto& [p, part] : parts_) {
            EXPECT_EQ(d.number(p)->value, part.changes);
            auto found = run(engine.scan(p, {"a", "z"}, 1000, nullptr));
            ASSERT_TRUE(found);
            std::map<std::string, std::string> entries;
            for (const auto entry : *found) entries[std::string(entry.key)] = entry.value;
            EXPECT_EQ(entries, part.entries) << "partition " << p.value;
            for (const auto& [id, text] : part.bodies) {
                auto body = d.body(p, id);
                ASSERT_TRUE(body) << body.error().detail();
                EXPECT_TRUE(*body == text);
            }
        }
        EXPECT_EQ(text_of(damage_of(engine)), "");
    }

private:
    struct Part {
        std::uint64_t changes = 0;
        std::map<std::string, std::string> entries;
        std::map<BodyId, std::string> bodies;
    };
    std::mt19937_64 random_;
    std::map<PartitionId, Part> parts_;
};

// The index must be what the segments say, whatever was copied.
void expect_rebuild_gives_the_same(const Options& options) {
    auto before = dump_index(options.directory);
    auto found = LocalEngine::rebuild(options);
    ASSERT_TRUE(found) << found.error().detail();
    EXPECT_EQ(text_of(*found), "");
    auto after = dump_index(options.directory);
    EXPECT_EQ(before.size(), after.size());
    for (const auto& [key, value] : before) {
        auto it = after.find(key);
        EXPECT_TRUE(it != after.end() && it->second == value)
            << "key " << testing::PrintToString(key) << " was " << testing::PrintToString(value) << ", is "
            << (it == after.end() ? "gone" : testing::PrintToString(it->second));
    }
}

class SegmentCopies : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Seeds, SegmentCopies, testing::Range(1, 7));

TEST_P(SegmentCopies, ChangeNothingButTheSpaceTaken) {
    TempDir directory;
    auto options = small_options(directory.path() / "store"), crashed = small_options(directory.path() / "crashed");
    World world(GetParam());
    int copies = 0;
    auto engine = open_store(options);
    for (int round = 0; round < 8; ++round) {
        for (int i = 0; i < 80; ++i) world.change(*engine);
        copies += copy_all(*engine);
        world.expect_in(*engine);
        copy_directory(options.directory, crashed.directory);
        {
            auto recovered = open_store(crashed);
            ASSERT_TRUE(recovered);
            EXPECT_EQ(text_of(recovered->status().damage), "");
            world.expect_in(*recovered);
        }
        expect_rebuild_gives_the_same(crashed);
        if (round % 3 == 2) {
            engine.reset();
            expect_rebuild_gives_the_same(options);
            engine = open_store(options);
            world.expect_in(*engine);
        }
    }
    EXPECT_GT(copies, 3);
}

TEST_P(SegmentCopies, OfAllThatHasDeadOctetsChangeNothingToo) {
    TempDir directory;
    auto options = small_options(directory.path() / "store"), crashed = small_options(directory.path() / "crashed");
    World world(GetParam());
    auto engine = open_store(options);
    for (int round = 0; round < 4; ++round) {
        for (int i = 0; i < 60; ++i) world.change(*engine);
        auto dropped = engine->drop_dead({PartitionId(1), PartitionId(2)}, [] { return true; });
        ASSERT_TRUE(dropped) << dropped.error().detail();
        const auto copies = engine->status().copies;
        EXPECT_GT(copies, 0u);
        ASSERT_TRUE(engine->drop_dead({PartitionId(1)}, [] { return true; }));
        EXPECT_EQ(engine->status().copies, copies) << "nothing was left to do";
        world.expect_in(*engine);
        copy_directory(options.directory, crashed.directory);
        {
            auto recovered = open_store(crashed);
            ASSERT_TRUE(recovered);
            EXPECT_EQ(text_of(recovered->status().damage), "");
            world.expect_in(*recovered);
        }
        expect_rebuild_gives_the_same(crashed);
    }
}

bool is_in_files(const fs::path& directory, const std::string& text) {
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        std::ifstream file(entry.path(), std::ios::binary);
        const std::string content(std::istreambuf_iterator<char>(file), {});
        if (content.contains(text)) return true;
    }
    return false;
}

TEST(DropDead, LeavesNothingOfWhatWasErasedOrReplaced) {
    TempDir directory;
    auto options = small_options(directory.path() / "store");
    const PartitionId p(7);
    auto engine = open_store(options);
    Direct d(*engine);
    const auto body = engine->next_body_id(p);
    {
        Batch batch;
        batch.put("erased", "a value that was erased");
        batch.put("replaced", "a value that was replaced");
        batch.put("kept", "a value that is kept");
        batch.add_body(body, "", d.stage("a body that was erased"));
        ASSERT_TRUE(d.commit(p, std::move(batch)));
    }
    auto snapshot = engine->snapshot(p);
    {
        Batch batch;
        batch.erase("erased");
        batch.put("replaced", "other");
        batch.erase_body(body);
        ASSERT_TRUE(d.commit(p, std::move(batch)));
    }
    auto early = engine->drop_dead({p}, [] { return true; });
    ASSERT_FALSE(early) << "somebody still reads it";
    EXPECT_EQ(early.error().code(), Errc::busy);
    snapshot.reset();
    auto given_up = engine->drop_dead({p}, [] { return false; });
    ASSERT_FALSE(given_up);
    EXPECT_EQ(given_up.error().code(), Errc::cancelled);
    auto dropped = engine->drop_dead({p}, [] { return true; });
    ASSERT_TRUE(dropped) << dropped.error().detail();
    for (const auto* gone : {"a value that was erased", "a value that was replaced", "a body that was erased"})
        EXPECT_FALSE(is_in_files(options.directory, gone)) << gone;
    EXPECT_TRUE(is_in_files(options.directory, "a value that is kept"));
    EXPECT_EQ(text_of(damage_of(*engine)), "");
}

// Copies the directory at the n-th step of a kind: what a crash there leaves.
class Stopper final : public Disk {
public:
    void on_step(std::function<void(Step)> act) {
        std::lock_guard guard(mutex_);
        act_ = std::move(act);
    }
    void reached(Step step) override {
        std::lock_guard guard(mutex_);  // steps of several threads, one at a time
        if (act_) act_(step);
    }

private:
    std::mutex mutex_;
    std::function<void(Step)> act_;
};

TEST(SegmentCopy, ACrashAtAnyStepOfItLosesNothing) {
    TempDir directory;
    auto options = small_options(directory.path() / "store");
    Stopper disk;
    options.disk = &disk;
    World world(42);
    auto engine = open_store(options);
    for (int i = 0; i < 300; ++i) world.change(*engine);
    std::map<Step, int> seen;
    std::vector<fs::path> crashes;
    disk.on_step([&](Step step) {
        if (step < Step::copy_begun || ++seen[step] > 2) return;
        crashes.push_back(directory.path() / fmt::format("{}-{}", to_string(step), seen[step]));
        copy_directory(options.directory, crashes.back());
    });
    EXPECT_GT(copy_all(*engine), 0);
    disk.on_step(nullptr);
    for (auto step = Step::copy_begun; step <= Step::segment_unlinked; step = Step(int(step) + 1))
        EXPECT_GT(seen[step], 0) << to_string(step);
    for (const auto& crash : crashes) {
        SCOPED_TRACE(crash.filename());
        auto crashed = small_options(crash), rebuilt = small_options(crash.string() + "-rebuilt");
        copy_directory(crash, rebuilt.directory);
        {
            auto recovered = open_store(crashed);
            ASSERT_TRUE(recovered);
            EXPECT_EQ(text_of(recovered->status().damage), "");
            world.expect_in(*recovered);
            copy_all(*recovered);
            world.expect_in(*recovered);
        }
        expect_rebuild_gives_the_same(crashed);
        // Without its index, too.
        auto found = LocalEngine::rebuild(rebuilt);
        ASSERT_TRUE(found) << found.error().detail();
        EXPECT_EQ(text_of(*found), "");
        auto recovered = open_store(rebuilt);
        ASSERT_TRUE(recovered);
        world.expect_in(*recovered);
    }
}

// The copier flushes the index rarely, and a crash leaves only what was flushed. A copy may have been decided with
// more.
TEST(SegmentCopy, ACrashFindsTheIndexNeverTooOldForACopy) {
    TempDir directory;
    auto options = small_options(directory.path() / "store");
    Stopper disk;
    options.disk = &disk;
    World world(7);
    auto engine = open_store(options);
    std::vector<std::pair<fs::path, World>> crashes;
    disk.on_step([&](Step step) {
        if (step != Step::copy_durable && step != Step::copy_indexed) return;
        crashes.emplace_back(directory.path() / fmt::format("{}-{}", to_string(step), crashes.size()), world);
        copy_directory(options.directory, crashes.back().first);
    });
    for (int round = 0; round < 60 && crashes.size() < 24; ++round) {
        for (int i = 0; i < 8; ++i) world.change(*engine);
        ASSERT_TRUE(engine->copy_segments());
    }
    disk.on_step(nullptr);
    EXPECT_GE(crashes.size(), 8u);
    for (const auto& [crash, then] : crashes) {
        SCOPED_TRACE(crash.filename());
        auto recovered = open_store(small_options(crash));
        ASSERT_TRUE(recovered);
        EXPECT_EQ(text_of(recovered->status().damage), "");
        then.expect_in(*recovered);
    }
}

// Acts when a copy begins to be written: what counts in it has been decided by then.
class Meddler final : public Disk {
public:
    int open(const char* path, int flags, unsigned mode) override {
        if ((flags & O_CREAT) && std::string_view(path).ends_with(".draft")) act();
        return Disk::open(path, flags, mode);
    }
    std::function<void()> act;
};

TEST(SegmentCopy, WhatChangesBetweenTheSurveyAndTheCopyIsNotLost) {
    TempDir directory;
    auto options = small_options(directory.path() / "store"), crashed = small_options(directory.path() / "crashed");
    Meddler disk;
    options.disk = &disk;
    World world(11);
    auto engine = open_store(options);
    int meddled = 0;
    disk.act = [&] {
        for (int i = 0; i < 30; ++i) world.change(*engine);
        ++meddled;
    };
    for (int round = 0; round < 6; ++round) {
        for (int i = 0; i < 80; ++i) world.change(*engine);
        for (int n = 0; n < 6; ++n) ASSERT_TRUE(engine->copy_segments());
        world.expect_in(*engine);
        copy_directory(options.directory, crashed.directory);
        expect_rebuild_gives_the_same(crashed);
        auto rebuilt = open_store(crashed);
        ASSERT_TRUE(rebuilt);
        world.expect_in(*rebuilt);
    }
    EXPECT_GT(meddled, 6);
}

TEST(SegmentCopy, AReaderOfAnOldPlaceReadsOn) {
    TempDir directory;
    auto engine = open_store(small_options(directory.path()));
    Direct d(*engine);
    constexpr PartitionId kAccount(7);
    auto text = pattern(100'000, 1);
    auto kept = d.add_body(kAccount, "", d.stage(text));
    ASSERT_TRUE(kept);
    std::vector<BodyId> others;
    // So small that no holes are made of them: the segment itself has to go.
    for (int i = 0; i < 120; ++i) others.push_back(*d.add_body(kAccount, "", d.stage(pattern(3'000, i))));
    auto reader = run(engine->read_bodies(kAccount)->open(*kept));
    ASSERT_TRUE(reader);
    Batch batch;
    for (auto id : others) batch.erase_body(id);
    ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
    EXPECT_GT(copy_all(*engine), 0);
    EXPECT_FALSE(fs::exists(directory.path() / "log/0/0000000001.seg"));
    std::string got;
    for (;;) {
        auto chunk = run((*reader)->next());
        ASSERT_TRUE(chunk) << chunk.error().detail();
        if (chunk->empty()) break;
        got += *chunk;
    }
    EXPECT_TRUE(got == text);
    EXPECT_TRUE(*d.body(kAccount, *kept) == text);
}

// Segments in `directory` that are unlinked, and take room as long as a descriptor is open.
int unlinked_and_open(const fs::path& directory) {
    int found = 0;
    for (const auto& descriptor : fs::directory_iterator("/proc/self/fd")) {
        std::error_code gone;
        const auto target = fs::read_symlink(descriptor.path(), gone).string();
        if (target.starts_with(directory.string()) && target.ends_with(".seg (deleted)")) ++found;
    }
    return found;
}

TEST(SegmentCopy, ASeriesThatRestsGivesTheSpaceOfACopiedSegmentBackAndGoesOn) {
    TempDir directory;
    auto engine = open_store(small_options(directory.path()));
    Direct d(*engine);
    constexpr PartitionId kAccount(7);
    std::vector<BodyId> kept, others;
    for (int i = 0; i < 2; ++i) kept.push_back(*d.add_body(kAccount, "", d.stage(pattern(1'000, i))));
    for (int i = 0; i < 120; ++i) others.push_back(*d.add_body(kAccount, "", d.stage(pattern(3'000, i))));
    auto series = engine->read_bodies(kAccount);
    auto read = [&](BodyId id) -> Result<std::string> {
        auto reader = run(series->open(id));
        if (!reader) return pass_on(reader);
        auto chunk = run((*reader)->next());
        if (!chunk) return pass_on(chunk);
        return std::string(*chunk);
    };
    EXPECT_EQ(read(kept[0]).value_or(""), pattern(1'000, 0));
    Batch batch;
    for (auto id : others) batch.erase_body(id);
    ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
    EXPECT_GT(copy_all(*engine), 0);
    ASSERT_FALSE(fs::exists(directory.path() / "log/0/0000000001.seg"));
    EXPECT_EQ(unlinked_and_open(directory.path()), 1) << "held for the next body";
    series->release_files();
    EXPECT_EQ(unlinked_and_open(directory.path()), 0);
    for (int i = 0; i < 2; ++i) EXPECT_EQ(read(kept[i]).value_or(""), pattern(1'000, i)) << i;
}

TEST(SegmentCopy, WhoFetchesAllAgainBehindACopyOrAnErasureFindsWhatIsThere) {
    TempDir directory;
    auto engine = open_store(small_options(directory.path()));
    Direct d(*engine);
    constexpr PartitionId kAccount(7);
    std::vector<BodyId> ids, others;
    for (int i = 0; i < 40; ++i) {
        ids.push_back(*d.add_body(kAccount, "", d.stage(pattern(1'000, i))));
        for (int k = 0; k < 4; ++k) others.push_back(*d.add_body(PartitionId(8), "", d.stage(pattern(3'000, k))));
    }
    auto fetch = [&] {  // all of them, as one session does
        std::string kept;
        auto series = engine->read_bodies(kAccount);
        for (std::size_t i = 0; i < ids.size(); ++i) {
            auto reader = series->try_open_whole(ids[i]);
            auto opened = reader ? Result<std::unique_ptr<BodyReader>>(std::move(reader)) : run(series->open(ids[i]));
            auto verified = opened ? run((*opened)->verify()) : Result<>(pass_on(opened));
            if (!verified) EXPECT_EQ(verified.error().code(), Errc::not_found) << i;
            if (verified) EXPECT_TRUE(*run((*opened)->next()) == pattern(1'000, static_cast<int>(i))) << i;
            kept += verified ? 'y' : 'n';
        }
        return kept;
    };
    const std::string all(ids.size(), 'y');
    EXPECT_EQ(fetch(), all);
    EXPECT_EQ(fetch(), all);
    Batch batch;
    for (auto id : others) batch.erase_body(id);
    ASSERT_TRUE(d.commit(PartitionId(8), std::move(batch)));
    EXPECT_GT(copy_all(*engine), 0);
    EXPECT_EQ(fetch(), all);
    EXPECT_EQ(fetch(), all);
    Batch some;
    for (std::size_t i = 10; i < 20; ++i) some.erase_body(ids[i]);
    ASSERT_TRUE(d.commit(kAccount, std::move(some)));
    EXPECT_EQ(fetch(), std::string(10, 'y') + std::string(10, 'n') + std::string(20, 'y'));
}

// Random deletion is the worst case: every segment is left with holes.
TEST(SegmentCopy, GivesTheSpaceOfSixtyPercentBack) {
    TempDir directory;
    auto options = small_options(directory.path(), 1 << 20);
    auto engine = open_store(options);
    Direct d(*engine);
    constexpr PartitionId kAccount(7);
    std::mt19937_64 random(5);
    std::vector<std::pair<BodyId, std::uint64_t>> bodies;
    std::uint64_t live = 0;
    for (int i = 0; i < 2'000; ++i) {
        Batch batch;
        auto text = pattern(200 + random() % 16'000, i);
        auto id = engine->next_body_id(kAccount);
        batch.put(fmt::format("m{:06}", i), std::string(60, 'x'));
        batch.add_body(id, "", d.stage(text));
        ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
        bodies.emplace_back(id, text.size());
        live += text.size();
    }
    std::uint64_t freed = 0;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        if (random() % 10 >= 6) continue;
        Batch batch;
        batch.erase(fmt::format("m{:06}", i));
        batch.erase_body(bodies[i].first);
        ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
        freed += bodies[i].second;
    }
    live -= freed;
    EXPECT_GT(copy_all(*engine), 0);
    auto status = engine->status();
    EXPECT_LE(log_disk_octets(directory.path()), live * 13 / 10) << "of " << live << " live octets";
    EXPECT_LE(status.copied_octets * options.copy_dead_percent,
              status.freed_octets * (100 - options.copy_dead_percent));
    EXPECT_LE(status.copied_octets, live * 11 / 10);
    EXPECT_EQ(text_of(damage_of(*engine)), "");
}

TEST(SegmentCopy, GoesOnBesideDeliveriesDeletionsAndReaders) {
    TempDir directory;
    auto options = small_options(directory.path() / "store");
    auto engine = open_store(options);
    std::atomic<bool> over = false;
    std::thread copier([&] {
        while (!over) ASSERT_TRUE(engine->copy_segments());
    });
    auto account = [&](std::uint64_t number) {
        Direct d(*engine);
        PartitionId p(number);
        std::mt19937_64 random(number);
        std::map<BodyId, std::string> bodies;
        for (int i = 0; i < 300; ++i) {
            Batch batch;
            auto id = engine->next_body_id(p);
            auto text = pattern(random() % 15'000, random());
            batch.add_body(id, "head\r\n", d.stage(text));
            if (!bodies.empty() && random() % 3 != 0) {
                auto it = std::next(bodies.begin(), static_cast<long>(random() % bodies.size()));
                batch.erase_body(it->first);
                bodies.erase(it);
            }
            ASSERT_TRUE(d.commit(p, std::move(batch)));
            bodies[id] = "head\r\n" + text;
            auto it = std::next(bodies.begin(), static_cast<long>(random() % bodies.size()));
            auto body = d.body(p, it->first);
            ASSERT_TRUE(body) << body.error().detail();
            EXPECT_TRUE(*body == it->second);
        }
        for (const auto& [id, text] : bodies) EXPECT_TRUE(*d.body(p, id) == text);
    };
    std::vector<std::thread> accounts;
    for (std::uint64_t number = 10; number < 13; ++number) accounts.emplace_back(account, number);
    for (auto& thread : accounts) thread.join();
    over = true;
    copier.join();
    EXPECT_EQ(text_of(damage_of(*engine)), "");
    EXPECT_GT(engine->status().copies, 0u);
    engine.reset();
    expect_rebuild_gives_the_same(options);
}

TEST(CopyPolicy, ChoosesWhatIsMostWorthIt) {
    auto candidate = [](std::uint64_t number, std::uint64_t used, std::uint64_t live) {
        return CopyCandidate{{number, 0}, number, used, live, true};
    };
    const CopyRules rules{.dead_percent = 20, .segment_size = 1000, .room = 10'000};
    struct Case {
        std::string_view what;
        std::vector<CopyCandidate> candidates;
        std::optional<std::pair<std::size_t, std::size_t>> chosen;  // first, count
    };
    const Case cases[] = {
        {"nothing there", {}, {}},
        {"nothing dead", {candidate(1, 1000, 1000), candidate(2, 1000, 1000)}, {}},
        {"little dead in all, though one has much",
         {candidate(1, 1000, 400), candidate(2, 1000, 1000), candidate(3, 1000, 1000), candidate(4, 1000, 1000)},
         {}},
        {"almost empty", {candidate(1, 1000, 50), candidate(2, 1000, 1000), candidate(3, 9000, 9000)}, {{0, 1}}},
        {"the most dead first",
         {candidate(1, 1000, 700), candidate(2, 1000, 900), candidate(3, 1000, 400), candidate(4, 1000, 980)},
         {{2, 1}}},
        {"neighbours worth it join, up to a segment's size",
         {candidate(1, 1000, 400), candidate(2, 1000, 300), candidate(3, 1000, 400)},
         {{0, 2}}},
        {"small neighbours join", {candidate(1, 40, 40), candidate(2, 1000, 100), candidate(3, 30, 30)}, {{0, 3}}},
        {"none across a gap", {candidate(1, 1000, 100), candidate(3, 1000, 100)}, {{0, 1}}},
    };
    for (const auto& [what, candidates, chosen] : cases) {
        auto choice = choose_copy(candidates, rules);
        ASSERT_EQ(choice.has_value(), chosen.has_value()) << what;
        if (choice) EXPECT_EQ(std::pair(choice->first, choice->count), *chosen) << what;
    }
    auto busy = candidate(1, 1000, 100);
    busy.free = false;
    EXPECT_FALSE(choose_copy(std::vector{busy}, rules));
    auto tight = rules;
    tight.room = 50;
    EXPECT_FALSE(choose_copy(std::vector{candidate(1, 1000, 100)}, tight)) << "no room for the copy";
}

}  // namespace
}  // namespace poplar::test
