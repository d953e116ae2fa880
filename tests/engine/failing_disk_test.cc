// Calls of every kind fail, once and for good: nothing acknowledged is lost, nothing is half there, each caller that
// waits gets a true answer, and all that can mend itself does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "tests/engine/direct.h"
#include "tests/engine/disk_world.h"

namespace poplar::test {
namespace {

using engine::local::LocalEngine;
using Fault = SimulatedDisk::Fault;

std::string describe(const Fault& fault) {
    return fmt::format("{} {}{} of {} {}", fault.error == 0 ? "a short" : std::strerror(fault.error),
                       to_string(fault.call), fault.lasting ? "s from" : "",
                       fault.index ? "the index, number" : "the log, number", fault.nth);
}

/// A store in use: small and large bodies, deletions, segments that roll, an index that is flushed.
class Trial {
public:
    explicit Trial(std::shared_ptr<Platter> platter) : platter_(std::move(platter)), disk_(platter_) {
        disk_.set_fault(std::nullopt);
    }
    ~Trial() {
        disk_.kill();
        engine_.reset();
    }
    SimulatedDisk& disk() { return disk_; }
    LocalEngine& engine() { return *engine_; }

    Result<> open() {
        auto opened = LocalEngine::open(small_options(disk_, 6000));
        if (!opened) return pass_on(opened);
        engine_ = std::move(*opened);
        return {};
    }

    void close() { engine_.reset(); }  ///< as it should be

    /// Uses the store. Every answer goes into the ledger; nothing here expects success.
    void use(Promise& promise) {
        for (int round = 0; round < 3; ++round) {
            commit(promise, 7, 0);
            commit(promise, 7, 1500);
            commit(promise, 8, 1500);
            commit(promise, 7, 4000 + round);
            erase_oldest(promise, 7);
            (void)Direct(*engine_).keys(PartitionId(7), KeyRange::prefix("mark"));
        }
    }

    Result<ChangeNumber> commit(Promise& promise, std::uint64_t partition, std::uint64_t size) {
        Commit change{PartitionId(partition), {}, {}, {}, {}};
        std::shared_ptr<const StagedBody> rest;
        if (size > 0) {
            change.bodies.emplace_back(engine_->next_body_id(change.partition), pattern(size, promise.items.size()));
            auto staged = stage(change.bodies[0].second);
            if (!staged) return pass_on(staged);  // refused before there was a commit
            rest = *staged;
        }
        return hand_in(promise, std::move(change), std::move(rest));
    }

    /// Each read is right, or answers with a failure of the disk: never wrong, never "not there".
    std::string check_reads(const Promise& promise) {
        Direct d(*engine_);
        for (const auto& [commit, outcome] : promise.items) {
            if (outcome != Promise::Outcome::kept) continue;
            auto mark = d.get(commit->partition, commit->puts.front().key);
            if (!mark && mark.error().code() != Errc::io) return "an acknowledged key: " + mark.error().detail();
        }
        return {};
    }

    /// All that was acknowledged is there, in however many commits.
    std::string check_all_there(const Promise& promise) {
        Direct d(*engine_);
        std::map<std::pair<PartitionId, BodyId>, std::string> bodies;
        for (const auto& [commit, outcome] : promise.items) {
            if (outcome != Promise::Outcome::kept) return "not acknowledged";
            if (!d.get(commit->partition, commit->puts.front().key)) return commit->puts.front().key + " is lost";
            for (const auto& [id, text] : commit->bodies) bodies[{commit->partition, id}] = text;
            for (auto id : commit->erased_bodies) bodies.erase({commit->partition, id});
        }
        for (const auto& [id, text] : bodies)
            if (d.verified_body(id.first, id.second).value_or("") != text)
                return fmt::format("body {} is lost", id.second.value);
        return {};
    }

private:
    Result<std::shared_ptr<const StagedBody>> stage(const std::string& text) {
        auto writer = engine_->write_body(0);
        if (auto done = run(writer->write(text)); !done) return pass_on(done);
        return run(writer->finish());
    }
    Result<ChangeNumber> hand_in(Promise& promise, Commit change, std::shared_ptr<const StagedBody> rest) {
        change.puts.insert(change.puts.begin(), {fmt::format("mark{:05}", promise.items.size()), "."});
        Batch batch;
        batch.puts = change.puts;
        batch.erased_bodies = change.erased_bodies;
        for (const auto& [id, text] : change.bodies) batch.add_body(id, "", rest);
        auto to = change.partition;
        auto done = Direct(*engine_).commit(to, std::move(batch));
        using Outcome = Promise::Outcome;
        auto outcome = done ? Outcome::kept : done.error().code() == Errc::io ? Outcome::unknown : Outcome::failed;
        promise.items.push_back({std::make_shared<const Commit>(std::move(change)), outcome});
        if (!done)
            EXPECT_TRUE(done.error().code() == Errc::io || done.error().code() == Errc::no_space)
                << done.error().detail();
        return done;
    }
    void erase_oldest(Promise& promise, std::uint64_t partition) {
        Commit change{PartitionId(partition), {}, {}, {}, {}};
        std::set<BodyId> bodies;
        for (const auto& [commit, outcome] : promise.items) {
            if (commit->partition != change.partition || outcome != Promise::Outcome::kept) continue;
            for (const auto& [id, text] : commit->bodies) bodies.insert(id);
            for (auto id : commit->erased_bodies) bodies.erase(id);
        }
        if (bodies.empty()) return;
        change.erased_bodies.push_back(*bodies.begin());
        (void)hand_in(promise, std::move(change), nullptr);
    }

