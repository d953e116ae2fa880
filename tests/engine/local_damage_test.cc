// Damage to the files of a LocalEngine: it is found, named, and costs nothing else.
#include <gtest/gtest.h>

#include <random>

#include "engine/local/frame.h"
#include "engine/local/local_engine.h"
#include "engine/local/record.h"
#include "tests/engine/local_files.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

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
                if (auto found = read_whole(entry.path()).find(needle); found != std::string::npos) {
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

TEST(LocalEngine, RefusesAnIndexWhoseLogIsGone) {
    TempDir directory;
    auto root = directory.path() / "store";
    ASSERT_TRUE(Direct(*open_in(root)).put(kAccount, "k", "v"));
    fs::remove(segment(root, 1));
    auto engine = LocalEngine::open(options_in(root));
    ASSERT_FALSE(engine);
    EXPECT_EQ(engine.error().code(), Errc::corrupt);
}

TEST(LocalEngine, ZerosAtTheEndOfASealedSegmentAreReported) {
    TempDir directory;
    auto root = directory.path() / "store";
    {
        auto engine = open_in(root);
        for (int i = 0; i < 30; ++i)
            ASSERT_TRUE(Direct(*engine).put(kAccount, fmt::format("k{:02}", i), std::string(50'000, 'v')));
    }
    auto log = read_whole(segment(root, 1));
    ASSERT_TRUE(fs::exists(segment(root, 2)));
    log.replace(log.size() - 60'000, 60'000, 60'000, '\0');  // the last record and some of the one before
    write_file(segment(root, 1), log);
    EXPECT_EQ(verify(*open_in(root)).size(), 1u);
    auto rebuilt = LocalEngine::rebuild(options_in(root));
    ASSERT_TRUE(rebuilt);
    EXPECT_EQ(rebuilt->size(), 1u);
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
    const auto sound = read_whole(root / "index" / table);
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
    const auto sound = read_whole(root / "index/CURRENT");
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
