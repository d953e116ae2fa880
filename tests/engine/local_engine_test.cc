// LocalEngine over real files: the conformance tests, torn ends and damage, large and shared bodies, full disks,
// rebuilds.
#include "engine/local/local_engine.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <latch>
#include <random>
#include <set>
#include <thread>

#include "engine/local/disk.h"
#include "engine/local/file.h"
#include "engine/local/frame.h"
#include "engine/local/record.h"
#include "tests/engine/engine_conformance.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::Damage;
using engine::local::LocalEngine;
using engine::local::Options;

Options options_in(const std::filesystem::path& directory) {
    Options options;
    options.directory = directory;
    options.segment_size = 1 << 20;  // small, so that tests cross segments
    options.min_free_space = 0;
    options.reserved_space = 1 << 20;
    options.write_buffer = 1 << 20;
    return options;
}

std::unique_ptr<LocalEngine> open_in(const std::filesystem::path& directory) {
    auto engine = LocalEngine::open(options_in(directory));
    EXPECT_TRUE(engine.has_value()) << engine.error().detail();
    return engine ? std::move(*engine) : nullptr;
}

struct LocalFactory {
    TempDir directory;
    std::unique_ptr<Engine> open() { return open_in(directory.path() / "store"); }
    std::unique_ptr<Engine> reopen() { return open(); }
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Local, EngineConformance, LocalFactory);
INSTANTIATE_TYPED_TEST_SUITE_P(Local, EnginePersistence, LocalFactory);

namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const fs::path& path, std::string_view bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

void flip_octet(const fs::path& path, std::uint64_t offset) {
    auto bytes = read_file(path);
    ASSERT_LT(offset, bytes.size());
    bytes[offset] = static_cast<char>(bytes[offset] ^ 0x40);
    write_file(path, bytes);
}

fs::path segment(const fs::path& root, int number) { return root / fmt::format("log/0/{:010}.seg", number); }

// The directory as a crash would leave it: a copy made while the engine runs, after its last commit was answered.
void copy_store(const fs::path& from, const fs::path& to) {
    fs::remove_all(to);
    fs::copy(from, to, fs::copy_options::recursive);
}

std::vector<Damage> verify(LocalEngine& engine) {
    std::vector<Damage> found;
    auto totals = engine.verify([&](const Damage& damage) { found.push_back(damage); });
    EXPECT_TRUE(totals.has_value());
    if (totals) EXPECT_EQ(totals->damaged, found.size());
    for (const auto& one : found) fmt::print("found: {} at {}: {}\n", one.file, one.offset, one.what);
    return found;
}

constexpr PartitionId kAccount{7};

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
            ends.push_back(read_file(segment(live, 1)).find_last_not_of('\0') + 1);
        }
        copy_store(live, crashed);
    }
    auto log = read_file(segment(crashed, 1));
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
    auto log = read_file(segment(crashed, 1));
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

TEST(LocalEngine, DamageInTheMiddleIsReportedAndCostsNothingElse) {
    TempDir directory;
    auto root = directory.path() / "store";
    std::uint64_t middle = 0;
    {
        auto engine = open_in(root);
        for (int i = 0; i < 4; ++i) ASSERT_TRUE(Direct(*engine).put(kAccount, fmt::format("k{}", i), "value"));
    }
    middle = fs::file_size(segment(root, 1));  // a clean stop leaves nothing behind the last record
    {
        auto engine = open_in(root);
        for (int i = 4; i < 10; ++i) ASSERT_TRUE(Direct(*engine).put(kAccount, fmt::format("k{}", i), "value"));
    }
    flip_octet(segment(root, 1), middle + 45);
    {
        auto engine = open_in(root);
        auto found = verify(*engine);
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found[0].file, "log/0/0000000001.seg");
        EXPECT_EQ(found[0].offset, middle);
        EXPECT_TRUE(Direct(*engine).get(kAccount, "k4")) << "the index still has it";
    }
    auto alone = directory.path() / "alone";  // without an index that still knows it
    copy_store(root, alone);
    fs::remove_all(alone / "index");
    auto rebuilt = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(rebuilt);
    EXPECT_EQ(rebuilt->size(), 1u);
    {
        auto engine = open_in(root);
        for (int i = 0; i < 10; ++i) EXPECT_TRUE(Direct(*engine).get(kAccount, fmt::format("k{}", i))) << i;
        EXPECT_TRUE(verify(*engine).empty());
    }
    rebuilt = LocalEngine::rebuild(options_in(alone));
    ASSERT_TRUE(rebuilt);
    EXPECT_EQ(rebuilt->size(), 1u);
    auto engine = open_in(alone);
    Direct d(*engine);
    EXPECT_EQ(code_of(d.get(kAccount, "k4")), Errc::not_found);
    for (int i : {0, 1, 2, 3, 5, 6, 7, 8, 9}) EXPECT_TRUE(d.get(kAccount, fmt::format("k{}", i))) << i;
}