    std::shared_ptr<Platter> platter_;
    SimulatedDisk disk_;
    std::unique_ptr<LocalEngine> engine_;
};

std::shared_ptr<Platter> empty_platter() {
    auto platter = std::make_shared<Platter>();
    platter->make("/data", true);
    platter->sync(0);
    return platter;
}

// One use of a store with one fault in it; "" if all went as it should.
std::string suffer(const Fault& fault, bool& hit) {
    auto platter = empty_platter();
    Promise promise;
    bool syncs = fault.call == Call::fsync || fault.call == Call::fdatasync;
    {
        Trial trial(platter);
        if (auto opened = trial.open(); !opened) return opened.error().detail();
        trial.use(promise);
        trial.disk().set_fault(fault);
        trial.use(promise);
        hit = trial.disk().faults_hit() > 0;
        if (auto wrong = trial.check_reads(promise); !wrong.empty()) return wrong;
        auto status = trial.engine().status();
        trial.disk().set_fault(std::nullopt);
        if (fault.error == 0 || fault.error == EINTR) {
            for (const auto& item : promise.items)
                if (item.outcome != Promise::Outcome::kept) return "no call failed for good, but a commit did";
            if (status.health != "ok") return status.state;
        }
        bool full = fault.error == ENOSPC || fault.error == EDQUOT;
        bool may_stop = syncs || fault.call == Call::truncate || fault.call == Call::open || (fault.index && !full);
        if (auto wrong = promise.check(trial.engine()); !wrong.empty()) return "as it is read meanwhile: " + wrong;
        Result<ChangeNumber> more = ChangeNumber(0);
        bool by_itself = full || !fault.index, stopped = false;
        for (int i = 0; i < (by_itself ? 2000 : 20); ++i) {
            stopped = trial.engine().status().health == "stopped";
            more = trial.commit(promise, 9, 0);
            if (more || stopped) break;
            promise.items.pop_back();  // was refused, or is in doubt: partition 9 is looked at no more than this
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        if (stopped && more) return "it was stopped, and goes on";
        if (!stopped && !more && by_itself) return "it does not recover: " + more.error().detail();
        // The index may tell later than that answer what it did in the background.
        status = trial.engine().status();
        for (int i = 0; i < 2000 && status.health == "degraded" && by_itself; ++i, status = trial.engine().status())
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (by_itself && !may_stop && status.health != "ok") return "all is well, but: " + status.state;
    }
    Trial trial(platter);
    if (auto opened = trial.open(); !opened) return "after a restart: " + opened.error().detail();
    if (auto wrong = promise.settle(trial.engine()); !wrong.empty()) return "after a restart: " + wrong;
    if (trial.engine().status().health != "ok") return "after a restart: " + trial.engine().status().state;
    if (!trial.commit(promise, 7, 4000)) return "after a restart it takes nothing";
    auto cut = trial.disk().power_cut();
    Trial last(cut.state(cut.nothing()));
    if (auto opened = last.open(); !opened) return "after a power cut: " + opened.error().detail();
    if (auto wrong = promise.check(last.engine()); !wrong.empty()) return "after a power cut: " + wrong;
    return {};
}

std::vector<int> errors_of(Call call) {
    if (call == Call::read) return {EIO, EINTR, 0};
    if (call == Call::write) return {EIO, ENOSPC, EDQUOT, EINTR, 0};
    return {EIO, ENOSPC, EINTR};
}

// The first calls each, then ever fewer of them; POPLAR_LONG=1 takes every one.
std::uint64_t next(std::uint64_t nth, std::uint64_t step = 8) {
    static const bool all = std::getenv("POPLAR_LONG") != nullptr;
    return nth + 1 + (all ? 0 : nth / step);
}

class FailingDisk : public testing::TestWithParam<Call> {};

TEST_P(FailingDisk, CallsInUseFailInTurn) {
    std::uint64_t faults = 0;
    auto errors = errors_of(GetParam());
    for (bool index : {false, true})
        for (int error : errors)
            for (bool lasting : {false, true}) {
                if (lasting && (error == EINTR || error == 0)) continue;
                for (std::uint64_t nth = 1;; nth = next(nth)) {
                    Fault fault{GetParam(), index, nth, error, lasting};
                    bool hit = false;
                    auto wrong = suffer(fault, hit);
                    EXPECT_EQ(wrong, "") << describe(fault);
                    if (!hit || testing::Test::HasFailure()) break;
                    ++faults;
                }
            }
    fmt::print("{}: {} faults\n", to_string(GetParam()), faults);
}

// A start that fails has changed nothing for the worse, and the next one finds all.
TEST_P(FailingDisk, CallsOfAStartFailInTurn) {
    Promise promise;
    auto platter = empty_platter();
    std::optional<PowerCut> crashed;
    {
        Trial trial(platter);
        ASSERT_TRUE(trial.open());
        trial.use(promise);
        trial.disk().before_sync = [&](Sync what) {
            if (what == Sync::group) crashed.emplace(trial.disk().power_cut());
        };
        (void)trial.commit(promise, 7, 700);
        promise.items.back().outcome = Promise::Outcome::pending;
    }
    ASSERT_TRUE(crashed);
    std::uint64_t faults = 0;
    auto errors = errors_of(GetParam());
    for (bool index : {false, true})
        for (int error : errors)
            for (std::uint64_t nth = 1;; nth = next(nth, nth > 40 ? 4 : 8)) {  // the same folders again and again
                Fault fault{GetParam(), index, nth, error, false};
                auto state = crashed->state(crashed->everything());
                bool opened = false, hit = false;
                {
                    Trial trial(state);
                    trial.disk().set_fault(fault);
                    auto result = trial.open();
                    opened = result.has_value();
                    hit = trial.disk().faults_hit() > 0;
                    trial.disk().set_fault(std::nullopt);  // not in what looks at it
                    if (opened && trial.engine().status().damage.empty()) {
                        EXPECT_EQ(promise.check(trial.engine()), "") << describe(fault);
                    } else if (opened) {  // it tells of what it could not read: nothing that it needed
                        EXPECT_TRUE(fault.error != EINTR && fault.error != 0) << describe(fault);
                        EXPECT_TRUE(fault.call == Call::open || fault.call == Call::read) << describe(fault);
                        EXPECT_EQ(trial.check_reads(promise), "") << describe(fault);
                    }
                }
                if (hit && !index && (error == EINTR || error == 0)) EXPECT_TRUE(opened) << describe(fault);
                Trial trial(state);
                auto again = trial.open();
                ASSERT_TRUE(again) << describe(fault) << ": " << again.error().detail();
                EXPECT_EQ(promise.check(trial.engine()), "") << describe(fault);
                if (!hit || testing::Test::HasFailure()) break;
                ++faults;
            }
    fmt::print("{} at start: {} faults\n", to_string(GetParam()), faults);
}

// A rebuild that fails, or goes on, over a disk's failure has given nothing up: made again it finds all, also what only
// the index still knows.
TEST_P(FailingDisk, CallsOfARebuildFailInTurn) {
    Promise promise;
    auto platter = empty_platter();
    std::optional<PowerCut> closed;
    {
        Trial trial(platter);
        ASSERT_TRUE(trial.open());
        trial.use(promise);
        trial.close();
        int segment = platter->find("/data/store/log/0/0000000001.seg");
        auto at = platter->live(segment).bytes.find("mark00001");
        ASSERT_NE(at, std::string::npos);
        platter->write(segment, at, "X");
        platter->sync(segment);
        closed.emplace(trial.disk().power_cut());
    }
    std::uint64_t faults = 0, failed = 0;
    for (bool index : {false, true})
        for (int error : errors_of(GetParam())) {
            // RocksDB aborts over a folder that can't be read for want of room; no disk answers so.
            if (index && error == ENOSPC && GetParam() == Call::open) continue;
            for (std::uint64_t nth = 1;; nth = next(nth, nth > 40 ? 4 : 8)) {
                Fault fault{GetParam(), index, nth, error, false};
                auto state = closed->state(closed->everything());
                bool hit = false;
                {
                    SimulatedDisk disk(state);
                    disk.set_fault(fault);
                    failed += !LocalEngine::rebuild(small_options(disk, 6000));
                    hit = disk.faults_hit() > 0;
                    disk.kill();
                }
                {
                    SimulatedDisk disk(state);
                    auto rebuilt = LocalEngine::rebuild(small_options(disk, 6000));
                    ASSERT_TRUE(rebuilt) << describe(fault) << ": " << rebuilt.error().detail();
                }
                Trial trial(state);
                auto opened = trial.open();
                ASSERT_TRUE(opened) << describe(fault) << ": " << opened.error().detail();
                EXPECT_EQ(trial.check_all_there(promise), "") << describe(fault);
                if (!hit) break;
                ++faults;
            }
        }
    fmt::print("{} of a rebuild: {} faults, {} made it fail\n", to_string(GetParam()), faults, failed);
}

// The sources of a copy are still there: whatever fails, all can be read and the store goes on, and after a restart so
// does the copying.
TEST_P(FailingDisk, CallsOfACopyFailInTurn) {
    Promise before;
    std::uint64_t full = 0;
    auto platter = empty_platter();
    std::optional<PowerCut> closed;
    {
        Trial trial(platter);
        ASSERT_TRUE(trial.open());
        trial.use(before);
        trial.use(before);
        full = trial.engine().status().log_octets;
        trial.close();
        closed.emplace(trial.disk().power_cut());
    }
    auto copy_all = [](Trial& trial) -> Result<> {
        for (;;) {
            auto copied = trial.engine().copy_segments();
            if (!copied) return pass_on(copied);
            if (!*copied) return {};
        }
    };
    std::uint64_t faults = 0, failed = 0;
    for (bool index : {false, true})
        for (int error : errors_of(GetParam()))
            for (std::uint64_t nth = 1;; nth = next(nth)) {
                Fault fault{GetParam(), index, nth, error, false};
                auto state = closed->state(closed->everything());
                auto promise = before;
                bool hit = false;
                {
                    Trial trial(state);
                    ASSERT_TRUE(trial.open());
                    trial.disk().set_fault(fault);
                    auto copied = copy_all(trial);
                    hit = trial.disk().faults_hit() > 0;
                    trial.disk().set_fault(std::nullopt);
                    failed += !copied;
                    EXPECT_TRUE(copied || hit) << describe(fault) << ": " << copied.error().detail();
                    EXPECT_EQ(promise.check(trial.engine()), "") << describe(fault);
                    bool stopped = trial.engine().status().health == "stopped";
                    EXPECT_TRUE(!stopped || (index && error != EINTR && error != 0)) << describe(fault);
                    if (!stopped) EXPECT_TRUE(trial.commit(promise, 9, 1500)) << describe(fault);
                }
                Trial trial(state);
                auto opened = trial.open();
                ASSERT_TRUE(opened) << describe(fault) << ": " << opened.error().detail();
                EXPECT_EQ(promise.check(trial.engine()), "") << describe(fault);
                EXPECT_TRUE(copy_all(trial)) << describe(fault);
                EXPECT_LT(trial.engine().status().log_octets, full) << describe(fault);
                EXPECT_EQ(promise.check(trial.engine()), "") << describe(fault);
                if (!hit || testing::Test::HasFailure()) break;
                ++faults;
            }
    fmt::print("{} of a copy: {} faults, {} made it fail\n", to_string(GetParam()), faults, failed);
}

std::vector<Call> all_calls() {
    std::vector<Call> calls;
    for (int i = 0; i <= static_cast<int>(kLastCall); ++i) calls.push_back(static_cast<Call>(i));
    return calls;
}
INSTANTIATE_TEST_SUITE_P(FailingDisk, FailingDisk, testing::ValuesIn(all_calls()),
                         [](const auto& one) { return std::string(to_string(one.param)); });

TEST(FullDisk, TakesNoMailDeletesStartsAndGoesOnWhenThereIsSpace) {
    auto platter = empty_platter();
    Promise promise;
    SimulatedDisk disk(platter);
    auto options = small_options(disk, 64 << 10);
    options.min_free_space = 64 << 10;
    options.reserved_space = 4 << 20;
    auto engine = std::move(*LocalEngine::open(options));
    std::vector<BodyId> bodies;
    auto deliver = [&](LocalEngine& to) {
        Direct d(to);
        return d.add_body(PartitionId(7), pattern(2000, 1), nullptr);
    };
    for (int i = 0; i < 20; ++i) bodies.push_back(*deliver(*engine));
    const auto capacity = disk.used();  // somebody else takes all the rest
    disk.set_capacity(capacity);
    EXPECT_EQ(code_of(deliver(*engine)), Errc::no_space);
    EXPECT_EQ(engine->status().health, "degraded");
    auto remove = [&](LocalEngine& from, std::size_t i) {
        Batch batch;
        batch.put(fmt::format("deleted{}", i), std::string(3000, 'x'));
        batch.erase_body(bodies[i]);
        return Direct(from).commit(PartitionId(7), std::move(batch));
    };
    for (std::size_t i = 0; i < 8; ++i) EXPECT_TRUE(remove(*engine, i)) << i;
    EXPECT_EQ(*Direct(*engine).verified_body(PartitionId(7), bodies[9]), pattern(2000, 1));
    disk.kill();
    engine.reset();

    SimulatedDisk second(platter);
    second.set_capacity(capacity);
    options.disk = &second;
    auto opened = LocalEngine::open(options);
    ASSERT_TRUE(opened) << opened.error().detail();
    EXPECT_EQ(*Direct(**opened).verified_body(PartitionId(7), bodies[9]), pattern(2000, 1));
    EXPECT_TRUE(remove(**opened, 9));
    EXPECT_EQ(code_of(deliver(**opened)), Errc::no_space);
    second.set_capacity(std::nullopt);
    EXPECT_TRUE(deliver(**opened));
    EXPECT_EQ((*opened)->status().health, "ok");
}

/// A store whose index can't be written for want of room, with as much handed in as it takes.
class WaitingIndex : public testing::Test {
protected:
    WaitingIndex() {
        options_.write_buffer = 64 << 10;
        open();
        disk_->set_fault(Fault{Call::write, true, 1, ENOSPC, true});
        while (put() && accepted_ < 1000) {
        }
    }
    ~WaitingIndex() override { engine_.reset(); }

    void open() {
        engine_.reset();
        disk_ = std::make_unique<SimulatedDisk>(platter_);
        options_.disk = disk_.get();
        engine_ = std::move(*LocalEngine::open(options_));
    }
    Result<ChangeNumber> put() {
        Batch batch;
        batch.put(fmt::format("key{:05}", accepted_), std::string(20'000, 'x'));
        auto done = Direct(*engine_).commit(PartitionId(7), std::move(batch));
        if (done) ++accepted_;
        return done;
    }
    std::size_t keys() {
        auto text = Direct(*engine_).keys(PartitionId(7), KeyRange::prefix("key"));
        return static_cast<std::size_t>(std::ranges::count(text, 'k'));
    }

    std::shared_ptr<Platter> platter_ = empty_platter();
    std::unique_ptr<SimulatedDisk> disk_ = std::make_unique<SimulatedDisk>(platter_);
    engine::local::Options options_ = small_options(*disk_, 64 << 10);
    std::unique_ptr<LocalEngine> engine_;
    std::size_t accepted_ = 0;
};

TEST_F(WaitingIndex, RefusesWhatMemoryHasNoRoomForAndIsRead) {
    EXPECT_GT(accepted_, 3u);
    EXPECT_LT(accepted_, 100u);
    EXPECT_EQ(code_of(put()), Errc::no_space);
    auto status = engine_->status();
    EXPECT_EQ(status.health, "degraded");
    EXPECT_TRUE(status.state.contains("the index waits for room")) << status.state;
    EXPECT_EQ(keys(), accepted_);
}

TEST_F(WaitingIndex, GoesOnByItselfWhenThereIsRoom) {
    disk_->set_fault(std::nullopt);
    for (int i = 0; i < 5000 && engine_->status().health != "ok"; ++i)  // nobody hands anything in
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(engine_->status().state, "ok");
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(put());
    EXPECT_EQ(keys(), accepted_);
}

TEST_F(WaitingIndex, IsClosedWithoutRoomAndFindsAllAtTheNextStart) {
    open();
    EXPECT_EQ(engine_->status().health, "ok");
    EXPECT_EQ(keys(), accepted_);
}

TEST_F(WaitingIndex, OutlivedByASnapshotIsClosedWithIt) {
    auto snapshot = engine_->snapshot(PartitionId(7));
    engine_.reset();
    snapshot.reset();
    open();
    EXPECT_EQ(keys(), accepted_);
}

}  // namespace
}  // namespace poplar::test
