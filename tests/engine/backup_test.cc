// Backups of a store in use: whole, shared where they can be, never changed by what the store does later.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "engine/local/backup_folder.h"
#include "tests/engine/direct.h"
#include "tests/engine/local_store.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::BackupDamage;
using engine::local::BackupManifest;
using engine::local::Disk;
using engine::local::LocalEngine;

constexpr PartitionId kAccount{2000};
constexpr std::uint64_t kSegment = 256 << 10;

const auto kGoOn = [](const BackupTotals&) { return true; };

ino_t inode(const fs::path& path) {
    struct stat found{};
    return ::stat(path.c_str(), &found) == 0 ? found.st_ino : 0;
}

// Every name below `folder`, with what it holds.
std::map<std::string, std::string> contents(const fs::path& folder) {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file()) found[fs::relative(entry.path(), folder)] = read_whole(entry.path());
    return found;
}

struct BackupTest : testing::Test {
    TempDir directory;
    fs::path store = directory.path() / "store", folder = directory.path() / "backups";
    std::unique_ptr<LocalEngine> engine = open_store(options(store));
    std::map<std::uint64_t, std::string> expected;  // bodies by id

    static engine::local::Options options(const fs::path& path) {
        auto made = small_options(path, kSegment);
        made.large_body = 200'000;
        return made;
    }
    void add(std::uint64_t seed, std::uint64_t size = 20'000) {
        Direct direct(*engine);
        auto text = pattern(size, seed);
        auto id = direct.add_body(kAccount, "", direct.stage(text));
        ASSERT_TRUE(id.has_value()) << id.error().detail();
        expected[id->value] = std::move(text);
    }
    void erase(std::uint64_t id) {
        Direct direct(*engine);
        Batch batch;
        batch.erase_body(BodyId(id));
        ASSERT_TRUE(direct.commit(kAccount, std::move(batch)).has_value());
    }
    BackupOutcome back_up(std::size_t keep = 0) {
        auto made = engine->backup(folder, keep, kGoOn);
        EXPECT_TRUE(made.has_value()) << made.error().detail();
        return made.value_or(BackupOutcome());
    }
    // Restores the last backup, opens it, and holds its bodies against `wanted`.
    void expect_restored(const std::map<std::uint64_t, std::string>& wanted) {
        auto to = directory.path() / "restored";
        fs::remove_all(to);
        auto backup = engine::local::find_backup(Disk::system(), folder, std::nullopt);
        ASSERT_TRUE(backup.has_value()) << backup.error().detail();
        auto report = [](const BackupDamage& damage) { ADD_FAILURE() << damage.file << ": " << damage.what; };
        auto done = engine::local::restore_backup(Disk::system(), folder, *backup, to, engine::local::Damaged::refuse,
                                                  report, kGoOn);
        ASSERT_TRUE(done.has_value()) << done.error().detail();
        auto restored = open_store(options(to));
        ASSERT_TRUE(restored);
        EXPECT_TRUE(restored->status().damage.empty());
        Direct direct(*restored);
        for (const auto& [id, text] : wanted) {
            auto read = direct.verified_body(kAccount, BodyId(id));
            ASSERT_TRUE(read.has_value()) << id << ": " << read.error().detail();
            EXPECT_EQ(*read, text) << id;
        }
        auto damage = [](const Damage& one) { ADD_FAILURE() << one.file << ": " << one.what; };
        EXPECT_TRUE(restored->verify(damage).has_value());
        ASSERT_TRUE(direct.put(kAccount, "after", "the restore").has_value());
    }
    std::vector<std::string> verify(const std::string& name) {
        std::vector<std::string> damage;
        auto listed = engine::local::list_backups(Disk::system(), folder);
        EXPECT_TRUE(listed.has_value());
        for (const auto& one : *listed) {
            if (one.name != name) continue;
            if (!one.manifest) return {one.wrong};
            auto report = [&](const BackupDamage& place) { damage.push_back(place.file); };
            auto done = engine::local::verify_backup(Disk::system(), folder, one, report, kGoOn);
            EXPECT_TRUE(done.has_value());
        }
        return damage;
    }
};

