// LocalEngine over real files: the conformance tests, torn ends, full disks, rebuilds.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <latch>
#include <random>

#include "engine/local/local_engine.h"
#include "engine/local/record.h"
#include "tests/engine/engine_conformance.h"
#include "tests/engine/local_files.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

struct LocalFactory {
    TempDir directory;
    std::unique_ptr<Engine> open() { return open_in(directory.path() / "store"); }
    std::unique_ptr<Engine> reopen() { return open(); }
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Local, EngineConformance, LocalFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(Local, EnginePersistence, LocalFactory);

namespace {

TEST(LocalEngine, SurvivesACrashAtEveryPrefixOfTheLog) {
    TempDir directory;
    auto live = directory.path() / "live", crashed = directory.path() / "crashed";
    std::vector<std::uint64_t> ends;  // of the log, after each commit
    {
        auto engine = open_in(live);
        Direct d(*engine);
        for (int i = 0; i < 12; ++i) {
            Batch batch;
            batch.put("counter", std::to_string(i));
            batch.put(fmt::format("m{:02}", i), "record");
            batch.add_body(engine->next_body_id(kAccount), "head\r\n", d.stage(pattern(700 * (i % 3), i)));
            ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
            // Records are the log's only content: its end is where zeros begin.
            ends.push_back(read_whole(segment(live, 1)).find_last_not_of('\0') + 1);
        }
        copy_store(live, crashed);
    }
    auto log = read_whole(segment(crashed, 1));
    auto index = crashed / "index";
    std::size_t step = 1;
    for (std::uint64_t size = engine::local::kSegmentHeader; size <= ends.back(); size += step) {
        step = 1 + size % 233;  // every region, in bounded time
        fs::remove_all(index);
        write_file(segment(crashed, 1), std::string_view(log).substr(0, size));
        auto engine = open_in(crashed);
        ASSERT_TRUE(engine);
        Direct d(*engine);
        // The last octet of a commit may be a zero that is there anyway.
        auto whole = static_cast<std::size_t>(std::ranges::upper_bound(ends, size) - ends.begin());
        auto number = d.number(kAccount);
        ASSERT_TRUE(number);
        EXPECT_GE(number->value, whole);
        EXPECT_LE(number->value, whole + 1);
        EXPECT_EQ(engine->status().damage.size(), 0u) << "cut at " << size;
        if (number->value > 0) EXPECT_EQ(d.get(kAccount, "counter").value_or("?"), std::to_string(number->value - 1));
        for (std::uint64_t i = 0; i < number->value; ++i) EXPECT_TRUE(d.get(kAccount, fmt::format("m{:02}", i)));
        EXPECT_TRUE(verify(*engine).empty()) << "cut at " << size;
        // And it goes on.
        EXPECT_TRUE(d.put(kAccount, "after", "crash"));
    }
}

TEST(LocalEngine, CutsATornGroupWhateverPartOfItReachedTheDisk) {
    TempDir directory;
    auto live = directory.path() / "live", crashed = directory.path() / "crashed";
    {
        auto engine = open_in(live);
        Direct d(*engine);
        for (int i = 0; i < 5; ++i) ASSERT_TRUE(d.put(kAccount, fmt::format("k{}", i), std::string(600, 'v')));
    }
    copy_store(live, crashed);
    // Append a group of three records by hand, its middle or its first one damaged.
    auto log = read_whole(segment(crashed, 1));
    auto mark = engine::local::parse_segment_header(log)->mark;
    auto record = [mark](std::uint64_t sequence, std::uint64_t group, std::uint64_t change) {
        engine::local::RecordMeta meta;
        meta.change = ChangeNumber(change);
        meta.puts = {{"torn", std::to_string(sequence)}};
        engine::local::RecordHeader header{sequence, group, kAccount, 0, 0};
        auto bytes = encode_meta(meta);
        return encode_record_header(mark, header, bytes) + bytes;
    };
    for (int damaged : {0, 1, 2}) {
        std::string group;
        for (int i = 0; i < 3; ++i) {
            auto bytes = record(100 + static_cast<std::uint64_t>(i), 100, 6 + static_cast<std::uint64_t>(i));
            if (i == damaged) bytes[20] ^= 1;
            group += bytes;
        }
        write_file(segment(crashed, 1), log + group);
        fs::remove_all(crashed / "index");
        auto engine = open_in(crashed);
        ASSERT_TRUE(engine);
        Direct d(*engine);
        EXPECT_TRUE(engine->status().damage.empty());
        EXPECT_EQ(d.number(kAccount)->value, 5u + static_cast<std::uint64_t>(damaged));
        EXPECT_EQ(d.put(kAccount, "after", "x")->value, 6u + static_cast<std::uint64_t>(damaged));
        EXPECT_TRUE(verify(*engine).empty());
    }
}

TEST(LocalEngine, AMessageCannotForgeARecord) {
    TempDir directory;
    auto root = directory.path() / "store";
    engine::local::RecordMeta meta;
    meta.change = ChangeNumber(9);
    meta.puts = {{"forged", "by the sender"}};
    auto bytes = encode_meta(meta);
    engine::local::RecordHeader header{1000, 1000, PartitionId(1), 0, 0};
    auto forged = encode_record_header(engine::local::RecordMark(0x1234), header, bytes) + bytes;
    std::uint64_t begin = 0;
    {
        auto engine = open_in(root);
        Direct d(*engine);
        ASSERT_TRUE(d.put(kAccount, "before", "1"));
    }
    begin = fs::file_size(segment(root, 1));
    {
        auto engine = open_in(root);
        Direct d(*engine);
        ASSERT_TRUE(d.add_body(kAccount, "head", d.stage("text\r\n" + forged + "text\r\n")));
        ASSERT_TRUE(d.put(kAccount, "after", "1"));
    }
    flip_octet(segment(root, 1), begin + 30);  // recovery searches through the body now
    fs::remove_all(root / "index");
    auto engine = open_in(root);
    Direct d(*engine);
    EXPECT_EQ(engine->status().damage.size(), 1u);
    EXPECT_EQ(code_of(d.get(PartitionId(1), "forged")), Errc::not_found);
    EXPECT_TRUE(d.get(kAccount, "after"));
}

TEST(LocalEngine, RebuildsALostIndexFromTheSegmentsAlone) {
    TempDir directory;
    auto root = directory.path() / "store";
    std::vector<std::pair<BodyId, std::string>> bodies;
    {
        auto engine = open_in(root);
        Direct d(*engine);
        for (int i = 0; i < 60; ++i) {  // crosses several segments of 1 MB
            auto text = pattern(50'000 + 1'500'000 * (i % 20 == 0), static_cast<std::uint64_t>(i));
            auto id = d.add_body(kAccount, "h", d.stage(text));
            ASSERT_TRUE(id);
            bodies.emplace_back(*id, "h" + text);
        }
        Batch batch;
        batch.erase_body(bodies[3].first);
        batch.erase_body(bodies[40].first);  // a large one
        ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
    }
    EXPECT_TRUE(fs::exists(segment(root, 3)));
    fs::remove_all(root / "index");
    auto rebuilt = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(rebuilt);
    EXPECT_TRUE(rebuilt->empty());
    auto engine = open_in(root);
    Direct d(*engine);
    for (std::size_t i = 0; i < bodies.size(); ++i) {
        auto body = d.verified_body(kAccount, bodies[i].first);
        if (i == 3 || i == 40)
            EXPECT_EQ(code_of(body), Errc::not_found);
        else
            EXPECT_TRUE(body && *body == bodies[i].second) << i;
    }
    EXPECT_TRUE(verify(*engine).empty());
    EXPECT_GT(engine->next_body_id(kAccount), bodies.back().first);
}

TEST(LocalEngine, RefusesASecondServerAndANewerFormat) {
    TempDir directory;
    auto root = directory.path() / "store";
    {
        auto engine = open_in(root);
        auto second = LocalEngine::open(options_in(root));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Errc::busy);
    }
    auto format = read_whole(root / "FORMAT");
    auto mark = format.substr(format.find('\n'), format.find("check") - format.find('\n'));
    write_file(root / "FORMAT", "poplar-store 9" + mark);
    auto newer = LocalEngine::open(options_in(root));
    ASSERT_FALSE(newer);
    EXPECT_EQ(newer.error().code(), Errc::invalid);
    fs::create_directories(root / "other/log/0");
    write_file(root / "other/FORMAT", "something else");
    EXPECT_EQ(LocalEngine::open(options_in(root / "other")).error().code(), Errc::invalid);
}

TEST(LocalEngine, TakesNoBodyWhenSpaceIsShortButStillDeletes) {
    TempDir directory;
    auto options = options_in(directory.path() / "store");
    options.min_free_space = 1ull << 60;  // more than any disk has
    auto engine = LocalEngine::open(options);
    ASSERT_TRUE(engine);
    Direct d(**engine);
    EXPECT_EQ(code_of(d.add_body(kAccount, "mail", nullptr)), Errc::no_space);
    EXPECT_TRUE(d.put(kAccount, "deleted", "m1"));
    EXPECT_NE((*engine)->status().state, "ok") << "mail is still refused";
    auto writer = (*engine)->write_body(0);
    EXPECT_EQ(code_of(run(writer->write(pattern(3 << 20, 1)))), Errc::no_space) << "what is left is not for large mail";
}

// No file may grow past `octets` while this lives: writes beyond stop short and fail, as on a disk that can't go on.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t octets) {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        rlimit limit{octets, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

TEST(LocalEngine, AFailedWriteLeavesNothingForTheNextStart) {
    TempDir directory;
    auto live = directory.path() / "live", crashed = directory.path() / "crashed";
    auto engine = open_in(live);
    Direct d(*engine);
    ASSERT_TRUE(d.put(PartitionId(8), "before", "1"));  // whose own hint may be late
    auto end = read_whole(segment(live, 1)).find_last_not_of('\0') + 1;

    // The committer is held up in a hint until two commits wait: they become one group, which fails in its second half.
    std::latch held(1), go(1);
    std::atomic<bool> first = true;
    auto hint = [&] {
        if (!first.exchange(false)) return;
        held.count_down();
        go.wait();
    };
    auto watch = engine->watch(kAccount, hint);
    ASSERT_TRUE(d.put(kAccount, "k", std::string(100, 'v')));
    held.wait();
    std::array<std::optional<Errc>, 2> codes;
    {
        std::jthread small([&] { codes[0] = code_of(d.put(PartitionId(8), "failed", "small")); });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));  // to be the group's first
        std::jthread big([&] { codes[1] = code_of(d.put(PartitionId(9), "failed", std::string(50'000, 'b'))); });
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        FileSizeLimit limit(end + 10'000);
        go.count_down();
        small.join();
        big.join();
    }
    EXPECT_EQ(codes[0], Errc::io);
    EXPECT_EQ(codes[1], Errc::io);
    copy_store(live, crashed);
    {
        auto after = open_in(crashed);
        EXPECT_EQ(code_of(Direct(*after).get(PartitionId(8), "failed")), Errc::not_found);
        EXPECT_TRUE(Direct(*after).get(kAccount, "k"));
        EXPECT_TRUE(after->status().damage.empty());
    }
    EXPECT_TRUE(d.put(PartitionId(8), "later", "works without a restart"));
    EXPECT_TRUE(verify(*engine).empty());
}

TEST(LocalEngine, RefusesABatchThatNoRecordCanHold) {
    TempDir directory;
    auto engine = open_in(directory.path() / "store");
    Batch batch;
    for (int i = 0; i < 257; ++i) batch.put(std::to_string(i), std::string(1 << 20, 'v'));
    EXPECT_EQ(code_of(Direct(*engine).commit(kAccount, std::move(batch))), Errc::too_large);
    EXPECT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
}

// A start opens a few of the index's files only; a read that may not wait can't look into the others.
TEST(LocalEngine, FindsWhatLiesInFilesOfTheIndexThatAreNotOpenYet) {
    constexpr int kPartitions = 200, kKeys = 100;
    TempDir directory;
    auto options = options_in(directory.path() / "store");
    options.write_buffer = 64 << 10;
    auto engine = LocalEngine::open(options);
    ASSERT_TRUE(engine) << engine.error().detail();
    auto value = [](int partition, int key) {
        return pattern(2500, static_cast<std::uint64_t>(1000 * partition + key));
    };
    for (int p = 0; p < kPartitions; ++p) {
        Batch batch;
        for (int k = 0; k < kKeys; ++k) batch.put(fmt::format("k{}", k), value(p, k));
        ASSERT_TRUE(Direct(**engine).commit(PartitionId(100u + static_cast<unsigned>(p)), std::move(batch)));
    }
    engine->reset();
    auto in_index = fs::directory_iterator(options.directory / "index");
    auto files = std::ranges::count_if(in_index, [](const auto& file) { return file.path().extension() == ".sst"; });
    ASSERT_GT(files, 200);

    engine = LocalEngine::open(options);
    ASSERT_TRUE(engine) << engine.error().detail();
    Direct d(**engine);
    for (int p = 0; p < kPartitions; ++p) {
        const PartitionId partition(100u + static_cast<unsigned>(p));
        ASSERT_EQ(code_of(d.get(partition, "k0x")), Errc::not_found) << p;
        for (int k = 0; k < kKeys; ++k)
            ASSERT_TRUE(d.get(partition, fmt::format("k{}", k)) == value(p, k)) << p << " " << k;
        ASSERT_EQ(d.number(partition).value_or(ChangeNumber(0)), ChangeNumber(1));
    }
}

TEST(LocalEngine, ACrashWhileASegmentIsMadeIsNoDamage) {
    for (std::uint64_t size : {0u, 64u}) {  // the name reached the disk, the header did not
        TempDir directory;
        auto root = directory.path() / "store";
        open_in(root).reset();
        write_file(segment(root, 1), std::string(size, '\0'));
        for (int start = 0; start < 2; ++start) {
            auto engine = open_in(root);
            ASSERT_TRUE(engine);
            EXPECT_TRUE(engine->status().damage.empty());
            EXPECT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
            EXPECT_TRUE(verify(*engine).empty());
        }
        write_file(segment(root, 2), std::string(size, '\0'));
        auto engine = open_in(root);
        ASSERT_TRUE(engine);
        EXPECT_TRUE(engine->status().damage.empty());
        EXPECT_TRUE(Direct(*engine).get(kAccount, "k"));
        EXPECT_TRUE(verify(*engine).empty());
    }
}

}  // namespace
}  // namespace poplar::test