TEST(LocalEngine, ARebuildMendsASegmentsHeaderAlsoTheLastOnes) {
    for (std::uint64_t octet : {0u, 17u, 26u, 40u, 61u}) {
        TempDir directory;
        auto root = directory.path() / "store";
        for (int from : {0, 4}) {
            auto engine = open_in(root);
            for (int i = from; i < from + 4; ++i)
                ASSERT_TRUE(Direct(*engine).put(kAccount, fmt::format("k{}", i), "value"));
        }
        flip_octet(segment(root, 1), octet);
        ASSERT_EQ(verify(*open_in(root)).size(), 1u) << octet;
        auto rebuilt = LocalEngine::rebuild(options_in(root));
        ASSERT_TRUE(rebuilt) << octet;
        EXPECT_EQ(rebuilt->size(), 1u) << octet;
        for (int again = 0; again < 2; ++again) {
            auto engine = open_in(root);
            Direct d(*engine);
            for (int i = 0; i < 8; ++i) EXPECT_TRUE(d.get(kAccount, fmt::format("k{}", i))) << octet << ", " << i;
            EXPECT_TRUE(d.put(kAccount, "more", "value"));
            EXPECT_TRUE(verify(*engine).empty()) << octet;
        }
    }
}

TEST(LocalEngine, ADamagedBodyIsNamedAndNeverServed) {
    for (std::uint64_t size : {100u, 200'000u, 3u << 20}) {
        TempDir directory;
        auto root = directory.path() / "store";
        BodyId good, bad;
        {
            auto engine = open_in(root);
            Direct d(*engine);
            good = *d.add_body(kAccount, "head", d.stage(pattern(size, 1)));
            bad = *d.add_body(kAccount, "head", d.stage(pattern(size, 2)));
        }
        auto needle = pattern(size, 2).substr(size / 2, 50);
        std::optional<fs::path> hit;
        std::size_t at = 0;
        for (const auto& entry : fs::recursive_directory_iterator(root))
            if (entry.is_regular_file() && entry.path().string().find("/index/") == std::string::npos)
                if (auto found = read_file(entry.path()).find(needle); found != std::string::npos) {
                    hit = entry.path();
                    at = found;
                }
        ASSERT_TRUE(hit) << size;
        flip_octet(*hit, at);
        auto engine = open_in(root);
        Direct d(*engine);
        EXPECT_EQ(code_of(d.verified_body(kAccount, bad)), Errc::corrupt);
        EXPECT_EQ(code_of(d.body(kAccount, bad)), Errc::corrupt);
        EXPECT_EQ(d.verified_body(kAccount, good).value_or(""), "head" + pattern(size, 1));
        auto found = verify(*engine);
        ASSERT_EQ(found.size(), 1u) << size;
        EXPECT_EQ(found[0].partition, kAccount);
        EXPECT_EQ(found[0].body, bad);
        EXPECT_EQ(root / found[0].file, *hit);
        EXPECT_LE(found[0].offset, at);
        EXPECT_GT(found[0].offset + engine::local::kFrameSize, at);
    }
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
        auto at = read_file(file).find(pattern(size, size).substr(10'000, 100));
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

TEST(LocalEngine, RefusesASecondServerAndANewerFormat) {
    TempDir directory;
    auto root = directory.path() / "store";
    {
        auto engine = open_in(root);
        auto second = LocalEngine::open(options_in(root));
        ASSERT_FALSE(second);
        EXPECT_EQ(second.error().code(), Errc::busy);
    }
    auto format = read_file(root / "FORMAT");
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
    auto end = read_file(segment(live, 1)).find_last_not_of('\0') + 1;

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

TEST(LocalEngine, ALogShorterThanTheIndexKnowsIsReportedAndNeverMistaken) {
    TempDir directory;
    auto root = directory.path() / "store";
    BodyId lost;
    std::uint64_t size = 0;
    {
        auto engine = open_in(root);
        ASSERT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
    }
    size = fs::file_size(segment(root, 1));
    {
        auto engine = open_in(root);
        Direct d(*engine);
        lost = *d.add_body(kAccount, "", d.stage(pattern(5000, 1)));
    }
    fs::resize_file(segment(root, 1), size);
    auto engine = open_in(root);
    ASSERT_TRUE(engine);
    ASSERT_EQ(engine->status().damage.size(), 1u);
    EXPECT_EQ(engine->status().damage[0].offset, size);
    Direct d(*engine);
    auto other = d.add_body(PartitionId(8), "", d.stage(pattern(5000, 2)));  // of the lost one's shape
    EXPECT_EQ(code_of(d.verified_body(kAccount, lost)), Errc::corrupt);
    EXPECT_EQ(d.verified_body(PartitionId(8), *other).value_or(""), pattern(5000, 2));
    EXPECT_EQ(verify(*engine).size(), 2u) << "the gap and the body";
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

TEST(LocalEngine, RefusesAnIndexWhoseLogIsGone) {
    TempDir directory;
    auto root = directory.path() / "store";
    ASSERT_TRUE(Direct(*open_in(root)).put(kAccount, "k", "v"));
    fs::remove(segment(root, 1));
    auto engine = LocalEngine::open(options_in(root));
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().code(), Errc::corrupt);
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

TEST(LocalEngine, ZerosAtTheEndOfASealedSegmentAreReported) {
    TempDir directory;
    auto root = directory.path() / "store";
    {
        auto engine = open_in(root);
        for (int i = 0; i < 30; ++i)
            ASSERT_TRUE(Direct(*engine).put(kAccount, fmt::format("k{:02}", i), std::string(50'000, 'v')));
    }
    auto log = read_file(segment(root, 1));
    ASSERT_TRUE(fs::exists(segment(root, 2)));
    log.replace(log.size() - 60'000, 60'000, 60'000, '\0');  // the last record and some of the one before
    write_file(segment(root, 1), log);
    EXPECT_EQ(verify(*open_in(root)).size(), 1u);
    auto rebuilt = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(rebuilt);
    EXPECT_EQ(rebuilt->size(), 1u);
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

    auto at = read_file(path).find(pattern(4'000, 3));
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

TEST(LocalEngine, KeepsTheFileOfALargeBodyWhoseRecordIsLost) {
    TempDir directory;
    auto root = directory.path() / "store";
    BodyId lost;
    std::uint64_t begin = 0;
    open_in(root).reset();
    begin = fs::file_size(segment(root, 1));
    {
        auto engine = open_in(root);
        Direct d(*engine);
        lost = *d.add_body(kAccount, "", d.stage(pattern(2 << 20, 1)));
        ASSERT_TRUE(d.put(kAccount, "k", "v"));
    }
    flip_octet(segment(root, 1), begin + 30);
    fs::remove_all(root / "index");  // which would still know it
    auto rebuilt = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(rebuilt);
    EXPECT_EQ(rebuilt->size(), 1u);
    open_in(root).reset();
    open_in(root).reset();
    EXPECT_GT(fs::file_size(root / fmt::format("large/orphans/{:x}-{:x}", kAccount.value, lost.value)), 2u << 20);
}

TEST(LocalEngine, AFlipOfAnyOctetOfTheLogIsFound) {
    TempDir directory;
    auto root = directory.path() / "store", copy = directory.path() / "copy";
    {
        auto engine = open_in(root);
        Direct d(*engine);
        for (int i = 0; i < 4; ++i) {
            Batch batch;
            batch.put(fmt::format("k{}", i), "value");
            batch.add_body(engine->next_body_id(kAccount), "head", d.stage(pattern(90, static_cast<std::uint64_t>(i))));
            ASSERT_TRUE(d.commit(kAccount, std::move(batch)));
        }
    }
    auto size = fs::file_size(segment(root, 1));
    for (std::uint64_t at = 0; at < size; at += 1 + at % 29) {
        copy_store(root, copy);
        flip_octet(segment(copy, 1), at);
        auto engine = open_in(copy);
        ASSERT_TRUE(engine);
        EXPECT_FALSE(verify(*engine).empty()) << "octet " << at;
    }
}

// RocksDB would abort over the last word of the properties.
TEST(LocalEngine, ADamagedTableOfTheIndexIsAnErrorAndEndsNothing) {
    TempDir directory;
    auto root = directory.path() / "store", copy = directory.path() / "copy";
    {
        auto engine = open_in(root);
        ASSERT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
    }
    std::string table;
    for (const auto& file : fs::directory_iterator(root / "index"))
        if (file.path().extension() == ".sst") table = file.path().filename();
    copy_store(root, copy);
    const auto sound = read_file(root / "index" / table);
    bool properties = false;
    for (std::uint64_t at = sound.size() - 240; at < sound.size(); ++at) {
        fs::remove_all(copy / "index");
        fs::copy(root / "index", copy / "index");
        auto bytes = sound;
        bytes[at] = static_cast<char>(bytes[at] ^ 0x80);
        write_file(copy / "index" / table, bytes);
        auto engine = LocalEngine::open(options_in(copy));
        if (engine) continue;
        EXPECT_EQ(engine.error().code(), Errc::corrupt) << engine.error().detail();
        properties |= engine.error().detail().contains("properties");
    }
    EXPECT_TRUE(properties);
}

TEST(LocalEngine, ADamagedNameOfTheIndexsManifestIsDamageAndNoFailureOfTheDisk) {
    TempDir directory;
    auto root = directory.path() / "store", copy = directory.path() / "copy";
    {
        auto engine = open_in(root);
        ASSERT_TRUE(Direct(*engine).put(kAccount, "k", "v"));
    }
    const auto sound = read_file(root / "index/CURRENT");
    auto digit = sound, word = sound;
    digit[sound.size() - 6] = static_cast<char>(digit[sound.size() - 6] ^ 0x08);
    word[0] = static_cast<char>(word[0] ^ 0x01);
    struct Case {
        std::string_view what;
        std::string text;
    };
    for (const auto& [what, text] : {Case{"a digit flipped", digit},
                                     {"a letter flipped", word},
                                     {"no digits", sound.substr(0, 9) + "\n"},
                                     {"some digits", sound.substr(0, sound.size() - 3) + "\n"},
                                     {"half a word", sound.substr(0, 4) + "\n"},
                                     {"cut off", sound.substr(0, 11)},
                                     {"no newline", sound.substr(0, sound.size() - 1)},
                                     {"a newline more", sound + "\n"},
                                     {"another folder's", "../index/" + sound},
                                     {"empty", ""}}) {
        copy_store(root, copy);
        write_file(copy / "index/CURRENT", text);
        auto engine = LocalEngine::open(options_in(copy));
        ASSERT_FALSE(engine) << what;
        EXPECT_EQ(engine.error().code(), Errc::corrupt) << what << ": " << engine.error().detail();
        EXPECT_TRUE(engine.error().detail().contains("index/CURRENT")) << what << ": " << engine.error().detail();
        ASSERT_TRUE(LocalEngine::rebuild(options_in(copy))) << what;
        engine = LocalEngine::open(options_in(copy));
        ASSERT_TRUE(engine) << what;
        EXPECT_EQ(Direct(**engine).get(kAccount, "k").value_or(""), "v") << what;
    }
}

}  // namespace
}  // namespace poplar::test