TEST_F(BackupTest, HoldsWhatWasThereAndGoesOnWhenItIsRestored) {
    for (int i = 1; i <= 40; ++i) add(i);
    add(41, 500'000);  // a file of its own
    auto made = back_up();
    EXPECT_GT(made.totals.files, 5u);
    const auto then = expected;
    add(42);
    expect_restored(then);
    struct stat found{};
    ASSERT_EQ(::stat((folder / made.name).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700u);
}

TEST_F(BackupTest, SharesWhatDidNotChange) {
    for (int i = 1; i <= 60; ++i) add(i);
    auto first = back_up();
    for (int i = 61; i <= 65; ++i) add(i);
    auto second = back_up();
    EXPECT_LT(second.totals.copied_octets, 2 * kSegment);
    EXPECT_GT(second.totals.octets, 4 * kSegment);
    const fs::path sealed = "data/log/0/0000000001.seg";
    EXPECT_EQ(inode(folder / first.name / sealed), inode(folder / second.name / sealed));
    EXPECT_EQ(inode(folder / first.name / sealed), inode(store / "log/0/0000000001.seg"));
    expect_restored(expected);
}

TEST_F(BackupTest, StaysAsItIsWhateverTheStoreDoesLater) {
    for (int i = 1; i <= 40; ++i) add(i);
    add(41, 500'000);
    auto made = back_up();
    const auto before = contents(folder / made.name);
    const auto then = expected;
    for (const auto& [id, text] : then) erase(id);
    for (int i = 50; i <= 80; ++i) add(i);
    while (*engine->copy_segments()) {
    }
    engine = nullptr;
    engine = open_store(options(store));
    for (int i = 81; i <= 100; ++i) add(i);
    EXPECT_EQ(contents(folder / made.name), before);
    EXPECT_TRUE(verify(made.name).empty());
    expect_restored(then);
}

TEST_F(BackupTest, OfAStoreInUseIsOfOneMoment) {
    std::atomic<bool> stop = false;
    // Each commit has a body and a key that names it: a backup has both or neither.
    std::thread writer([&] {
        Direct direct(*engine);
        for (std::uint64_t n = 1; !stop; ++n) {
            Batch batch;
            auto id = engine->next_body_id(kAccount);
            batch.add_body(id, "", direct.stage(pattern(n % 7 == 0 ? 250'000 : 9'000, n)));
            batch.put(fmt::format("body {:08}", n), std::to_string(id.value));
            if (!direct.commit(kAccount, std::move(batch))) return;
            if (n % 3 == 0) {
                Batch gone;
                gone.erase_body(id);
                gone.erase(fmt::format("body {:08}", n));
                if (!direct.commit(kAccount, std::move(gone))) return;
            }
        }
    });
    for (int round = 0; round < 4; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        back_up();
        (void)engine->copy_segments();
        expect_restored({});
        auto restored = open_store(options(directory.path() / "restored"));
        Direct direct(*restored);
        auto found = run(restored->scan(kAccount, {"body ", "body~"}, 100'000, nullptr));
        ASSERT_TRUE(found.has_value());
        std::size_t count = 0;
        for (const auto entry : *found) {
            auto body = direct.verified_body(kAccount, BodyId(std::stoull(std::string(entry.value))));
            EXPECT_TRUE(body.has_value()) << entry.key;
            ++count;
        }
        EXPECT_GT(count, 0u);
    }
    stop = true;
    writer.join();
}

TEST_F(BackupTest, NamesWhatWasTamperedWith) {
    for (int i = 1; i <= 40; ++i) add(i);
    auto made = back_up();
    const auto data = folder / made.name / "data";
    {
        std::fstream file(data / "log/0/0000000002.seg", std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(5000);
        file.put('!');
    }
    fs::remove(data / "index/CURRENT");
    std::ofstream(data / "more") << "not ours";
    EXPECT_EQ(verify(made.name), (std::vector<std::string>{"index/CURRENT", "log/0/0000000002.seg", "more"}));
    auto backup = engine::local::find_backup(Disk::system(), folder, std::nullopt);
    std::vector<std::string> damage;
    auto report = [&](const BackupDamage& place) { damage.push_back(place.file); };
    const auto to = directory.path() / "restored";
    auto done = engine::local::restore_backup(Disk::system(), folder, *backup, to, engine::local::Damaged::refuse,
                                              report, kGoOn);
    EXPECT_EQ(code_of(done), Errc::corrupt);
    EXPECT_EQ(damage, (std::vector<std::string>{"index/CURRENT", "log/0/0000000002.seg"}));
    EXPECT_TRUE(fs::is_empty(to));
    std::ofstream(folder / made.name / "MANIFEST", std::ios::app) << "file ..\n";
    EXPECT_EQ(verify(made.name), std::vector<std::string>{"MANIFEST is damaged"});
}

TEST_F(BackupTest, ThatIsGivenUpLeavesTheLastOne) {
    for (int i = 1; i <= 40; ++i) add(i);
    auto made = back_up();
    add(41);
    int asked = 0;
    auto give_up = [&](const BackupTotals&) { return ++asked < 5; };
    EXPECT_EQ(code_of(engine->backup(folder, 1, give_up)), Errc::cancelled);
    auto listed = engine::local::list_backups(Disk::system(), folder);
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ(listed->front().name, made.name);
    EXPECT_TRUE(verify(made.name).empty());
    // A folder that a killed server left is no backup, and goes with the next.
    fs::create_directory(folder / "incomplete-20261122T030509.123Z");
    EXPECT_EQ(engine::local::list_backups(Disk::system(), folder)->size(), 1u);
    back_up();
    EXPECT_FALSE(fs::exists(folder / "incomplete-20261122T030509.123Z"));
    expect_restored(expected);
}

TEST_F(BackupTest, OlderOnesGoWhenNewerAreThere) {
    add(1);
    for (int i = 0; i < 3; ++i) back_up();
    auto last = back_up(2);
    EXPECT_EQ(last.forgotten, 2u);
    auto listed = engine::local::list_backups(Disk::system(), folder);
    ASSERT_EQ(listed->size(), 2u);
    EXPECT_EQ(listed->back().name, last.name);
    expect_restored(expected);
}

TEST_F(BackupTest, IsMadeInAFolderHoweverItsPathEnds) {
    add(1);
    const auto plain = folder.string();
    for (std::string_view end : {"/", "//", "/.", "/./"}) {
        folder = plain + std::string(end);
        EXPECT_FALSE(back_up().name.empty()) << end;
    }
    folder = plain;
    EXPECT_EQ(engine::local::list_backups(Disk::system(), folder)->size(), 4u);
    expect_restored(expected);
}

TEST_F(BackupTest, ComesAfterThoseWithATimeToComeAndIsKept) {
    add(1);
    const auto first = back_up().name;
    fs::rename(folder / first, folder / "20991231T235959.999Z");
    add(2);
    auto made = back_up(1);
    EXPECT_EQ(made.name, "21000101T000000.000Z");
    EXPECT_EQ(made.forgotten, 1u);
    expect_restored(expected);
    // Of no day: nothing comes behind it.
    fs::rename(folder / made.name, folder / "21009999T000000.000Z");
    add(3);
    made = back_up(1);
    EXPECT_EQ(made.forgotten, 1u);
    auto listed = engine::local::list_backups(Disk::system(), folder);
    ASSERT_EQ(listed->size(), 1u);
    EXPECT_EQ(listed->front().name, made.name);
}

TEST_F(BackupTest, IsRefusedInTheStoreItselfAndWhileAnotherIsMade) {
    add(1);
    EXPECT_EQ(code_of(engine->backup(store / "backups", 0, kGoOn)), Errc::invalid);
    for (const char* path : {"backups", "backups/", ".", ""})
        EXPECT_EQ(code_of(engine->backup(path, 0, kGoOn)), Errc::invalid) << path;
    back_up();
    auto lock = engine::local::lock_backups(Disk::system(), folder);
    ASSERT_TRUE(lock.has_value());
    EXPECT_EQ(code_of(engine->backup(folder, 0, kGoOn)), Errc::busy);
}

// Links fail as they do between two file systems.
class NoLinks final : public Disk {
public:
    int link(const char* from, const char* to) override {
        if (std::string_view(from).contains("/store/") && std::string_view(to).contains("/backups/")) {
            errno = EXDEV;
            return -1;
        }
        return Disk::link(from, to);
    }
    ssize_t pwritev(int fd, const iovec* parts, int count, std::uint64_t offset) override {
        if (full) {
            errno = ENOSPC;
            return -1;
        }
        return Disk::pwritev(fd, parts, count, offset);
    }
    std::atomic<bool> full = false;
};

TEST_F(BackupTest, OnAnotherFileSystemCopiesWhatIsNewAlone) {
    engine = nullptr;
    NoLinks disk;
    auto with = options(store);
    with.disk = &disk;
    engine = open_store(with);
    for (int i = 1; i <= 60; ++i) add(i);
    auto first = back_up();
    EXPECT_EQ(first.totals.copied_files, first.totals.files);
    erase(expected.begin()->first);
    expected.erase(expected.begin());
    for (int i = 61; i <= 65; ++i) add(i);
    auto second = back_up();
    EXPECT_LT(second.totals.copied_octets, 2 * kSegment);
    const fs::path sealed = "data/log/0/0000000002.seg";
    EXPECT_EQ(inode(folder / first.name / sealed), inode(folder / second.name / sealed));
    EXPECT_NE(inode(folder / first.name / sealed), inode(store / "log/0/0000000002.seg"));
    expect_restored(expected);
    engine = nullptr;
}

TEST_F(BackupTest, ThatFindsNoRoomLeavesTheLastOneAndSaysSo) {
    engine = nullptr;
    NoLinks disk;
    auto with = options(store);
    with.disk = &disk;
    engine = open_store(with);
    for (int i = 1; i <= 20; ++i) add(i);
    auto made = back_up();
    disk.full = true;
    auto failed = engine->backup(folder, 1, kGoOn);
    disk.full = false;
    EXPECT_EQ(code_of(failed), Errc::no_space);
    EXPECT_TRUE(verify(made.name).empty());
    std::size_t entries = 0;
    for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder)) ++entries;
    EXPECT_EQ(entries, 2u);  // the backup, and LOCK
    add(21);
    engine = nullptr;
}

TEST(BackupManifest, IsReadAsItWasWrittenAndBelievesNothingElse) {
    const std::string digest(64, 'a');
    BackupManifest manifest;
    manifest.taken = Timestamp(std::chrono::milliseconds(1'795'000'000'123));
    manifest.mark = engine::local::RecordMark(0x1234);
    manifest.files = {{"FORMAT", 62, digest}, {"log/0/0000000001.seg", 4096, digest}};
    const auto text = encode_manifest(manifest);
    auto read = engine::local::parse_manifest(text);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->files, manifest.files);
    EXPECT_EQ(read->taken, manifest.taken);
    EXPECT_EQ(read->octets(), 4158u);
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto damaged = text;
        damaged[i] = static_cast<char>(damaged[i] ^ 1);
        EXPECT_FALSE(engine::local::parse_manifest(damaged).has_value()) << i;
        EXPECT_FALSE(engine::local::parse_manifest(text.substr(0, i)).has_value()) << i;
    }
    for (const char* path : {"../x", "/etc/passwd", "a//b", "a/../b", "", "a b", "a/."}) {
        manifest.files = {{path, 1, digest}};
        EXPECT_EQ(code_of(engine::local::parse_manifest(encode_manifest(manifest))), Errc::corrupt) << path;
    }
}

}  // namespace
}  // namespace poplar::test
