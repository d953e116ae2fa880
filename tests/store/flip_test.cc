// Any octet of a data directory flipped: it is found, nothing wrong is read, and a rebuild brings back all the rest.
#include <gtest/gtest.h>

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

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
    auto options = small_options(directory, 16 << 10);
    options.large_body = 4'000;
    options.reserved_space = 0;  // holds nothing worth verifying
    options.block_cache = 1 << 20;
    options.reader_threads = 1;
    return options;
}

std::string content(std::uint64_t size, std::uint64_t seed) {
    std::string text;
    std::mt19937_64 random(seed);
    while (text.size() < size) text += fmt::format("{:016x}\r\n", random());
    return text;
}

/// An account's content: "ID ORDER live|retained" and its bytes, or the code of what reading it answered.
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
        auto mailboxes = run(store.mailboxes(account));
        for (const auto& mailbox : mailboxes.value_or(std::vector<mailstore::Mailbox>())) {
            if (mailbox.id == mailstore::kInbox) continue;
            auto moved = run(store.list(account, mailbox.id, mailstore::OrderKey(0), 1000));
            if (moved)
                for (const auto& message : *moved) put(message, mailbox.name);
            else
                contents[fmt::format("{} {}", account.value, mailbox.name)] =
                    "!" + std::string(to_string(moved.error().code()));
        }
        if (!mailboxes)
            contents[fmt::format("{} mailboxes", account.value)] =
                "!" + std::string(to_string(mailboxes.error().code()));
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
/// of them, small, of several frames, and in files of its own; several messages a commit; in mailboxes, with flags.
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
        doomed.push_back(append(kAccounts[0], 600, i));
        if (i % 6 == 0) ids.push_back(append(kAccounts[1], 200 + 10 * i, 100 + i));
    }
    EXPECT_TRUE(run(store.remove(kAccounts[0], {doomed.begin(), doomed.begin() + 50}, "pop3")));
    clock.advance(std::chrono::days(31));
    EXPECT_TRUE(run(store.expire(kAccounts[0], clock.now())));
    while (*engine->copy_segments()) {
    }
    EXPECT_GT(engine->status().copies, 0u);
    append(kAccounts[1], 66'000, 200);          // a file, of two frames
    for (std::uint64_t size : {900, 66'000}) {  // for both, in the log and as a file
        auto writer = engine->write_body(0);
        auto text = content(size, 400 + size);
        EXPECT_TRUE(run(writer->write(text)));
        auto staged = run(writer->finish(5000));
        for (auto account : kAccounts)
            EXPECT_TRUE(run(store.append(account, {"Delivered-To: x\r\n", {*staged, text.size()}, ""})));
    }
    append(kAccounts[1], 3'900, 201);
    for (std::uint64_t i = 0; i < 4; ++i) append(kAccounts[1], 200, 300 + i);
    EXPECT_TRUE(run(store.remove(kAccounts[1], {ids[0], ids[3], ids[4]}, "pop3")));
    EXPECT_TRUE(run(store.restore(kAccounts[1], ids[3])));
    const auto work = run(store.add_mailbox(kAccounts[1], "Work/Now"));
    EXPECT_TRUE(work);
    EXPECT_TRUE(run(store.move(kAccounts[1], mailstore::kInbox, {mailstore::Uid(2), mailstore::Uid(3)}, work->id)));
    EXPECT_TRUE(run(store.change_flags(kAccounts[1], work->id, {mailstore::Uid(1)},
                                       {mailstore::FlagChange::How::add, 3, {"$Forwarded"}})));
    EXPECT_TRUE(run(store.put_document(kAccounts[1], "sieve", "keep;")));
    EXPECT_TRUE(*run(store.remember(kAccounts[1], "vacation", "", clock.now() + std::chrono::days(7))));
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
                auto place = (*index)->place(step->header.partition, body.id);
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

// An assertion of RocksDB's ends the process: then only this tells which octet was flipped.
std::string flipped;
void tell_where(int) { (void)!write(STDERR_FILENO, flipped.data(), flipped.size()); }

constexpr std::uint64_t kBodyStep = 64;
constexpr std::uint64_t kParts = 4;  // that can go on side by side

class Flips : public testing::TestWithParam<std::uint64_t> {
protected:
    static void SetUpTestSuite() {
        struct sigaction told{};
        told.sa_handler = tell_where;
        told.sa_flags = static_cast<int>(SA_RESETHAND);
        sigaction(SIGABRT, &told, nullptr);
        home_ = new TempDir;
        auto store = home_->path() / "store";
        make_store(store);
        places_ = meaningful(store);
        for (const auto& file : fs::recursive_directory_iterator(store))
            if (file.is_regular_file()) files_.push_back(file.path().lexically_relative(store));
        copy_directory(store, home_->path() / "hit");
        auto probe = home_->path() / "probe";
        copy_directory(store, probe);
        expected_ = contents_of(*open_store(flip_options(probe)));
    }
    static void TearDownTestSuite() { delete home_; }

    /// Makes `hit` what the store is. Its hundreds of empty folders stay.
    static void restore(const fs::path& hit) {
        for (auto folder : {"log/0", "index", "index.old", "large/orphans"}) fs::remove_all(hit / folder);
        for (auto folder : {"log/0", "index"}) fs::create_directory(hit / folder);
        for (const auto& file : files_)
            fs::copy_file(home_->path() / "store" / file, hit / file, fs::copy_options::overwrite_existing);
    }

    void try_flip(const Place& place, unsigned char bits) {
        flipped = fmt::format("{} at {} ^ {}\n", place.file.string(), place.offset, bits);
        SCOPED_TRACE(flipped);
        auto hit = home_->path() / "hit";
        restore(hit);
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
                // LOCK says only whether the store is a copy: an advice depends on it, and no mail.
                EXPECT_TRUE(named || replaced || place.file == "LOCK") << "found: " << text;
                expect_contents(contents_of(engine), of_index, true);
            }
        }
        // Whichever octet of a body is wrong is the same to a rebuild: it copies them as they stand.
        if (place.of_body && place.offset % kBodyStep != 0) return;
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
        std::set<std::string> hit;  // one message, in as many accounts as it was for
        for (const auto& [name, text] : now) {
            auto it = expected_.find(name);
            if (text.starts_with("!")) {
                EXPECT_EQ(text, "!corrupt") << name;
                hit.insert(it == expected_.end() ? name : it->second);
                continue;
            }
            ASSERT_TRUE(it != expected_.end()) << name << " was not there before";
            EXPECT_TRUE(it->second == text) << name << " reads otherwise";
        }
        if (refused) return;
        EXPECT_LE(hit.size(), 1u);
        for (const auto& [name, text] : expected_)
            EXPECT_TRUE(now.contains(name)) << name << (serving ? " can't be seen" : " is lost by the rebuild");
    }

    static inline TempDir* home_ = nullptr;
    static inline std::vector<Place> places_;
    static inline std::vector<fs::path> files_;
    static inline Contents expected_;
};

// POPLAR_LONG=1: every octet that is not a body's, and each 64th that is; POPLAR_FLIPS=bodies: all of those, without a
// rebuild each. In each octet some bits, by chance.
TEST_P(Flips, AreFoundAndCostAtMostTheMessageTheyHit) {
    const char* asked = std::getenv("POPLAR_FLIPS");
    bool bodies = asked && std::string_view(asked) == "bodies";
    std::mt19937_64 random(1);
    std::vector<Place> chosen;
    if (bodies) {
        std::ranges::copy_if(places_, std::back_inserter(chosen), &Place::of_body);
    } else if (std::getenv("POPLAR_LONG")) {
        for (const auto& place : places_)
            if (!place.of_body || place.offset % kBodyStep == 0) chosen.push_back(place);
    } else {
        // Each file alike, whatever its size; and of segments mostly what is not a body.
        std::map<fs::path, std::vector<std::uint64_t>> files;
        for (const auto& place : places_) files[place.file].push_back(place.offset);
        for (const auto& [file, offsets] : files)
            for (int i = 0; i < 8; ++i) chosen.push_back({file, offsets[random() % offsets.size()], false});
        for (int i = 0; i < 100; ++i) chosen.push_back(places_[random() % places_.size()]);
    }
    std::map<fs::path, int> flips;
    for (std::uint64_t i = 0; i < chosen.size(); ++i) {
        auto bits = static_cast<unsigned char>(1 + random() % 255);
        if (i % kParts != GetParam()) continue;
        try_flip(chosen[i], bits);
        if (HasFatalFailure()) return;
        ++flips[chosen[i].file];
    }
    for (const auto& [file, count] : flips) fmt::print("{}: {} flips\n", file.string(), count);
}
INSTANTIATE_TEST_SUITE_P(Part, Flips, testing::Range(std::uint64_t(0), kParts));

}  // namespace
}  // namespace poplar::test
