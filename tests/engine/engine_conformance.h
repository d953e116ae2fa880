#pragma once
// Every engine must pass these tests. A test program instantiates both suites for a factory of its own:
//
//   struct Factory {
//       std::unique_ptr<engine::Engine> open();    // an empty engine
//       std::unique_ptr<engine::Engine> reopen();  // for EnginePersistence: the same data, after the engine's
//       destruction
//   };
//   INSTANTIATE_TYPED_TEST_SUITE_P(Local, EngineConformance, Factory);
//   INSTANTIATE_TYPED_TEST_SUITE_P(Local, EnginePersistence, Factory);
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "tests/engine/direct.h"

namespace poplar::test {

using namespace engine;

constexpr std::uint64_t kBodySizes[] = {0, 1, 65535, 65536, 65537, 200'000, 3u << 20};

template <class Factory>
class EngineConformance : public testing::Test {
protected:
    Factory factory_;
    std::unique_ptr<Engine> engine_ = factory_.open();
    Direct direct_{*engine_};
    PartitionId one_{1}, two_{2};
};
TYPED_TEST_SUITE_P(EngineConformance);

TYPED_TEST_P(EngineConformance, AnswersWithWhatWasPut) {
    auto& d = this->direct_;
    std::string binary("\0\xff\r\n", 4);
    ASSERT_TRUE(d.put(this->one_, binary, binary));
    ASSERT_TRUE(d.put(this->one_, "empty", ""));
    ASSERT_TRUE(d.put(this->one_, std::string(1000, 'k'), std::string(100'000, 'v')));
    EXPECT_EQ(*d.get(this->one_, binary), binary);
    EXPECT_EQ(*d.get(this->one_, "empty"), "");
    EXPECT_EQ(d.get(this->one_, std::string(1000, 'k'))->size(), 100'000u);
    EXPECT_EQ(code_of(d.get(this->one_, "nothing")), Errc::not_found);
    EXPECT_EQ(code_of(d.get(this->one_, std::string(999, 'k'))), Errc::not_found);
}

TYPED_TEST_P(EngineConformance, ForgetsErasedKeysAndReplacesPutOnes) {
    auto& d = this->direct_;
    ASSERT_TRUE(d.put(this->one_, "a", "old"));
    ASSERT_TRUE(d.put(this->one_, "b", "old"));
    Batch batch;
    batch.erase("a");
    batch.erase("never there");
    batch.put("b", "new");
    ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
    EXPECT_EQ(code_of(d.get(this->one_, "a")), Errc::not_found);
    EXPECT_EQ(*d.get(this->one_, "b"), "new");
}

TYPED_TEST_P(EngineConformance, ScansARangeInByteOrderUpToTheLimit) {
    auto& d = this->direct_;
    for (auto key : {"b", "a", "ab", "\xff", "b\xff", "c", "aa"}) ASSERT_TRUE(d.put(this->one_, key, "v"));
    struct Case {
        KeyRange range;
        std::size_t limit;
        std::string_view keys;
    };
    const Case cases[] = {
        {{"a", "c"}, 1000, "a aa ab b b\xff"},
        {{"a", "b"}, 1000, "a aa ab"},
        {{"a", "b"}, 2, "a aa"},
        {{"a", "b"}, 3, "a aa ab"},
        {{"a", "b"}, 0, ""},
        {{"aaa", "ab"}, 1000, ""},
        {{"b", "b"}, 1000, ""},
        {{"c", "a"}, 1000, ""},
        {KeyRange::prefix("a"), 1000, "a aa ab"},
        {KeyRange::prefix("b\xff"), 1000, "b\xff"},
        {{"b\xff", "\xff\xff"}, 1000, "b\xff c \xff"},
    };
    for (const auto& c : cases)
        EXPECT_EQ(d.keys(this->one_, c.range, c.limit), c.keys) << c.range.begin << " to " << c.range.end;
}

TYPED_TEST_P(EngineConformance, ScansMoreEntriesThanOneReadHolds) {
    auto& d = this->direct_;
    Batch batch;
    for (int i = 0; i < 5000; ++i) batch.put("k" + std::to_string(10'000 + i), std::string(100, 'v'));
    ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
    auto found = run(this->engine_->scan(this->one_, KeyRange::prefix("k"), 10'000));
    ASSERT_TRUE(found);
    ASSERT_EQ(found->size(), 5000u);
    EXPECT_EQ(found->front().key, "k10000");
    EXPECT_EQ(found->back().key, "k14999");
}

TYPED_TEST_P(EngineConformance, KeepsPartitionsApart) {
    auto& d = this->direct_;
    for (std::uint64_t id : {1ull, 2ull, 255ull, 256ull, 1ull << 32, ~0ull - 1}) {
        PartitionId p(id);
        EXPECT_EQ(*d.number(p), ChangeNumber(0));
        ASSERT_TRUE(d.put(p, "k" + std::to_string(id), "v"));
        EXPECT_EQ(*d.number(p), ChangeNumber(1));
        EXPECT_EQ(d.keys(p, KeyRange{"a", "z"}), "k" + std::to_string(id));
    }
    auto id = d.add_body(this->one_, "mine", nullptr);
    ASSERT_TRUE(id);
    EXPECT_EQ(code_of(d.body(PartitionId(77), *id)), Errc::not_found);
}

TYPED_TEST_P(EngineConformance, NumbersCommitsOneByOne) {
    auto& d = this->direct_;
    for (std::uint64_t n = 1; n <= 5; ++n) {
        EXPECT_EQ(*d.put(this->one_, "k", std::to_string(n)), ChangeNumber(n));
        EXPECT_EQ(*d.number(this->one_), ChangeNumber(n));
    }
}

TYPED_TEST_P(EngineConformance, RefusesACommitWhoseExpectedNumberIsAnotherAndChangesNothing) {
    auto& d = this->direct_;
    auto change = [&](std::string value) {
        Batch batch;
        batch.put("k", std::move(value));
        return batch;
    };
    EXPECT_EQ(*d.commit(this->one_, change("first"), ChangeNumber(0)), ChangeNumber(1));
    EXPECT_EQ(code_of(d.commit(this->one_, change("late"), ChangeNumber(0))), Errc::conflict);
    EXPECT_EQ(code_of(d.commit(this->one_, change("early"), ChangeNumber(2))), Errc::conflict);
    EXPECT_EQ(*d.get(this->one_, "k"), "first");
    EXPECT_EQ(*d.number(this->one_), ChangeNumber(1));
    EXPECT_EQ(*d.commit(this->one_, change("second"), ChangeNumber(1)), ChangeNumber(2));
    EXPECT_EQ(*d.get(this->one_, "k"), "second");
}

TYPED_TEST_P(EngineConformance, AConflictKeepsOutBodiesToo) {
    auto& d = this->direct_;
    ASSERT_TRUE(d.put(this->one_, "k", "v"));
    auto kept = d.add_body(this->one_, "kept", nullptr);
    ASSERT_TRUE(kept);
    auto fresh = this->engine_->next_body_id(this->one_);
    Batch batch;
    batch.add_body(fresh, "new", nullptr);
    batch.erase_body(*kept);
    EXPECT_EQ(code_of(d.commit(this->one_, batch, ChangeNumber(0))), Errc::conflict);
    EXPECT_EQ(code_of(d.body(this->one_, fresh)), Errc::not_found);
    EXPECT_EQ(*d.body(this->one_, *kept), "kept");
    ASSERT_TRUE(d.commit(this->one_, batch, ChangeNumber(2)));  // the same batch, tried again
    EXPECT_EQ(*d.body(this->one_, fresh), "new");
}

TYPED_TEST_P(EngineConformance, ABatchAppliedTwiceIsTheSameAsOnce) {
    auto& d = this->direct_;
    ASSERT_TRUE(d.put(this->one_, "gone", "v"));
    auto gone = d.add_body(this->one_, "old", nullptr);
    auto rest = d.stage("rest");
    auto id = this->engine_->next_body_id(this->one_);
    Batch batch;
    batch.erase("gone");
    batch.put("k", "v");
    batch.add_body(id, "head ", rest);
    batch.erase_body(*gone);
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(d.commit(this->one_, batch)) << i;
        EXPECT_EQ(d.keys(this->one_, KeyRange{"a", "z"}), "k");
        EXPECT_EQ(*d.body(this->one_, id), "head rest");
        EXPECT_EQ(code_of(d.body(this->one_, *gone)), Errc::not_found);
    }
}

TYPED_TEST_P(EngineConformance, ASnapshotSeesNothingLater) {
    auto& d = this->direct_;
    ASSERT_TRUE(d.put(this->one_, "a", "1"));
    ASSERT_TRUE(d.put(this->one_, "b", "1"));
    auto snapshot = this->engine_->snapshot(this->one_);
    Batch batch;
    batch.erase("a");
    batch.put("b", "2");
    batch.put("c", "2");
    ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
    EXPECT_EQ(*d.get(this->one_, "a", snapshot), "1");
    EXPECT_EQ(*d.get(this->one_, "b", snapshot), "1");
    EXPECT_EQ(code_of(d.get(this->one_, "c", snapshot)), Errc::not_found);
    EXPECT_LT(*d.number(this->one_, snapshot), *d.number(this->one_));
    EXPECT_EQ(d.keys(this->one_, KeyRange{"a", "z"}, 10, snapshot), "a b");
    EXPECT_EQ(d.keys(this->one_, KeyRange{"a", "z"}, 10, this->engine_->snapshot(this->one_)), "b c");
    EXPECT_EQ(d.keys(this->one_, KeyRange{"a", "z"}), "b c");
}

TYPED_TEST_P(EngineConformance, ASnapshotOfAnUntouchedPartitionStaysEmpty) {
    auto& d = this->direct_;
    auto snapshot = this->engine_->snapshot(this->two_);
    ASSERT_TRUE(d.put(this->two_, "k", "v"));
    EXPECT_EQ(d.keys(this->two_, KeyRange{"a", "z"}, 10, snapshot), "");
}

TYPED_TEST_P(EngineConformance, ReadsBackBodiesOfEverySizeWithAndWithoutAHead) {
    auto& d = this->direct_;
    for (std::uint64_t size : kBodySizes) {
        for (std::uint64_t head_size : {0u, 300u, 70'000u}) {
            auto text = pattern(size, size);
            auto head = pattern(head_size, 7);
            auto id = d.add_body(this->one_, head, d.stage(text, size));
            ASSERT_TRUE(id) << size;
            auto whole = head + text;
            EXPECT_TRUE(d.body(this->one_, *id) == whole) << head_size << " + " << size;
            EXPECT_TRUE(d.verified_body(this->one_, *id) == whole) << head_size << " + " << size;
        }
    }
}

TYPED_TEST_P(EngineConformance, AStagedBodyIsReadBackBeforeAndAfterItIsCommittedAndAsOftenAsWanted) {
    auto& d = this->direct_;
    for (auto size : kBodySizes)
        for (std::size_t bodies : {1, 3}) {
            const auto text = pattern(size, static_cast<unsigned>(size));
            auto writer = this->engine_->write_body();
            ASSERT_TRUE(run(writer->write(text)));
            auto staged = *run(writer->finish(bodies));
            auto read = [&](BodyReader& reader) {
                std::string all;
                for (;;) {
                    auto chunk = run(reader.next());
                    EXPECT_TRUE(chunk);
                    if (!chunk || chunk->empty()) return all;
                    EXPECT_LE(chunk->size(), 64u * 1024);
                    all += *chunk;
                }
            };
            auto first = staged->read(), second = staged->read();
            EXPECT_EQ(first->size(), size);
            if (size > 0) ASSERT_TRUE(run(first->next()));
            ASSERT_TRUE(run(first->verify()));
            EXPECT_TRUE(read(*first) == text) << size;
            std::vector<BodyId> ids;
            for (std::size_t i = 0; i < bodies; ++i) ids.push_back(*d.add_body(this->one_, "head", staged));
            EXPECT_TRUE(read(*second) == text) << size;
            auto late = staged->read();
            staged.reset();
            EXPECT_TRUE(read(*late) == text) << "a reader keeps it";
            for (auto id : ids) EXPECT_TRUE(d.body(this->one_, id) == "head" + text) << size;
        }
}

TYPED_TEST_P(EngineConformance, ReadsBackABodyThatIsOnlyAHead) {
    auto& d = this->direct_;
    for (std::uint64_t size : {0u, 5u, 70'000u}) {
        auto id = d.add_body(this->one_, pattern(size, 3), nullptr);
        ASSERT_TRUE(id);
        EXPECT_TRUE(d.body(this->one_, *id) == pattern(size, 3)) << size;
    }
}

TYPED_TEST_P(EngineConformance, AWrongSizeHintDoesNoHarm) {
    auto& d = this->direct_;
    for (auto [size, hint] : {std::pair{10u, 4u << 20}, {3u << 20, 1u}}) {
        auto id = d.add_body(this->one_, "head", d.stage(pattern(size, 1), hint));
        ASSERT_TRUE(id);
        EXPECT_TRUE(d.body(this->one_, *id) == "head" + pattern(size, 1)) << size;
    }
}

TYPED_TEST_P(EngineConformance, TakesOctetsFromItsOwnRoomAndFromElsewhere) {
    for (std::uint64_t hint : {0u, 5000u, 2u << 20}) {
        std::string text;
        auto write = [&text](BodyWriter& writer, std::size_t step) {
            auto room = writer.room();
            auto octets = pattern(std::min<std::size_t>(room.size(), 1 + step * 997 % 20'000), step);
            text += octets;
            if (step % 3 == 0) return run(writer.write(octets));
            // In the room: all of it, or without the octet that it begins with.
            std::ranges::copy(octets, room.begin());
            std::string_view there(room.data(), octets.size());
            if (step % 3 == 1) return run(writer.write(there));
            text.erase(text.size() - octets.size(), 1);
            return run(writer.write(there.substr(1)));
        };
        auto writer = this->engine_->write_body(hint);
        for (std::size_t step = 1; step < 100; ++step) ASSERT_TRUE(write(*writer, step));
        writer->room();  // and nothing is put there
        auto staged = run(writer->finish());
        ASSERT_TRUE(staged);
        auto id = this->direct_.add_body(this->one_, "head", *staged);
        ASSERT_TRUE(id);
        EXPECT_TRUE(this->direct_.body(this->one_, *id) == "head" + text) << hint;
    }
}

TYPED_TEST_P(EngineConformance, VerifyStartsAgainAtTheBeginning) {
    auto& d = this->direct_;
    for (std::uint64_t size : {10u, 200'000u, 3u << 20}) {
        auto id = d.add_body(this->one_, "", d.stage(pattern(size, 2)));
        auto reader = run(this->engine_->read_bodies(this->one_)->open(*id));
        ASSERT_TRUE(reader);
        EXPECT_EQ((*reader)->size(), size);
        auto first = run((*reader)->next());
        ASSERT_TRUE(first);
        std::string kept(*first);
        ASSERT_TRUE(run((*reader)->verify()));
        auto again = run((*reader)->next());
        ASSERT_TRUE(again);
        EXPECT_TRUE(kept == *again) << size;
    }
}

TYPED_TEST_P(EngineConformance, PartitionsShareOneStagedBodyBehindTheirOwnHeads) {
    auto& d = this->direct_;
    for (std::uint64_t size : {100u, 200'000u, 3u << 20}) {
        auto text = pattern(size, 9);
        auto staged = d.stage(text, size);
        EXPECT_EQ(staged->size(), size);
        std::vector<std::pair<PartitionId, BodyId>> bodies;
        for (std::uint64_t p = 10; p < 15; ++p) {
            auto id = d.add_body(PartitionId(p), "for " + std::to_string(p), staged);
            ASSERT_TRUE(id);
            bodies.emplace_back(PartitionId(p), *id);
        }
        staged.reset();
        Batch gone;  // one recipient's copy goes; the others' stay
        gone.erase_body(bodies[0].second);
        ASSERT_TRUE(d.commit(bodies[0].first, std::move(gone)));
        EXPECT_EQ(code_of(d.body(bodies[0].first, bodies[0].second)), Errc::not_found);
        for (std::size_t i = 1; i < bodies.size(); ++i)
            EXPECT_TRUE(d.body(bodies[i].first, bodies[i].second) ==
                        "for " + std::to_string(bodies[i].first.value) + text)
                << size;
    }
}

TYPED_TEST_P(EngineConformance, BodiesOfManyPartitionsEndWithOneStagedBodyAndGoOneByOne) {
    auto& d = this->direct_;
    for (std::uint64_t size : {0u, 5u, 5000u, 200'000u, 3u << 20}) {
        constexpr std::uint64_t kMany = 12;
        auto rest = d.stage(pattern(size, size), size, kMany);
        std::map<PartitionId, BodyId> bodies;
        for (std::uint64_t n = 0; n < kMany; ++n) {
            PartitionId to(100 + n);
            auto id = d.add_body(to, "head " + std::to_string(n), rest);
            ASSERT_TRUE(id);
            bodies[to] = *id;
        }
        rest.reset();
        while (!bodies.empty()) {
            for (const auto& [from, id] : bodies)
                EXPECT_TRUE(d.verified_body(from, id) ==
                            "head " + std::to_string(from.value - 100) + pattern(size, size));
            auto [from, id] = *bodies.begin();
            bodies.erase(bodies.begin());
            Batch batch;
            batch.erase_body(id);
            ASSERT_TRUE(d.commit(from, std::move(batch)));
            EXPECT_EQ(code_of(d.body(from, id)), Errc::not_found);
        }
    }
}

TYPED_TEST_P(EngineConformance, OneBatchAddsManyBodies) {
    auto& d = this->direct_;
    Batch batch;
    std::vector<BodyId> ids;
    for (int i = 0; i < 50; ++i) {
        ids.push_back(this->engine_->next_body_id(this->one_));
        batch.add_body(ids.back(), "head", d.stage(pattern(i * 3000, i)));
    }
    ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
    for (int i = 0; i < 50; ++i) EXPECT_TRUE(d.body(this->one_, ids[i]) == "head" + pattern(i * 3000, i)) << i;
}

TYPED_TEST_P(EngineConformance, ErasedAndUnknownBodiesAnswerNotFound) {
    auto& d = this->direct_;
    for (std::uint64_t size : {10u, 3u << 20}) {
        auto id = d.add_body(this->one_, "h", d.stage(pattern(size, 1)));
        ASSERT_TRUE(id);
        Batch batch;
        batch.erase_body(*id);
        batch.erase_body(BodyId(id->value + 1'000'000));  // unknown: nothing to do
        ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
        EXPECT_EQ(code_of(d.body(this->one_, *id)), Errc::not_found);
    }
}

// Looking up ahead must end with the partition, whatever lies behind it: another one's bodies, its keys, or
// nothing.
TYPED_TEST_P(EngineConformance, ASeriesFindsItsOwnPartitionsBodiesAlone) {
    auto& d = this->direct_;
    constexpr PartitionId kMine(7), kNext(8), kLast(10);
    for (std::uint64_t id = 1; id <= 20; ++id) {
        for (auto partition : {kMine, kLast}) {
            Batch batch;
            batch.add_body(BodyId(id), fmt::format("{} of {}", id, partition.value), nullptr);
            ASSERT_TRUE(d.commit(partition, std::move(batch)));
        }
    }
    Batch next;
    for (std::uint64_t id = 21; id <= 30; ++id) next.add_body(BodyId(id), "another's", nullptr);
    ASSERT_TRUE(d.commit(kNext, std::move(next)));
    ASSERT_TRUE(d.put(PartitionId(9), "key", "value"));
    for (auto partition : {kMine, kLast}) {
        auto series = this->engine_->read_bodies(partition);
        for (std::uint64_t id = 1; id <= 20; ++id) {
            auto reader = run(series->open(BodyId(id)));
            ASSERT_TRUE(reader) << id;
            EXPECT_EQ(*run((*reader)->next()), fmt::format("{} of {}", id, partition.value));
        }
        for (std::uint64_t id = 21; id <= 31; ++id) {
            EXPECT_EQ(series->try_open_whole(BodyId(id)), nullptr) << id;
            auto reader = run(series->open(BodyId(id)));
            ASSERT_FALSE(reader) << id;
            EXPECT_EQ(reader.error().code(), Errc::not_found);
        }
    }
}

TYPED_TEST_P(EngineConformance, DroppedWritersAndStagedBodiesLeaveNothingBehind) {
    auto& d = this->direct_;
    {
        auto writer = this->engine_->write_body(3u << 20);
        auto text = pattern(2u << 20, 1);
        ASSERT_TRUE(run(writer->write(text)));
    }
    d.stage(pattern(3u << 20, 2)).reset();
    auto id = d.add_body(this->one_, "", d.stage("later"));
    ASSERT_TRUE(id);
    EXPECT_EQ(*d.body(this->one_, *id), "later");
}

TYPED_TEST_P(EngineConformance, BodyIdsGrow) {
    BodyId last{};
    for (int i = 0; i < 100; ++i) {
        auto id = this->engine_->next_body_id(this->one_);
        EXPECT_GT(id, last);
        last = id;
    }
}

TYPED_TEST_P(EngineConformance, ALeaseHasOneHolderAtATime) {
    auto& d = this->direct_;
    auto first = d.lease(this->one_, "pop3");
    ASSERT_TRUE(first);
    EXPECT_EQ(code_of(d.lease(this->one_, "pop3")), Errc::busy);
    EXPECT_TRUE(d.lease(this->one_, "other name"));
    EXPECT_TRUE(d.lease(this->two_, "pop3"));
    auto token = (*first)->token();
    first->reset();
    auto second = d.lease(this->one_, "pop3");
    ASSERT_TRUE(second);
    EXPECT_GT((*second)->token(), token);
}

TYPED_TEST_P(EngineConformance, AFencedCommitNeedsItsLease) {
    auto& d = this->direct_;
    auto fenced = [&](FencingToken token) {
        Batch batch;
        batch.put("k" + std::to_string(token.value), "v");
        batch.fences.push_back({"pop3", token});
        return d.commit(this->one_, std::move(batch));
    };
    auto lease = d.lease(this->one_, "pop3");
    ASSERT_TRUE(lease);
    auto token = (*lease)->token();
    EXPECT_TRUE(fenced(token));
    auto number = d.number(this->one_);
    lease->reset();
    EXPECT_EQ(code_of(fenced(token)), Errc::denied);
    auto next = d.lease(this->one_, "pop3");
    ASSERT_TRUE(next);
    EXPECT_EQ(code_of(fenced(token)), Errc::denied) << "another holder's lease is not ours";
    EXPECT_EQ(*d.number(this->one_), *number);
    EXPECT_TRUE(fenced((*next)->token()));
    auto twice = [&](FencingToken other) {
        Batch batch;
        batch.put("twice", "v");
        batch.fences = {{"pop3", (*next)->token()}, {"other", other}};
        return d.commit(this->one_, std::move(batch));
    };
    EXPECT_EQ(code_of(twice((*next)->token())), Errc::denied) << "each lease counts";
    auto other = d.lease(this->one_, "other");
    ASSERT_TRUE(other);
    EXPECT_TRUE(twice((*other)->token()));
}

TYPED_TEST_P(EngineConformance, WatchersHearOfCommitsToTheirPartition) {
    auto& d = this->direct_;
    std::atomic<int> heard = 0, elsewhere = 0;
    auto wait_for = [&](int count) {  // a hint may come a little after the commit
        for (int i = 0; i < 5000 && heard < count; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return heard >= count;
    };
    auto other = this->engine_->watch(this->two_, [&] { ++elsewhere; });
    auto watch = this->engine_->watch(this->one_, [&] { ++heard; });
    ASSERT_TRUE(d.put(this->one_, "k", "1"));
    EXPECT_TRUE(wait_for(1));
    int so_far = heard;
    ASSERT_TRUE(d.put(this->one_, "k", "2"));
    EXPECT_TRUE(wait_for(so_far + 1));
    watch.reset();
    ASSERT_TRUE(d.put(this->one_, "k", "3"));
}

TYPED_TEST_P(EngineConformance, CommitsOfManyThreadsAllArrive) {
    constexpr int kThreads = 4, kEach = 100, kPartitions = 7;
    std::atomic<int> failures = 0;
    auto work = [&](int thread) {
        Direct d(*this->engine_);
        for (int i = 0; i < kEach; ++i) {
            PartitionId p(100 + i % kPartitions);
            std::string name = std::to_string(thread) + "-" + std::to_string(i);
            auto id = this->engine_->next_body_id(p);
            Batch batch;
            batch.put(name, std::to_string(id.value));
            batch.add_body(id, name, nullptr);
            if (!d.commit(p, std::move(batch))) ++failures;
            if (!d.get(p, name)) ++failures;  // a read that starts later sees it
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) threads.emplace_back(work, t);
    }
    EXPECT_EQ(failures, 0);
    std::uint64_t commits = 0;
    for (int p = 0; p < kPartitions; ++p) commits += this->direct_.number(PartitionId(100 + p))->value;
    EXPECT_EQ(commits, std::uint64_t{kThreads * kEach});
    for (int t = 0; t < kThreads; ++t)
        for (int i = 0; i < kEach; ++i) {
            PartitionId p(100 + i % kPartitions);
            std::string name = std::to_string(t) + "-" + std::to_string(i);
            auto id = this->direct_.get(p, name);
            ASSERT_TRUE(id) << name;
            EXPECT_EQ(*this->direct_.body(p, BodyId(std::stoull(*id))), name);
        }
}

TYPED_TEST_P(EngineConformance, OfCommitsThatExpectTheSameNumberOneWins) {
    constexpr int kThreads = 4, kRounds = 50;
    std::atomic<int> won = 0, lost = 0;
    auto work = [&] {
        Direct d(*this->engine_);
        for (std::uint64_t round = 0; round < kRounds; ++round) {
            Batch batch;
            batch.put("k", "v");
            auto done = d.commit(this->one_, std::move(batch), ChangeNumber(round));
            if (done) {
                ++won;
            } else if (done.error().code() == Errc::conflict) {
                ++lost;
            }
            while (d.number(this->one_)->value <= round) std::this_thread::yield();
        }
    };
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < kThreads; ++t) threads.emplace_back(work);
    }
    EXPECT_EQ(won, kRounds);
    EXPECT_EQ(lost, kRounds * (kThreads - 1));
}

TYPED_TEST_P(EngineConformance, ABatchIsSeenWholeOrNotAtAll) {
    std::atomic<bool> stop = false;
    std::atomic<int> torn = 0;
    auto watch = [&] {
        Direct d(*this->engine_);
        while (!stop) {
            auto found = run(this->engine_->scan(this->one_, KeyRange{"a", "z"}, 10));
            if (!found || found->empty()) continue;
            if (found->size() != 2 || (*found)[0].value != (*found)[1].value) ++torn;
        }
    };
    std::jthread reader(watch);
    for (int i = 0; i < 200; ++i) {
        Batch batch;
        batch.put("a", std::to_string(i));
        batch.put("b", std::to_string(i));
        ASSERT_TRUE(this->direct_.commit(this->one_, std::move(batch)));
    }
    stop = true;
    reader.join();
    EXPECT_EQ(torn, 0);
}

REGISTER_TYPED_TEST_SUITE_P(EngineConformance, AnswersWithWhatWasPut, ForgetsErasedKeysAndReplacesPutOnes,
                            ScansARangeInByteOrderUpToTheLimit, ScansMoreEntriesThanOneReadHolds, KeepsPartitionsApart,
                            NumbersCommitsOneByOne, RefusesACommitWhoseExpectedNumberIsAnotherAndChangesNothing,
                            AConflictKeepsOutBodiesToo, ABatchAppliedTwiceIsTheSameAsOnce, ASnapshotSeesNothingLater,
                            ASnapshotOfAnUntouchedPartitionStaysEmpty, ReadsBackBodiesOfEverySizeWithAndWithoutAHead,
                            AStagedBodyIsReadBackBeforeAndAfterItIsCommittedAndAsOftenAsWanted,
                            ReadsBackABodyThatIsOnlyAHead, AWrongSizeHintDoesNoHarm,
                            TakesOctetsFromItsOwnRoomAndFromElsewhere, VerifyStartsAgainAtTheBeginning,
                            PartitionsShareOneStagedBodyBehindTheirOwnHeads,
                            BodiesOfManyPartitionsEndWithOneStagedBodyAndGoOneByOne, OneBatchAddsManyBodies,
                            ErasedAndUnknownBodiesAnswerNotFound, ASeriesFindsItsOwnPartitionsBodiesAlone,
                            DroppedWritersAndStagedBodiesLeaveNothingBehind, BodyIdsGrow, ALeaseHasOneHolderAtATime,
                            AFencedCommitNeedsItsLease, WatchersHearOfCommitsToTheirPartition,
                            CommitsOfManyThreadsAllArrive, OfCommitsThatExpectTheSameNumberOneWins,
                            ABatchIsSeenWholeOrNotAtAll);

/// For engines that keep their data: what was committed is there after a restart.
template <class Factory>
class EnginePersistence : public testing::Test {
protected:
    void reopen() {
        engine_.reset();
        engine_ = factory_.reopen();
    }
    Factory factory_;
    std::unique_ptr<Engine> engine_ = factory_.open();
    PartitionId one_{1}, two_{2};
};
TYPED_TEST_SUITE_P(EnginePersistence);

TYPED_TEST_P(EnginePersistence, KeepsKeysBodiesAndChangeNumbers) {
    std::vector<BodyId> ids;
    for (std::uint64_t size : kBodySizes) {
        Direct d(*this->engine_);
        auto id = d.add_body(this->one_, "head", d.stage(pattern(size, size), size));
        ASSERT_TRUE(id);
        ids.push_back(*id);
    }
    Direct before(*this->engine_);
    ASSERT_TRUE(before.put(this->two_, "k", "old"));
    ASSERT_TRUE(before.put(this->two_, "k", "v"));
    ASSERT_TRUE(before.put(this->two_, "gone", "v"));
    Batch batch;
    batch.erase("gone");
    ASSERT_TRUE(before.commit(this->two_, std::move(batch)));
    for (int restart = 0; restart < 2; ++restart) {
        this->reopen();
        Direct d(*this->engine_);
        EXPECT_EQ(d.number(this->one_)->value, std::size(kBodySizes));
        EXPECT_EQ(*d.number(this->two_), ChangeNumber(4));
        EXPECT_EQ(d.keys(this->two_, KeyRange{"a", "z"}), "k");
        EXPECT_EQ(*d.get(this->two_, "k"), "v");
        for (std::size_t i = 0; i < ids.size(); ++i)
            EXPECT_TRUE(d.verified_body(this->one_, ids[i]) == "head" + pattern(kBodySizes[i], kBodySizes[i]))
                << kBodySizes[i];
    }
}

TYPED_TEST_P(EnginePersistence, ErasedBodiesStayErased) {
    std::vector<BodyId> ids;
    {
        Direct d(*this->engine_);
        Batch batch;
        for (std::uint64_t size : {100u, 3u << 20}) {
            ids.push_back(*d.add_body(this->one_, "", d.stage(pattern(size, 1))));
            batch.erase_body(ids.back());
        }
        ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
    }
    this->reopen();
    for (auto id : ids) EXPECT_EQ(code_of(Direct(*this->engine_).body(this->one_, id)), Errc::not_found);
}

TYPED_TEST_P(EnginePersistence, NeverGivesOutABodyIdAgain) {
    BodyId last{};
    for (int restart = 0; restart < 3; ++restart) {
        Direct d(*this->engine_);
        auto id = d.add_body(this->one_, "x", nullptr);
        ASSERT_TRUE(id);
        EXPECT_GT(*id, last);
        last = *id;
        Batch batch;  // even when the greatest is erased
        batch.erase_body(*id);
        ASSERT_TRUE(d.commit(this->one_, std::move(batch)));
        this->reopen();
    }
}

TYPED_TEST_P(EnginePersistence, LeasesEndWithTheProcessButTokensGrow) {
    FencingToken token;
    {
        auto lease = Direct(*this->engine_).lease(this->one_, "pop3");
        ASSERT_TRUE(lease);
        token = (*lease)->token();
    }
    this->reopen();
    auto lease = Direct(*this->engine_).lease(this->one_, "pop3");
    ASSERT_TRUE(lease);
    EXPECT_GT((*lease)->token(), token);
}

TYPED_TEST_P(EnginePersistence, ManyCommitsSurviveManyRestarts) {
    for (int restart = 0; restart < 4; ++restart) {
        Direct d(*this->engine_);
        for (int i = 0; i < 50; ++i)
            ASSERT_TRUE(d.put(this->one_, "k" + std::to_string(100 + i), std::to_string(restart)));
        this->reopen();
        auto found = run(this->engine_->scan(this->one_, KeyRange::prefix("k"), 1000));
        ASSERT_TRUE(found);
        ASSERT_EQ(found->size(), 50u);
        for (const auto entry : *found) EXPECT_EQ(entry.value, std::to_string(restart)) << entry.key;
        EXPECT_EQ(Direct(*this->engine_).number(this->one_)->value, 50u * (restart + 1));
    }
}

REGISTER_TYPED_TEST_SUITE_P(EnginePersistence, KeepsKeysBodiesAndChangeNumbers, ErasedBodiesStayErased,
                            NeverGivesOutABodyIdAgain, LeasesEndWithTheProcessButTokensGrow,
                            ManyCommitsSurviveManyRestarts);

}  // namespace poplar::test
