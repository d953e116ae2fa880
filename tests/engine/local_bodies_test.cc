// Large, small and shared bodies of a LocalEngine: their files, their space, and reading them.
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>

#include "engine/local/disk.h"
#include "engine/local/file.h"
#include "engine/local/local_engine.h"
#include "tests/engine/local_files.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

TEST(LocalEngine, LeavesNoFileOfABodyThatWasNeverCommitted) {
    TempDir directory;
    auto root = directory.path() / "store";
    auto large_files = [&] {
        std::size_t count = 0;
        for (const auto& entry : fs::recursive_directory_iterator(root / "large")) count += entry.is_regular_file();
        return count;
    };
    {
        auto engine = open_in(root);
        Direct d(*engine);
        {
            auto staged = d.stage(pattern(2 << 20, 1));
            EXPECT_EQ(large_files(), 1u);
        }
        EXPECT_EQ(large_files(), 0u) << "dropped without a commit";
        Batch batch;
        batch.add_body(engine->next_body_id(kAccount), "", d.stage(pattern(2 << 20, 2)));
        EXPECT_EQ(code_of(d.commit(kAccount, std::move(batch), ChangeNumber(99))), Errc::conflict);
        EXPECT_EQ(large_files(), 0u) << "refused";
        ASSERT_TRUE(d.add_body(kAccount, "", d.stage(pattern(2 << 20, 3))));
        EXPECT_EQ(large_files(), 1u);
    }
    write_file(root / "large/07/400-907", "left by a crash before its commit");
    write_file(root / "large/incoming/999", "left by a crash while it came in");
    auto engine = open_in(root);
    EXPECT_EQ(large_files(), 1u);
    EXPECT_TRUE(verify(*engine).empty());
}

// Commits to many partitions that end with one staged body.
std::vector<BodyId> add_to_many(LocalEngine& engine, std::uint64_t size, std::uint64_t many, std::size_t said) {
    Direct d(engine);
    auto rest = d.stage(pattern(size, size), size, said);
    std::vector<BodyId> ids;
    for (std::uint64_t n = 0; n < many; ++n) {
        auto id = d.add_body(PartitionId(100 + n), "head", rest);
        EXPECT_TRUE(id);
        ids.push_back(id.value_or(BodyId()));
    }
    return ids;
}

std::uint64_t disk_octets(const fs::path& folder) {
    std::uint64_t octets = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) octets += engine::local::Disk::system().disk_octets(entry.path().c_str());
    return octets;
}

TEST(LocalEngine, ABodyOfManyPartitionsTakesItsSpaceOnceAndGoesWithTheLast) {
    constexpr std::uint64_t kMany = 300, kPerPartition = 600;
    for (std::uint64_t size : {5'000u, 100'000u, 3'000'000u}) {
        TempDir directory;
        auto root = directory.path() / "store", crashed = directory.path() / "crashed";
        std::vector<BodyId> ids;
        auto erase = [&](LocalEngine& engine, std::uint64_t from, std::uint64_t to) {
            for (auto n = from; n < to; ++n) {
                Batch batch;
                batch.erase_body(ids[n]);
                ASSERT_TRUE(Direct(engine).commit(PartitionId(100 + n), std::move(batch)));
            }
        };
        auto expect_from = [&](LocalEngine& engine, std::uint64_t first) {
            for (auto n = first; n < kMany; ++n)
                ASSERT_TRUE(Direct(engine).verified_body(PartitionId(100 + n), ids[n]) == "head" + pattern(size, size));
            EXPECT_TRUE(verify(engine).empty());
        };
        auto bodies = [](LocalEngine& engine) { return engine.verify([](const Damage&) {})->bodies; };
        {
            auto engine = open_in(root);
            ids = add_to_many(*engine, size, kMany, kMany);
            expect_from(*engine, 0);
            copy_store(root, crashed);
        }
        EXPECT_LT(disk_octets(root / "log") + disk_octets(root / "large"), size * 12 / 10 + kMany * kPerPartition)
            << size;
        fs::remove_all(root);
        fs::rename(crashed, root);
        {
            auto engine = open_in(root);
            expect_from(*engine, 0);
            erase(*engine, 0, kMany - 2);
            expect_from(*engine, kMany - 2);
        }
        fs::remove_all(root / "index");
        ASSERT_TRUE(LocalEngine::rebuild(options_in(root)));
        auto engine = open_in(root);
        expect_from(*engine, kMany - 2);
        erase(*engine, kMany - 2, kMany);
        EXPECT_EQ(bodies(*engine), 0u) << "nothing is left of it";
        engine.reset();
        std::size_t files = 0;
        for (const auto& entry : fs::recursive_directory_iterator(root / "large")) files += entry.is_regular_file();
        EXPECT_EQ(files, 0u);
        EXPECT_EQ(bodies(*open_in(root)), 0u);
    }
}

