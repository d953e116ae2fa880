// Any octet of a data directory flipped: it is found, nothing wrong is read, and a rebuild brings back all the rest.
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "engine/local/file.h"
#include "engine/local/index.h"
#include "engine/local/segment_walk.h"
#include "engine/local/store_directory.h"
#include "mailstore/mail_store.h"
#include "tests/engine/local_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/run.h"
#include "tests/support/temp_dir.h"

namespace poplar::test {
namespace {

using engine::local::Damage;
using engine::local::Disk;
using engine::local::LocalEngine;
using mailstore::MailStore;
using mailstore::Message;

constexpr mailstore::AccountId kAccounts[] = {mailstore::AccountId(1024), mailstore::AccountId(1025)};

engine::local::Options flip_options(const fs::path& directory) {
    auto options = small_options(directory, 64 << 10);
    options.large_body = 64 << 10;
    options.reserved_space = 0;  // holds nothing worth verifying
    return options;
}

std::string content(std::uint64_t size, std::uint64_t seed) {
    std::string text;
    std::mt19937_64 random(seed);
    while (text.size() < size) text += fmt::format("{:016x}\r\n", random());
    return text;
}

/// What an account holds: "ID ORDER live|retained" and its bytes, or the code of what reading it answered.
using Contents = std::map<std::string, std::string>;

std::string read_body(Result<std::unique_ptr<engine::BodyReader>> reader) {
    if (!reader) return "!" + std::string(to_string(reader.error().code()));
    if (auto sound = run((*reader)->verify()); !sound) return "!" + std::string(to_string(sound.error().code()));
    std::string text;
    for (;;) {
        auto chunk = run((*reader)->next());
        if (!chunk) return "!" + std::string(to_string(chunk.error().code()));
        if (chunk->empty()) return text;
        text += *chunk;
    }
}

Contents contents_of(LocalEngine& engine) {
    ManualClock clock;
    MailStore store(engine, clock, {});
    Contents contents;
    for (auto account : kAccounts) {
        auto put = [&](const Message& message, std::string_view state) {
            contents[fmt::format("{} {} {} {}", account.value, message.unique_id, message.order.value, state)] =
                read_body(run(store.open(account, message)));
        };
        auto live = run(store.list(account, mailstore::OrderKey(0), 1000));
        if (live)
            for (const auto& message : *live) put(message, "live");
        else
            contents[fmt::format("{} live", account.value)] = "!" + std::string(to_string(live.error().code()));
        auto retained = run(store.list_retained(account, 0, 1000));
        if (retained)
            for (const auto& one : *retained) put(one.message, "retained");
        else
            contents[fmt::format("{} retained", account.value)] = "!" + std::string(to_string(retained.error().code()));
        if (auto sound = run(store.check(account)); !sound)
            contents[fmt::format("{} counters", account.value)] = "!" + std::string(to_string(sound.error().code()));
    }
    return contents;
}

/// A store with every kind of record: mail that is live, retained, restored, expired and purged, in segments and copies
/// of them, small, of several frames, and in files of its own; several messages a commit.
void make_store(const fs::path& directory) {
    auto engine = open_store(flip_options(directory));
    ManualClock clock;
    MailStore store(*engine, clock, {});
    auto append = [&](mailstore::AccountId account, std::uint64_t size, std::uint64_t seed) {
        auto writer = engine->write_body(0);
        auto text = content(size, seed);
        EXPECT_TRUE(run(writer->write(text)));
        auto staged = run(writer->finish());
        EXPECT_TRUE(staged);
        auto done = run(store.append(account, {"Delivered-To: x\r\n", {*staged, text.size()}, ""}));
        EXPECT_TRUE(done);
        return done->unique_id;
    };
    std::vector<std::string> ids, doomed;
    for (std::uint64_t i = 0; i < 60; ++i) {
        doomed.push_back(append(kAccounts[0], 3'000, i));
        if (i % 6 == 0) ids.push_back(append(kAccounts[1], 1'000 + 100 * i, 100 + i));
    }
    EXPECT_TRUE(run(store.remove(kAccounts[0], {doomed.begin(), doomed.begin() + 50}, "pop3")));
    clock.advance(std::chrono::days(31));
    EXPECT_TRUE(run(store.expire(kAccounts[0])));
    while (*engine->copy_segments()) {
    }
    EXPECT_GT(engine->status().copies, 0u);
    append(kAccounts[1], 90'000, 200);  // a file
    append(kAccounts[1], 62'000, 201);
    for (std::uint64_t i = 0; i < 4; ++i) append(kAccounts[1], 200, 300 + i);
    EXPECT_TRUE(run(store.remove(kAccounts[1], {ids[0], ids[3], ids[4]}, "pop3")));
    EXPECT_TRUE(run(store.restore(kAccounts[1], ids[3])));
    engine::Batch batch;
    batch.put("d", "of another partition");
    EXPECT_TRUE(run(engine->commit(engine::PartitionId(1), std::move(batch), std::nullopt)));
}

struct Place {
    fs::path file;  // relative
    std::uint64_t offset = 0;
    bool of_body = false;
};

/// Every octet that means something: all of all files, but not those of erased bodies, nor those that are nobody's.
std::vector<Place> meaningful(const fs::path& directory) {
    std::vector<Place> places;
    auto all_of = [&](const fs::path& file, std::uint64_t begin, std::uint64_t end, bool of_body = false) {
        for (auto at = begin; at < end; ++at) places.push_back({file.lexically_relative(directory), at, of_body});
    };
    auto opened = engine::local::StoreDirectory::open(Disk::system(), directory);
    EXPECT_TRUE(opened);
    auto mark = (*opened)->mark();
    // A reading of the index leaves new files: of a copy, then.
    TempDir copy;
    copy_directory(directory / "index", copy.path() / "index");
    auto index = engine::local::Index::open(Disk::system(), copy.path() / "index", flip_options(directory));
    EXPECT_TRUE(index);
    for (const auto& entry : fs::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file() || entry.file_size() == 0) continue;
        const auto& file = entry.path();
        if (file.extension() != ".seg") {
            bool large = file.string().contains("/large/");
            if (!file.filename().string().starts_with("LOG")) all_of(file, 0, entry.file_size(), large);
            continue;
        }
        auto segment = engine::local::File::open(Disk::system(), file, engine::local::File::Mode::read);
        EXPECT_TRUE(segment);
        engine::local::FileSource source(*segment);
        engine::local::SegmentWalk walk(source, mark, engine::local::kSegmentHeader, entry.file_size(), 1,
                                        engine::local::SegmentWalk::Bodies::skip);
        all_of(file, 0, engine::local::kSegmentHeader);
        for (;;) {
            auto step = walk.next();
            EXPECT_TRUE(step);
            if (step->kind == engine::local::SegmentWalk::Step::Kind::end) break;
            all_of(file, step->offset, step->body_offset());
            auto at = step->body_offset();
            for (const auto& body : step->meta.bodies) {
                auto place = *(*index)->place(step->header.partition, body.id, engine::local::Wait::yes);
                if (place) all_of(file, at, at + body.inline_octets, true);
                at += body.inline_octets;
            }
        }
    }
    return places;
}

void flip(const fs::path& file, std::uint64_t offset, unsigned char bits) {
    std::fstream io(file, std::ios::in | std::ios::out | std::ios::binary);
    io.seekg(static_cast<std::streamoff>(offset));
    char octet = static_cast<char>(io.get());
    io.seekp(static_cast<std::streamoff>(offset));
    io.put(static_cast<char>(octet ^ bits));
}

class Flips : public testing::Test {
protected:
    static void SetUpTestSuite() {
        home_ = new TempDir;
        make_store(home_->path() / "store");
        places_ = meaningful(home_->path() / "store");
        expected_ = contents_of(*open_store(flip_options(home_->path() / "store")));
        fs::remove_all(home_->path() / "store");  // it was opened once more: not as it was looked at
        make_store(home_->path() / "store");
        places_ = meaningful(home_->path() / "store");
        auto probe = home_->path() / "probe";
        copy_directory(home_->path() / "store", probe);
        expected_ = contents_of(*open_store(flip_options(probe)));
    }
    static void TearDownTestSuite() { delete home_; }

    void try_flip(const Place& place, unsigned char bits) {
        SCOPED_TRACE(testing::Message() << place.file << " at " << place.offset << " ^ " << int(bits));
        auto hit = home_->path() / "hit";
        copy_directory(home_->path() / "store", hit);
        flip(hit / place.file, place.offset, bits);
        bool of_index = *place.file.begin() == "index";
        auto options = flip_options(hit);
        {
            auto opened = LocalEngine::open(options);
            if (!opened) {
                EXPECT_TRUE(of_index) << opened.error().detail();
                EXPECT_EQ(opened.error().code(), Errc::corrupt) << opened.error().detail();
            } else {
                auto& engine = **opened;
                auto found = engine.status().damage;
                auto totals = engine.verify([&](const Damage& damage) { found.push_back(damage); });
                EXPECT_TRUE(totals);
                bool named = false;
                std::string text;
                for (const auto& damage : found) {
                    named |= damage.file == place.file;
                    text += fmt::format("{} at {}: {}\n", damage.file, damage.offset, damage.what);
                }
                // Damage to what the index needs no more may go with its file.
                bool replaced = of_index && !fs::exists(hit / place.file);
                EXPECT_TRUE(named || replaced) << "found: " << text;
                expect_contents(contents_of(engine), of_index, true);
            }
        }
        auto rebuilt = LocalEngine::rebuild(options);
        ASSERT_TRUE(rebuilt) << rebuilt.error().detail();
        auto opened = LocalEngine::open(options);
        ASSERT_TRUE(opened) << opened.error().detail();
        expect_contents(contents_of(**opened), false, false);
        if (!of_index && place.file != "FORMAT") return;
        auto totals = (*opened)->verify([](const Damage& damage) { ADD_FAILURE() << damage.file << damage.what; });
        EXPECT_TRUE(totals && totals->damaged == 0);
    }

    /// At most one message may be unreadable; none may be missing or read otherwise. While the index is damaged, lists
    /// may be refused.
    void expect_contents(const Contents& now, bool refused, bool serving) {
        int hit = 0;
        for (const auto& [name, text] : now) {
            if (text.starts_with("!")) {
                EXPECT_EQ(text, "!corrupt") << name;
                ++hit;
                continue;
            }
            auto it = expected_.find(name);
            ASSERT_TRUE(it != expected_.end()) << name << " was not there before";
            EXPECT_TRUE(it->second == text) << name << " reads otherwise";
        }
        if (refused) return;
        EXPECT_LE(hit, 1);
        for (const auto& [name, text] : expected_)
            EXPECT_TRUE(now.contains(name)) << name << (serving ? " can't be seen" : " is lost by the rebuild");
    }

    static inline TempDir* home_ = nullptr;
    static inline std::vector<Place> places_;
    static inline Contents expected_;
};

// POPLAR_LONG=1: every octet, but of bodies each 64th; POPLAR_FLIPS=all: those too.
TEST_F(Flips, AreFoundAndCostAtMostTheMessageTheyHit) {
    const char* asked = std::getenv("POPLAR_FLIPS");
    bool all = asked && std::string_view(asked) == "all";
    std::mt19937_64 random(1);
    std::vector<Place> chosen;
    if (all || std::getenv("POPLAR_LONG")) {
        for (const auto& place : places_)
            if (all || !place.of_body || place.offset % 64 == 0) chosen.push_back(place);
    } else {
        // Each file alike, whatever its size; and of segments mostly what is not a body.
        std::map<fs::path, std::vector<std::uint64_t>> files;
        for (const auto& place : places_) files[place.file].push_back(place.offset);
        for (const auto& [file, offsets] : files)
            for (int i = 0; i < 8; ++i) chosen.push_back({file, offsets[random() % offsets.size()], false});
        for (int i = 0; i < 100; ++i) chosen.push_back(places_[random() % places_.size()]);
    }
    for (const auto& place : chosen) {
        try_flip(place, static_cast<unsigned char>(1 + random() % 255));
        if (HasFatalFailure()) return;
    }
}

}  // namespace
}  // namespace poplar::test