TEST(LocalEngine, ASharedBodyThatNobodyGotIsGoneWithItsDeliveryOrTheNextStart) {
    TempDir directory;
    auto root = directory.path() / "store", crashed = directory.path() / "crashed";
    auto bodies = [](LocalEngine& engine) { return engine.verify([](const Damage&) {})->bodies; };
    auto engine = open_in(root);
    Direct d(*engine);
    for (std::uint64_t size : {5'000u, 3'000'000u}) {
        auto rest = d.stage(pattern(size, 1), size, 5000);
        Batch batch;
        batch.add_body(engine->next_body_id(kAccount), "", rest);
        EXPECT_EQ(code_of(d.commit(kAccount, std::move(batch), ChangeNumber(99))), Errc::conflict);
        copy_store(root, crashed);
        EXPECT_EQ(bodies(*open_in(crashed)), 0u);
        auto got = d.add_body(kAccount, "", rest);
        ASSERT_TRUE(got);
        copy_store(root, crashed);
        EXPECT_EQ(bodies(*open_in(crashed)), 2u) << "it is in somebody's now";
        Batch erase;
        erase.erase_body(*got);
        ASSERT_TRUE(d.commit(kAccount, std::move(erase)));
        auto again = d.add_body(kAccount, "", rest);
        ASSERT_TRUE(again) << "it can still be delivered";
        EXPECT_TRUE(d.verified_body(kAccount, *again) == pattern(size, 1));
        Batch last;
        last.erase_body(*again);
        ASSERT_TRUE(d.commit(kAccount, std::move(last)));
        rest.reset();
        copy_store(root, crashed);
        EXPECT_EQ(bodies(*open_in(crashed)), 0u);
        ASSERT_TRUE(d.put(kAccount, "k", "v"));
        EXPECT_EQ(bodies(*engine), 0u);
    }
}

TEST(LocalEngine, ASharedBodyWhoseSpaceWasGivenBackIsNoDamageToARebuild) {
    TempDir directory;
    auto root = directory.path() / "store";
    {
        auto engine = open_in(root);
        auto ids = add_to_many(*engine, 20'000, 2, 2);
        for (std::uint64_t n = 0; n < 2; ++n) {
            Batch batch;
            batch.erase_body(ids[n]);
            ASSERT_TRUE(Direct(*engine).commit(PartitionId(100 + n), std::move(batch)));
        }
        ASSERT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
    }
    auto damage = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(damage);
    EXPECT_TRUE(damage->empty());
    EXPECT_TRUE(verify(*open_in(root)).empty());
}

TEST(LocalEngine, DamageToASharedBodyIsNamedForEachThatEndsWithIt) {
    for (std::uint64_t size : {20'000u, 3'000'000u}) {
        TempDir directory;
        auto root = directory.path() / "store";
        auto engine = open_in(root);
        auto ids = add_to_many(*engine, size, 3, 3);
        auto other = Direct(*engine).add_body(kAccount, "another", nullptr);
        fs::path file = segment(root, 1);
        for (const auto& entry : fs::recursive_directory_iterator(root / "large"))
            if (entry.is_regular_file()) file = entry.path();
        auto at = read_whole(file).find(pattern(size, size).substr(10'000, 100));
        ASSERT_NE(at, std::string::npos);
        flip_octet(file, at);
        std::set<std::pair<PartitionId, BodyId>> named;
        for (const auto& one : verify(*engine)) {
            EXPECT_EQ(root / one.file, file);
            named.emplace(one.partition.value_or(PartitionId()), one.body.value_or(BodyId()));
        }
        for (std::uint64_t n = 0; n < 3; ++n) {
            EXPECT_TRUE(named.contains({PartitionId(100 + n), ids[n]}));
            EXPECT_EQ(code_of(Direct(*engine).verified_body(PartitionId(100 + n), ids[n])), Errc::corrupt);
        }
        EXPECT_EQ(named.size(), 3u);
        EXPECT_EQ(*Direct(*engine).body(kAccount, *other), "another");
    }
}

TEST(LocalEngine, ABodyThatWasErasedIsNoDamageToThoseOfItsCommit) {
    TempDir directory;
    auto store = directory.path() / "store", crashed = directory.path() / "crashed";
    BodyId ids[3];
    {
        auto engine = open_in(store);
        Direct d(*engine);
        Batch batch;
        for (auto& id : ids)
            batch.add_body(id = engine->next_body_id(PartitionId(1)), "", d.stage(pattern(20'000, id.value)));
        ASSERT_TRUE(d.commit(PartitionId(1), std::move(batch)));
        Batch erasing;
        erasing.erase_body(ids[1]);
        ASSERT_TRUE(d.commit(PartitionId(1), std::move(erasing)));
        ASSERT_TRUE(d.put(PartitionId(1), "behind", "it"));  // by now its octets were given back
        std::filesystem::copy(store, crashed, std::filesystem::copy_options::recursive);
    }
    {
        auto engine = open_in(crashed);
        EXPECT_TRUE(engine->status().damage.empty()) << engine->status().damage.front().what;
    }
    auto found = LocalEngine::rebuild(options_in(crashed));
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->empty()) << found->front().what;
    auto engine = open_in(crashed);
    Direct d(*engine);
    EXPECT_TRUE(d.body(PartitionId(1), ids[0]) && d.body(PartitionId(1), ids[2]));
}

// Counts what was given back.
class GivingBack : public engine::local::Disk {
public:
    void reached(engine::local::Step step) override {
        if (step != engine::local::Step::hole_punched && step != engine::local::Step::body_unlinked) return;
        ++times_;
        times_.notify_all();
    }
    void wait_for(int times) const {
        for (int now = times_; now < times; now = times_) times_.wait(now);
    }

private:
    std::atomic<int> times_ = 0;
};

TEST(LocalEngine, ABodyErasedBehindItsReadersIsNotFoundAndNoDamage) {
    TempDir directory;
    GivingBack disk;
    auto options = options_in(directory.path());
    options.disk = &disk;
    options.large_body = 200'000;
    auto engine = LocalEngine::open(options);
    ASSERT_TRUE(engine) << engine.error().detail();
    Direct d(**engine);
    constexpr std::uint64_t kSizes[] = {20'000, 150'000, 300'000};  // in one piece, in several, in a file of its own
    std::vector<BodyId> ids;
    for (int i = 0; i < 9; ++i) ids.push_back(*d.add_body(kAccount, "", d.stage(pattern(kSizes[i % 3], i))));

    // The second asks for the places of the next eight, too.
    auto series = (*engine)->read_bodies(kAccount);
    std::vector<std::unique_ptr<BodyReader>> readers;
    for (int i = 0; i < 6; ++i) readers.push_back(*run(series->open(ids[i])));
    Batch erasing;
    for (auto id : ids) erasing.erase_body(id);
    ASSERT_TRUE(d.commit(kAccount, std::move(erasing)));
    disk.wait_for(9);

    for (int i = 0; i < 9; ++i) {
        SCOPED_TRACE(i);
        auto opened = i < 6 ? Result<std::unique_ptr<BodyReader>>(std::move(readers[i])) : run(series->open(ids[i]));
        ASSERT_TRUE(opened) << opened.error().detail();
        bool at_once = i / 3 == 1;
        EXPECT_EQ(at_once ? code_of(run((*opened)->next())) : code_of(run((*opened)->verify())), Errc::not_found);
    }
    EXPECT_TRUE(verify(**engine).empty());
}

TEST(LocalEngine, ReadsASmallBodyWithoutWaitingIfItIsInMemoryAndRight) {
    TempDir directory;
    auto engine = open_in(directory.path() / "store");
    Direct d(*engine);
    std::vector<BodyId> ids;
    for (std::uint64_t size : {1u, 4'000u, 60'000u, 200'000u, 3u << 20})
        ids.push_back(*d.add_body(kAccount, "head", d.stage(pattern(size, 3), size)));
    auto path = segment(directory.path() / "store", 1);
    auto file = local::File::open(local::Disk::system(), path, local::File::Mode::read);
    char octet;
    if (!file->try_read_at(&octet, 1, 0)) GTEST_SKIP() << "this file system can't tell what is in memory";
    EXPECT_TRUE(d.whole_body(kAccount, ids[0]) == "head" + pattern(1, 3));
    EXPECT_TRUE(d.whole_body(kAccount, ids[1]) == "head" + pattern(4'000, 3));
    EXPECT_TRUE(d.whole_body(kAccount, ids[2]) == "head" + pattern(60'000, 3));
    EXPECT_FALSE(d.whole_body(kAccount, ids[3]));
    EXPECT_FALSE(d.whole_body(kAccount, ids[4]));
    EXPECT_FALSE(d.whole_body(kAccount, BodyId(ids[4].value + 1)));
    EXPECT_FALSE(d.whole_body(PartitionId(kAccount.value + 1), ids[0]));

    // One after the other, as a mailbox is fetched; what has to be waited for is found by open().
    auto series = engine->read_bodies(kAccount);
    for (std::size_t n = 0; n < ids.size(); ++n) {
        SCOPED_TRACE(n);
        auto whole = series->try_open_whole(ids[n]);
        EXPECT_EQ(whole != nullptr, n < 3);
        EXPECT_TRUE(run(series->open(ids[n])));
    }

    auto at = read_whole(path).find(pattern(4'000, 3));
    ASSERT_NE(at, std::string::npos);
    flip_octet(path, at + 2'000);
    EXPECT_FALSE(d.whole_body(kAccount, ids[1]));
    EXPECT_EQ(code_of(d.verified_body(kAccount, ids[1])), Errc::corrupt);
    EXPECT_TRUE(d.whole_body(kAccount, ids[2]));

    Batch gone;
    gone.erase_body(ids[0]);
    ASSERT_TRUE(d.commit(kAccount, std::move(gone)));
    EXPECT_FALSE(d.whole_body(kAccount, ids[0]));
}

}  // namespace
}  // namespace poplar::test
